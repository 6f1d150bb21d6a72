"""People, the groups they are in, and the cards that they were given."""

import datetime as dt
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from policies import uid
from policies.changes import PolicyQuerySet
from policies.models.names import MAX_NAME, NO_NUL, check_years, checked_name, folded
from policies.models.rules import PeopleGroup, Rule
from policies.models.schedules import Holiday
from policies.models.visits import Visit
from policies.prepared import Prepared
from policies.rules import CardStatus as Status
from policies.rules import Credential
from policies.snapshot import snapshot


class CardExists(Exception):
    """This UID is on record already."""


class CardBlocked(Exception):
    """A blocked card is opened again by its status only, never in passing."""


class PersonQuerySet(PolicyQuerySet["Person"]):
    def named(self, name: str) -> "Person":
        """The person of that name (case does not matter), made if new."""
        person, _ = self.get_or_create(folded_name=folded(name), defaults={"name": name})
        return person

    def matching(self, term: str) -> "PersonQuerySet":
        """Those whose name or a card of theirs contains the term, in any way of writing it."""
        found = Q(folded_name__contains=folded(term))
        if part := uid.fragment(term):
            found |= Q(pk__in=Card.objects.filter(uid__contains=part).values("person"))
        return self.filter(found)


class Person(models.Model):
    """Somebody who was given cards. Not a user: users sign in to the console."""

    name = models.CharField(
        max_length=MAX_NAME,
        validators=[NO_NUL],
        help_text="As it shall stand in the log and on the door. One person a name.",
    )
    # SQLite folds ASCII only, so the comparison form is a column of its own. Folding makes up to
    # three characters of one.
    folded_name = models.CharField(max_length=3 * MAX_NAME, unique=True, editable=False)
    active = models.BooleanField(default=True, help_text="Off: all cards of this person rest.")
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    groups = models.ManyToManyField(PeopleGroup, blank=True, related_name="people")
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PersonQuerySet.as_manager()

    class Meta:
        ordering = ("folded_name",)
        verbose_name_plural = "people"
        constraints = (
            models.CheckConstraint(
                name="policies_person_is_valid_forwards",
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_from__lt=F("valid_until")),
                violation_error_message="“Valid from” must lie before “valid until”.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name = unicodedata.normalize("NFC", self.name.strip())
        self.folded_name = folded(self.name)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        try:
            self.name = checked_name(self.name)
        except ValidationError as error:
            raise ValidationError({"name": error.messages}) from None
        if Person.objects.filter(folded_name=folded(self.name)).exclude(pk=self.pk).exists():
            taken = ValidationError("There is a person of this name already.", code="unique")
            raise ValidationError({"name": taken})
        check_years(self, "valid_from", "valid_until")
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValidationError({"valid_until": "Must lie after “valid from”."})

    def suspend(self) -> None:
        """None of this person's cards opens anything from the next check on."""
        self.active = False
        self.save(update_fields=["active"])

    def reactivate(self, until: dt.datetime | None = None) -> None:
        """Let this person's cards open again; with `until`, no longer than that."""
        self.active = True
        self.valid_until = until or self.valid_until
        self.save(update_fields=["active", "valid_until"])


class CardQuerySet(PolicyQuerySet["Card"]):
    def find_credential(self, card_uid: str) -> Credential | None:
        """What the rules say about a card, or None when nobody was given it.

        Three queries, one more when a rule names doors, two more when one has a schedule, one more
        for a visitor: however many there are of anything.
        """
        with snapshot() as as_of:
            found = CARD.row(card_uid)
            if found is None:
                return None
            *of_card, is_visitor = found
            card = _card(card_uid, *of_card)
            person = card.person
            visits = Visit.objects.terms_for({card.uid: person.pk}) if is_visitor else {}
            groups = dict(GROUPS.rows(person.pk))
            credential = Credential(
                **card.own_terms(),
                rules=Rule.objects.scopes_for(person.pk),
                lockdown_exempt=any(groups.values()),
                as_of=as_of,
                visits=visits.get(card.uid),
            )
            if not credential.is_scheduled:
                return credential
            return replace(credential, holidays=Holiday.objects.values_of_all())

    def find_credentials(self, card_uids: Collection[str]) -> dict[str, Credential]:
        """As `find_credential`, of a few hundred cards at once; those that are on record.

        What holders of the same groups have in common is looked up for the first of them.
        """
        found = {}
        with snapshot():
            cards = self.with_holders().in_bulk(card_uids)
            visitors = {card.uid: card.person_id for card in cards.values() if card.is_visitor}
            visits = Visit.objects.terms_for(visitors) if visitors else {}
            groups: dict[int, set[int]] = {card.person_id: set() for card in cards.values()}
            memberships = Person.groups.through._default_manager.filter(person__in=groups)
            for person_id, group in memberships.values_list("person", "peoplegroup"):
                groups[person_id].add(group)
            shared: dict[frozenset[int], Credential | None] = {}
            for card in cards.values():
                its_groups = frozenset(groups[card.person_id])
                if its_groups not in shared:
                    shared[its_groups] = self.find_credential(card.uid)
                if like := shared[its_groups]:
                    own = card.own_terms() | {"visits": visits.get(card.uid)}
                    found[card.uid] = replace(like, **own)
        return found

    def with_holders(self) -> "CardQuerySet":
        """With the person of each, and whether there are visits: in the same question, so that who
        has none pays nothing."""
        own = Visit.objects.filter(card=OuterRef("pk"))
        of_holder = Visit.objects.filter(person=OuterRef("person"))
        has_visits = Exists(own) | Exists(of_holder)
        return self.select_related("person").annotate(is_visitor=has_visits)  # type: ignore[no-redef]  # meant

    def matching(self, term: str) -> "CardQuerySet":
        """The cards whose holder's name or UID contains the term, in any way of writing it."""
        found = Q(person__folded_name__contains=folded(term))
        if part := uid.fragment(term):
            found |= Q(uid__contains=part)
        return self.filter(found)

    def give(self, card_uid: str, name: str, **fields: Any) -> "Card":
        """Put a card on record for the person of that name, who is made if new.

        CardExists, and nothing changed, when somebody has it already.
        """
        try:
            with transaction.atomic():
                return self.create(uid=card_uid, person=Person.objects.named(name), **fields)
        except IntegrityError:
            raise CardExists from None


class Card(models.Model):
    """A physical token. Its UID is an identifier that can be cloned, not a secret."""

    uid = models.CharField(
        "UID",
        primary_key=True,
        max_length=29,
        help_text="4 to 10 bytes of hex as the reader shows them, such as 04:A3:2B:F2:1C:80.",
    )
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="cards")
    label = models.CharField(
        max_length=100, blank=True, validators=[NO_NUL], help_text="Such as “blue fob”."
    )
    status = models.CharField(
        max_length=8,
        default=Status.ACTIVE,
        choices=[
            (Status.ACTIVE, "active"),
            (Status.INACTIVE, "inactive"),
            (Status.BLOCKED, "blocked (lost or stolen)"),
        ],
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField("expires", null=True, blank=True)
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CardQuerySet.as_manager()

    class Meta:
        ordering = ("person__folded_name", "uid")
        constraints = (
            models.CheckConstraint(
                name="policies_card_status_is_known", condition=Q(status__in=list(Status))
            ),
        )

    # Whether it or its holder has visits, when that was asked.
    is_visitor: bool = False

    def __str__(self) -> str:
        return f"{self.uid} ({self.label})" if self.label else self.uid

    @property
    def active(self) -> bool:
        return self.status == Status.ACTIVE

    def clean(self) -> None:
        try:
            self.uid = uid.canonical(self.uid)
        except ValueError as error:
            raise ValidationError({"uid": str(error)}) from None
        check_years(self, "valid_from", "valid_until")
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValidationError({"valid_until": "Must lie after “valid from”."})

    def own_terms(self) -> dict[str, Any]:
        """What a credential says of this card and its holder, beside what groups share."""
        return {
            "uid": self.uid,
            "holder": self.person.name,
            "status": Status(self.status),
            "holder_active": self.person.active,
            "valid_from": _latest(self.valid_from, self.person.valid_from),
            "valid_until": _earliest(self.valid_until, self.person.valid_until),
        }

    def change(self, changes: Mapping[str, Any]) -> None:
        """Apply those of `user_name`, `expires_at`, `active` and `status` that are there.

        CardBlocked, and nothing changed, when `active` alone should open a blocked card.
        """
        self.status = self._status_after(changes)
        if "expires_at" in changes:
            self.valid_until = changes["expires_at"]
        if "user_name" in changes:
            self.person = Person.objects.named(changes["user_name"])
        self.save(update_fields=["status", "valid_until", "person"])

    def revoke(self) -> None:
        """End the card's rights; the next check is refused. It stays on record."""
        self.change({"active": False})

    def block(self) -> None:
        """Lost or stolen: refused, and an alert when somebody tries it."""
        self.change({"status": Status.BLOCKED})

    def reactivate(self, until: dt.datetime | None = None) -> None:
        """Let the card open again, whatever stopped it; with `until`, no longer than that."""
        expiry = {"expires_at": until} if until else {}
        self.change({"status": Status.ACTIVE, **expiry})

    def _status_after(self, changes: Mapping[str, Any]) -> str:
        if "status" in changes:
            return str(changes["status"])
        if "active" not in changes:
            return self.status
        if self.status != Status.BLOCKED:
            return Status.ACTIVE if changes["active"] else Status.INACTIVE
        if changes["active"]:
            raise CardBlocked
        # Not inactive: that would end the alert when a thief tries the card.
        return Status.BLOCKED


def _card(card_uid: str, *found: Any) -> Card:
    """A card and its holder, of what CARD finds."""
    of_card, of_person = found[: len(OF_CARD)], found[len(OF_CARD) :]
    person = Person(**dict(zip(OF_PERSON, of_person, strict=True)))
    return Card(uid=card_uid, person=person, **dict(zip(OF_CARD, of_card, strict=True)))


OF_CARD = ("status", "valid_from", "valid_until")
OF_PERSON = ("id", "name", "active", "valid_from", "valid_until")
CARD = Prepared(
    lambda card_uid: (
        Card.objects.with_holders()
        .filter(uid=card_uid)
        .order_by()
        .values_list(*OF_CARD, *(f"person__{name}" for name in OF_PERSON), "is_visitor")
    )
)
GROUPS = Prepared(
    lambda person: (
        PeopleGroup.objects.filter(people=person)
        .order_by()
        .values_list("pk", "exempt_from_lockdown")
    )
)


def _latest(*moments: dt.datetime | None) -> dt.datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _earliest(*moments: dt.datetime | None) -> dt.datetime | None:
    return min((moment for moment in moments if moment), default=None)
