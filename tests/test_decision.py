"""Does this credential open this door now? Every reason, and their order."""

import datetime as dt
from dataclasses import replace

import pytest

from access.decision import WORDS, Reason, decide
from policies.models import Card, Door, PeopleGroup, Person, Rule, Zone
from policies.rules import CardStatus, Credential, DoorState, RuleScope
from tests.conftest import ANNA_UID

NOW = dt.datetime(2026, 11, 23, 7, 37, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
EVERYWHERE = RuleScope("everywhere", doors=None)
GARAGE = RuleScope("garage only", doors=frozenset({"garage"}))
FRONT = RuleScope("front only", doors=frozenset({"front-door"}))
ANNA = Credential(
    uid=ANNA_UID,
    holder="Anna",
    status=CardStatus.ACTIVE,
    holder_active=True,
    valid_from=None,
    valid_until=None,
    rules=(EVERYWHERE,),
)
DOOR = DoorState("front-door", switched_on=True)
OFF = DoorState("front-door", switched_on=False)


@pytest.mark.parametrize(
    ("credential", "door", "reason"),
    [
        (ANNA, DOOR, "granted"),
        (None, DOOR, "unknown_card"),
        (replace(ANNA, status=CardStatus.BLOCKED), DOOR, "card_blocked"),
        (replace(ANNA, status=CardStatus.INACTIVE), DOOR, "card_inactive"),
        (replace(ANNA, holder_active=False), DOOR, "card_inactive"),
        (replace(ANNA, valid_from=NOW + HOUR), DOOR, "not_yet_valid"),
        (replace(ANNA, valid_until=NOW - HOUR), DOOR, "expired"),
        (ANNA, OFF, "door_disabled"),
        (replace(ANNA, rules=()), DOOR, "no_rule"),
        (replace(ANNA, rules=(GARAGE,)), DOOR, "no_rule"),
        (replace(ANNA, rules=(GARAGE, FRONT)), DOOR, "granted"),
    ],
)
def test_every_reason(credential, door, reason):
    assert decide(credential, door, NOW).reason == reason


def test_the_first_reason_that_applies_is_named():
    worst = replace(
        ANNA,
        status=CardStatus.BLOCKED,
        holder_active=False,
        valid_from=NOW + HOUR,
        valid_until=NOW - HOUR,
        rules=(),
    )
    mended = (
        {},
        {"status": CardStatus.ACTIVE},
        {"holder_active": True},
        {"valid_from": None},
        {"valid_until": None},
    )

    found = []
    for change in mended:
        worst = replace(worst, **change)
        found.append(decide(worst, OFF, NOW).reason)
    found.append(decide(worst, DOOR, NOW).reason)
    found.append(decide(replace(worst, rules=(EVERYWHERE,)), DOOR, NOW).reason)

    assert found == [
        "card_blocked",
        "card_inactive",
        "not_yet_valid",
        "expired",
        "door_disabled",
        "no_rule",
        "granted",
    ]
    assert decide(None, OFF, NOW).reason == "unknown_card"


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (NOW - dt.timedelta(milliseconds=1), "not_yet_valid"),
        (NOW, "granted"),
        (NOW + HOUR - dt.timedelta(milliseconds=1), "granted"),
        (NOW + HOUR, "expired"),
    ],
)
def test_validity_is_half_open(moment, reason):
    credential = replace(ANNA, valid_from=NOW, valid_until=NOW + HOUR)

    assert decide(credential, DOOR, moment).reason == reason


def test_the_rule_that_granted_is_named():
    decision = decide(replace(ANNA, rules=(GARAGE, FRONT, EVERYWHERE)), DOOR, NOW)

    assert (decision.granted, decision.rule) == (True, "front only")


def test_every_reason_has_words_and_only_one_grants():
    assert set(WORDS) == set(Reason)
    assert [r for r in Reason if r == "granted"] == [Reason.GRANTED]


@pytest.mark.parametrize(
    ("card", "person", "combined"),
    [
        ((None, None), (None, None), (None, None)),
        ((0, 9), (None, None), (0, 9)),
        ((None, None), (1, 8), (1, 8)),
        ((0, 9), (1, 8), (1, 8)),
        ((2, 7), (1, 8), (2, 7)),
        ((None, 9), (1, None), (1, 9)),
    ],
)
def test_the_stricter_of_card_and_person_counts(annas_card, card, person, combined):
    def hours(count):
        return None if count is None else NOW + count * HOUR

    Card.objects.update(valid_from=hours(card[0]), valid_until=hours(card[1]))
    Person.objects.update(valid_from=hours(person[0]), valid_until=hours(person[1]))

    found = Card.objects.find_credential(ANNA_UID)

    assert (found.valid_from, found.valid_until) == (hours(combined[0]), hours(combined[1]))


def test_a_fresh_house_lets_everyone_through_every_door(annas_card):
    found = Card.objects.find_credential(ANNA_UID)

    assert [rule.name for rule in found.rules] == ["everyone, every door, always"]
    assert found.rules[0].covers(DoorState("any-door", switched_on=True))


def test_a_rule_counts_for_its_group_and_its_doors(annas_card, anna, door):
    cleaners, ground_floor = PeopleGroup.objects.create(name="cleaners"), Zone.objects.create()
    Rule.objects.all().delete()
    by_door = Rule.objects.create(name="by door", group=cleaners)
    by_door.doors.add(Door.objects.get())
    by_zone = Rule.objects.create(name="by zone", group=cleaners, zone=ground_floor)

    stranger = Card.objects.find_credential(ANNA_UID)
    anna.groups.add(cleaners)
    ground_floor.devices.add(door)
    member = Card.objects.find_credential(ANNA_UID)

    assert stranger.rules == ()
    assert [rule.name for rule in member.rules] == [by_door.name, by_zone.name]
    assert [rule.covers(door.door.state()) for rule in member.rules] == [True, True]
    assert [rule.covers(DoorState("garage", True)) for rule in member.rules] == [False, False]


def test_a_look_up_costs_the_same_for_one_rule_and_for_ten(
    annas_card, anna, door, django_assert_num_queries
):
    group, zone = PeopleGroup.objects.create(name="family"), Zone.objects.create(name="all")
    anna.groups.add(group)
    for number in range(10):
        rule = Rule.objects.create(name=f"rule {number}", group=group, zone=zone)
        rule.doors.add(Door.objects.get())

    with django_assert_num_queries(3):  # card and person; rules with doors; lockdown's exemption
        found = Card.objects.find_credential(ANNA_UID)

    assert len(found.rules) == 11


def test_a_card_that_nobody_was_given_has_no_credential(db):
    assert Card.objects.find_credential(ANNA_UID) is None
