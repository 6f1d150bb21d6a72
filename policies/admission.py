"""Admit a visitor: a card or a person on record, or somebody new with a card."""

from collections.abc import Iterable
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction

from policies.models import Card, PeopleGroup, Person, Visit, folded

T = TypeVar("T")


@transaction.atomic
def admit(
    visit: Visit, *, card_uid: str = "", user_name: str = "", groups: Iterable[PeopleGroup] = ()
) -> None:
    """Save a new visit as that of a card or of a person, who joins the groups.

    A UID alone names a card, a name alone a person with all cards; both are on record. Both
    together are a new card for the person of that name, who is made if new: then the visit is the
    card's, which never opens anything without it. CardExists when somebody has that card already,
    ValidationError when there is nobody or the visit makes no sense; then nothing was changed.
    """
    visit.card, visit.person = _whom(card_uid, user_name)
    visit.full_clean()
    visit.save()
    holder = visit.card.person if visit.card else visit.person
    if holder:
        holder.groups.add(*groups)


def bound(visit: Visit) -> str:
    """What to warn of when a visit was the first of a card or a person on record."""
    return f"Until now {whose(visit)} needed no visit. From now on, only a visit lets in."


def freed(visit: Visit) -> str:
    """What to warn of when the last visit of a card or a person goes."""
    return (
        f"This was the last visit. Without any, {whose(visit)} is let in whenever a rule allows it."
        " To keep a visitor out, end the visit instead, or suspend the card."
    )


def whose(visit: Visit) -> str:
    """`Anna`, `Anna’s card 04:…`."""
    return f"{visit.holder}’s card {visit.card_id}" if visit.card_id else visit.holder


def _whom(card_uid: str, user_name: str) -> tuple[Card | None, Person | None]:
    if card_uid and user_name:
        return Card.objects.give(card_uid, user_name), None
    if card_uid:
        card = Card.objects.select_related("person").filter(uid=card_uid).first()
        return _known(
            card, "card_uid", "This card is on nobody’s record. Name its holder, too."
        ), None
    person = Person.objects.filter(folded_name=folded(user_name)).first() if user_name else None
    return None, _known(person, "user_name", "Nobody of this name is on record. Name a card, too.")


def _known(row: T | None, field: str, otherwise: str) -> T:
    if row is None:
        raise ValidationError({field: otherwise})
    return row
