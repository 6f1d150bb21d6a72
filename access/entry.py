"""Who may enter here at a moment, and why a card may or may not. Asks, and records nothing."""

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from access.decision import WORDS, Decision, Reason, decide
from access.explanation import RuleVerdict, circumstance, rule_verdicts
from policies import uid
from policies.models import Card, Door, Holiday, PeopleGroup, Person, Rule, Visit
from policies.rules import CardStatus, Credential, DoorState, HolidayDay, RuleScope
from policies.snapshot import snapshot

MOST_CARDS = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """Who may enter, by name; and of those with a card that is good, how many may not, and why."""

    names: list[str]
    refused: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the door would say to one card, what is behind it, and what each rule says of it."""

    card_uid: str
    decision: Decision
    circumstance: str
    rules: list[RuleVerdict]

    @property
    def words(self) -> str:
        return WORDS[self.decision.reason]


def who_may_enter(door: Door, at: dt.datetime, *, clock_trusted: bool = True) -> Entry:
    """Everybody with a card that is good at that moment (in building time).

    The decision is asked once for all whose groups say the same of this door, and of each card of
    a visitor, for whom more counts than that.
    """
    with snapshot():
        state = door.state()
        rules = _rules_at(state)
        exempt = set(
            PeopleGroup.objects.filter(exempt_from_lockdown=True).values_list("pk", flat=True)
        )
        groups = _groups_of_people(exempt | {group for group, _ in rules if group is not None})
        holders = list(holders_at(at).values_list("pk", "name"))
        holidays = Holiday.objects.values_of_all()
        visitors = Card.objects.find_credentials(_visitors_cards(at)).values()
    reasons: dict[frozenset[int], Reason] = {}
    for own in {groups[person] for person, _ in holders}:
        credential = _good_card(
            tuple(rule for group, rule in rules if group is None or group in own),
            is_exempt=bool(own & exempt),
            holidays=holidays,
        )
        reasons[own] = decide(credential, state, at, clock_trusted=clock_trusted).reason
    told = {name: reasons[groups[person]] for person, name in holders}
    for credential in visitors:
        reason = decide(credential, state, at, clock_trusted=clock_trusted).reason
        if told.get(credential.holder) is not Reason.GRANTED:
            told[credential.holder] = reason
    refused = Counter(reason for reason in told.values() if reason is not Reason.GRANTED)
    return Entry(
        [name for name, reason in told.items() if reason is Reason.GRANTED],
        [(WORDS[reason], count) for reason, count in refused.most_common()],
    )


def holders_at(at: dt.datetime) -> QuerySet[Person]:
    """People with at least one card that is good at a moment and that no visit binds, whatever
    the rules say."""
    valid = _valid_at(at)
    visited = Exists(Visit.objects.filter(card=OuterRef("pk")))
    cards = Card.objects.filter(valid, ~visited, person=OuterRef("pk"), status=CardStatus.ACTIVE)
    visits = Exists(Visit.objects.filter(person=OuterRef("pk")))
    return Person.objects.filter(valid, ~visits, Exists(cards), active=True)


def explain_cards(
    door: Door, at: dt.datetime, term: str, *, clock_trusted: bool = True
) -> list[Explanation]:
    """The cards that a name or a number finds, at most ten; an unknown number is one, too."""
    uids = list(Card.objects.matching(term).values_list("uid", flat=True)[:MOST_CARDS])
    if not uids and uid.is_uid(term):
        uids = [uid.canonical(term)]
    return [_explained(door, at, card_uid, clock_trusted) for card_uid in uids]


def _explained(door: Door, at: dt.datetime, card_uid: str, clock_trusted: bool) -> Explanation:
    with snapshot():
        credential, state = Card.objects.find_credential(card_uid), door.state()
        decision = decide(credential, state, at, clock_trusted=clock_trusted)
        rules = list(rule_verdicts(decision, door, state, at, clock_trusted=clock_trusted))
        return Explanation(card_uid, decision, circumstance(decision, door, at), rules)


def _visitors_cards(at: dt.datetime) -> list[str]:
    """The good cards that a visit of that moment binds."""
    now = Visit.objects.filter(starts_at__lte=at, ends_at__gt=at)
    visited = Q(pk__in=now.values("card")) | Q(person__in=now.values("person"))
    cards = Card.objects.filter(visited, _valid_at(at), status=CardStatus.ACTIVE)
    return list(
        cards.filter(_valid_at(at, "person__"), person__active=True).values_list("uid", flat=True)
    )


def _valid_at(at: dt.datetime, whose: str = "") -> Q:
    begun = Q(**{f"{whose}valid_from": None}) | Q(**{f"{whose}valid_from__lte": at})
    return begun & (Q(**{f"{whose}valid_until": None}) | Q(**{f"{whose}valid_until__gt": at}))


def _rules_at(state: DoorState) -> list[tuple[int | None, RuleScope]]:
    """The rules that open this door, each with the group that it is for; None is everyone."""
    groups = dict(Rule.objects.values_list("name", "group"))
    return [(groups[rule.name], rule) for rule in Rule.objects.scopes() if rule.covers(state)]


def _groups_of_people(telling: set[int]) -> defaultdict[int, frozenset[int]]:
    """Of each person the groups that make a difference here."""
    found: dict[int, set[int]] = defaultdict(set)
    memberships = Person.groups.through.objects.filter(peoplegroup__in=telling)
    for person, group in memberships.values_list("person", "peoplegroup"):
        found[person].add(group)
    kept = {person: frozenset(groups) for person, groups in found.items()}
    return defaultdict(frozenset, kept)


def _good_card(
    rules: tuple[RuleScope, ...], *, is_exempt: bool, holidays: tuple[HolidayDay, ...]
) -> Credential:
    return Credential(
        uid="",
        holder="",
        status=CardStatus.ACTIVE,
        holder_active=True,
        valid_from=None,
        valid_until=None,
        rules=rules,
        lockdown_exempt=is_exempt,
        holidays=holidays,
    )
