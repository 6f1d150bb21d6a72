"""Does this credential open this door now? Every reason, and their order."""

import datetime as dt
from dataclasses import replace

import pytest

from access.decision import WORDS, Reason, decide, explain
from policies.models import (
    Card,
    Door,
    Holiday,
    HolidayWindow,
    House,
    PeopleGroup,
    Person,
    Rule,
    Schedule,
    ScheduleWindow,
    Zone,
)
from policies.rules import (
    CardStatus,
    Credential,
    DayWindow,
    DoorState,
    HolidayDay,
    RuleScope,
    Window,
)
from tests.conftest import ANNA_UID

NOW = dt.datetime(2026, 11, 23, 7, 37, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
EVERYWHERE = RuleScope("everywhere", doors=None)
GARAGE = RuleScope("garage only", doors=frozenset({"garage"}))
FRONT = RuleScope("front only", doors=frozenset({"front-door"}))
CELLAR = RuleScope("cellar only", doors=frozenset(), zone=7)
MORNING = Window(127, dt.time(7), dt.time(8))  # NOW is in it
EVENING = Window(127, dt.time(19), dt.time(20))
MORNINGS = RuleScope("in the morning", doors=None, windows=(MORNING,))
EVENINGS = RuleScope("in the evening", doors=None, windows=(EVENING,))
NEVER = RuleScope("never", doors=None, windows=())
TODAY = HolidayDay(NOW.date(), yearly=False, windows=())
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
LOCKED = DoorState("front-door", switched_on=True, locked_windows=(MORNING,))
LOCKDOWN = DoorState("front-door", switched_on=True, lockdown=True)


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
        (replace(ANNA, rules=(CELLAR,)), DOOR, "no_rule"),
        (replace(ANNA, rules=(CELLAR,)), replace(DOOR, zones=frozenset({5, 7})), "granted"),
        (replace(ANNA, rules=(CELLAR,)), replace(DOOR, zones=frozenset({5})), "no_rule"),
        (replace(ANNA, rules=(FRONT,)), replace(DOOR, device_id="shed"), "no_rule"),
        (ANNA, LOCKED, "door_disabled"),
        (ANNA, replace(LOCKED, locked_windows=(EVENING,)), "granted"),
        (ANNA, replace(DOOR, unlocked_windows=(EVENING,)), "granted"),
        (replace(ANNA, rules=()), replace(DOOR, unlocked_windows=(MORNING,)), "no_rule"),
        (ANNA, LOCKDOWN, "lockdown"),
        (replace(ANNA, lockdown_exempt=True), LOCKDOWN, "granted"),
        (replace(ANNA, rules=(), lockdown_exempt=True), LOCKDOWN, "no_rule"),
        (replace(ANNA, rules=(MORNINGS,)), DOOR, "granted"),
        (replace(ANNA, rules=(EVENINGS,)), DOOR, "outside_schedule"),
        (replace(ANNA, rules=(NEVER,)), DOOR, "outside_schedule"),
        (replace(ANNA, rules=(EVENINGS, MORNINGS)), DOOR, "granted"),
        (replace(ANNA, rules=(EVENINGS, GARAGE)), DOOR, "outside_schedule"),
        (replace(ANNA, rules=(replace(MORNINGS, doors=frozenset()),)), DOOR, "no_rule"),
        (replace(ANNA, rules=(MORNINGS,), holidays=(TODAY,)), DOOR, "holiday"),
        (replace(ANNA, rules=(EVENINGS,), holidays=(TODAY,)), DOOR, "holiday"),
        (replace(ANNA, rules=(GARAGE,), holidays=(TODAY,)), DOOR, "no_rule"),
        (replace(ANNA, rules=(MORNINGS, EVERYWHERE), holidays=(TODAY,)), DOOR, "granted"),
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
        holidays=(TODAY,),
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
    found.append(decide(worst, replace(LOCKED, lockdown=True), NOW).reason)
    found.append(decide(worst, LOCKDOWN, NOW).reason)
    for change in (
        {"rules": (GARAGE,)},
        {"rules": (GARAGE, EVENINGS)},
        {"holidays": ()},
        {"rules": (GARAGE, EVENINGS, MORNINGS)},
    ):
        worst = replace(worst, **change)
        found.append(decide(worst, DOOR, NOW).reason)

    assert found == [
        "card_blocked",
        "card_inactive",
        "not_yet_valid",
        "expired",
        "door_disabled",
        "door_disabled",
        "lockdown",
        "no_rule",
        "holiday",
        "outside_schedule",
        "granted",
    ]
    assert list(dict.fromkeys(["unknown_card", *found])) == list(Reason)
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


def test_the_rule_that_holds_now_is_named_before_one_that_comes_first():
    decision = decide(replace(ANNA, rules=(EVENINGS, MORNINGS, EVERYWHERE)), DOOR, NOW)

    assert (decision.granted, decision.rule) == (True, "in the morning")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ((MORNINGS,), "outside_schedule"),
        ((EVENINGS,), "outside_schedule"),
        ((MORNINGS, EVERYWHERE), "granted"),
        ((GARAGE,), "no_rule"),
    ],
)
def test_while_the_clock_is_wrong_only_rules_that_always_hold_grant(rules, reason):
    credential = replace(ANNA, rules=rules, holidays=(TODAY,))

    assert decide(credential, DOOR, NOW, clock_trusted=False).reason == reason


def test_every_rule_is_explained_in_its_order():
    rules = (GARAGE, EVENINGS, MORNINGS, EVERYWHERE)

    assert explain(replace(ANNA, rules=rules), DOOR, NOW) == [
        ("garage only", "no_rule"),
        ("in the evening", "outside_schedule"),
        ("in the morning", "granted"),
        ("everywhere", "granted"),
    ]
    assert explain(replace(ANNA, rules=rules, holidays=(TODAY,)), DOOR, NOW) == [
        ("garage only", "no_rule"),
        ("in the evening", "holiday"),
        ("in the morning", "holiday"),
        ("everywhere", "granted"),
    ]
    assert explain(replace(ANNA, rules=(MORNINGS,)), DOOR, NOW, clock_trusted=False) == [
        ("in the morning", "outside_schedule")
    ]


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

    # The policies' state; card and person; groups; rules; their doors.
    with django_assert_num_queries(5):
        found = Card.objects.find_credential(ANNA_UID)

    assert len(found.rules) == 11


def test_schedules_and_holidays_cost_two_queries_more_however_many_there_are(
    annas_card, anna, door, django_assert_num_queries
):
    for number in range(3):
        schedule = Schedule.objects.create(name=f"schedule {number}")
        for _ in range(4):
            ScheduleWindow.objects.create(
                schedule=schedule, days=1, starts_at=dt.time(9), ends_at=dt.time(12)
            )
        rule = Rule.objects.create(name=f"rule {number}", schedule=schedule)
        rule.doors.add(Door.objects.get())
        holiday = Holiday.objects.create(name="h", date=dt.date(2026, 12, 20 + number))
        for _ in range(number):
            HolidayWindow.objects.create(
                holiday=holiday, starts_at=dt.time(10), ends_at=dt.time(11)
            )

    with django_assert_num_queries(7):
        found = Card.objects.find_credential(ANNA_UID)

    window, own = Window(1, dt.time(9), dt.time(12)), DayWindow(dt.time(10), dt.time(11))
    assert [len(rule.windows or ()) for rule in found.rules] == [0, 4, 4, 4]
    assert found.rules[1] == RuleScope("rule 0", frozenset({"front-door"}), (window,) * 4)
    assert found.holidays == tuple(
        HolidayDay(dt.date(2026, 12, 20 + number), yearly=False, windows=(own,) * number)
        for number in range(3)
    )


def test_a_card_without_schedules_carries_no_holidays(annas_card):
    Holiday.objects.create(name="Christmas", date=dt.date(2026, 12, 25), yearly=True)

    assert Card.objects.find_credential(ANNA_UID).holidays == ()


def test_a_schedule_without_windows_never_holds(annas_card):
    Rule.objects.update(schedule=Schedule.objects.create(name="empty"))

    (rule,) = Card.objects.find_credential(ANNA_UID).rules
    assert rule.windows == ()


def test_a_rule_names_doors_and_a_zone(annas_card, door):
    cellar, rule = Zone.objects.create(name="cellar"), Rule.objects.get()
    Rule.objects.update(every_door=False, zone=cellar)
    rule.doors.add(door.door)

    (found,) = Card.objects.find_credential(ANNA_UID).rules

    assert (found.doors, found.zone) == (frozenset({"front-door"}), cellar.pk)


@pytest.mark.parametrize(
    ("house", "zone", "itself", "lockdown"),
    [
        (False, False, False, False),
        (True, False, False, True),
        (False, True, False, True),
        (False, False, True, True),
    ],
)
def test_a_door_is_locked_down_with_its_house_its_zone_or_by_itself(
    door, house, zone, itself, lockdown
):
    cellar, attic = Zone.objects.create(name="cellar"), Zone.objects.create(name="attic")
    cellar.devices.add(door)
    attic.set_lockdown(True)  # somewhere else

    House.current().set_lockdown(house)
    cellar.set_lockdown(zone)
    door.door.set_lockdown(itself)

    state = Door.objects.get().state()
    assert (state.lockdown, state.zones) == (lockdown, {cellar.pk})


def test_a_door_without_schedules_costs_two_queries_and_with_them_two_more(
    door, django_assert_num_queries
):
    nights, days = Schedule.objects.create(name="nights"), Schedule.objects.create(name="days")
    ScheduleWindow.objects.create(schedule=nights, starts_at=dt.time(22), ends_at=dt.time(6))
    ScheduleWindow.objects.create(schedule=days, starts_at=dt.time(8), ends_at=dt.time(18))
    Holiday.objects.create(name="today", date=NOW.date())
    door = Door.objects.get()
    with django_assert_num_queries(2):
        door.state()

    Door.objects.update(always_locked=nights, always_unlocked=days)
    door = Door.objects.get()
    with django_assert_num_queries(4):
        state = door.state()

    assert state.locked_windows == (Window(127, dt.time(22), dt.time(6)),)
    assert state.unlocked_windows == (Window(127, dt.time(8), dt.time(18)),)
    assert state.holidays == (TODAY,)


@pytest.mark.parametrize(("exempt", "found"), [(True, True), (False, False)])
def test_one_exempt_group_is_enough(annas_card, anna, exempt, found):
    anna.groups.add(
        PeopleGroup.objects.create(name="family"),
        PeopleGroup.objects.create(name="firemen", exempt_from_lockdown=exempt),
    )
    PeopleGroup.objects.create(name="others", exempt_from_lockdown=True)

    assert Card.objects.find_credential(ANNA_UID).lockdown_exempt is found


def test_a_card_that_nobody_was_given_has_no_credential(db):
    assert Card.objects.find_credential(ANNA_UID) is None
