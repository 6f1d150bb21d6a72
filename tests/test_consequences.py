"""Who gains and who loses which door: literal cases, and against the decision itself."""

import datetime as dt
import random
from dataclasses import replace

import pytest

from access.decision import decide
from policies.consequences import compare, listed
from policies.reach import Entrance, Holder, Opening, Reach
from policies.rules import (
    CardStatus,
    Credential,
    DayWindow,
    DoorState,
    HolidayDay,
    RuleScope,
    Window,
)
from policies.week import ALWAYS, NEVER, covered

NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)  # a Monday
WORK, EVERY = 0b0011111, 0b1111111
CLEANERS, FAMILY = 1, 2


def window(days: int, start: str, end: str) -> Window:
    return Window(days, dt.time.fromisoformat(start), dt.time.fromisoformat(end))


TUESDAY = (window(2, "09:00", "12:00"),)
OFFICE = (window(WORK, "09:00", "17:00"),)
CHRISTMAS = HolidayDay(dt.date(2026, 12, 25), yearly=True, windows=())


def holder(name: str, *groups: int, **fields) -> Holder:
    known = {"active": True, "valid_from": None, "valid_until": None}
    return Holder(name, groups=frozenset(groups), **(known | fields))


HOUSE = Reach(
    holders={1: holder("Anna", FAMILY), 2: holder("Ben", CLEANERS), 3: holder("Cem", CLEANERS)},
    openings={
        1: Opening(FAMILY, frozenset({"front", "garage"}), None),
        2: Opening(CLEANERS, frozenset({"front"}), TUESDAY),
    },
    entrances={"front": Entrance("Front door", NEVER), "garage": Entrance("Garage", NEVER)},
    holidays=(CHRISTMAS,),
)


def with_rule(rule: int, **changes) -> Reach:
    opening = replace(HOUSE.openings[rule], **changes)
    return replace(HOUSE, openings=HOUSE.openings | {rule: opening})


def with_holder(pk: int, **changes) -> Reach:
    return replace(HOUSE, holders=HOUSE.holders | {pk: replace(HOUSE.holders[pk], **changes)})


def with_door(door: str, shut) -> Reach:
    return replace(HOUSE, entrances=HOUSE.entrances | {door: Entrance("Front door", shut)})


def without(part: str, key) -> Reach:
    return replace(HOUSE, **{part: {k: v for k, v in getattr(HOUSE, part).items() if k != key}})


def said(before: Reach, after: Reach) -> list[str]:
    return [
        f"{one.who} {'+' if one.gains else '-'} {one.where}: {one.when}"
        for one in compare(before, after, NOW).changes
    ]


TWO = "Ben and Cem"
THE_REST = "all week but Tue 09:00–12:00 (165 hours a week), on holidays too"
MORNING = "Tue 09:00–12:00 (3 hours a week)"
BEN = f"Ben - Front door: {MORNING}"
AUGUST = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (HOUSE, []),
        (with_rule(1, group=None), [
            f"{TWO} + Front door: {THE_REST}", f"{TWO} + Garage: always"]),
        (without("openings", 2), [f"{TWO} - Front door: {MORNING}"]),
        (with_rule(2, doors=frozenset({"garage"})), [
            f"{TWO} + Garage: {MORNING}", f"{TWO} - Front door: {MORNING}"]),
        (with_rule(2, windows=()), [f"{TWO} - Front door: {MORNING}"]),
        (with_rule(2, windows=OFFICE), [
            f"{TWO} + Front door: Mon, Wed, Thu and Fri 09:00–17:00; "
            "Tue 12:00–17:00 (37 hours a week)"]),
        (with_rule(2, windows=None), [f"{TWO} + Front door: {THE_REST}"]),
        # What another rule gives already is no gain.
        (with_rule(2, group=FAMILY), [f"{TWO} - Front door: {MORNING}"]),
        # The person
        (with_holder(2, active=False), [BEN]),
        (with_holder(2, groups=frozenset()), [BEN]),
        (with_holder(2, groups=frozenset({CLEANERS, FAMILY})), [
            f"Ben + Front door: {THE_REST}", "Ben + Garage: always"]),
        (with_holder(2, valid_until=AUGUST), [f"{BEN}, from 1 Aug 2026, 00:00"]),
        (with_holder(2, valid_from=AUGUST), [f"{BEN}, until 1 Aug 2026, 00:00"]),
        (with_holder(2, valid_until=NOW), [BEN]),
        (without("holders", 2), [BEN]),
        # The door
        (with_door("front", ALWAYS), [
            f"{TWO} - Front door: {MORNING}", "Anna - Front door: always"]),
        (with_door("front", covered([window(EVERY, "08:00", "10:00")])), [
            f"{TWO} - Front door: Tue 09:00–10:00 (1 hour a week)",
            "Anna - Front door: every day 08:00–10:00 (14 hours a week), on holidays too"]),
    ],
)  # fmt: skip
def test_what_a_change_means(after, wanted):
    assert said(HOUSE, after) == wanted


NIGHTS = (window(EVERY, "22:00", "06:00"),)
THURSDAY_NIGHT = replace(
    HOUSE, openings={2: replace(HOUSE.openings[2], windows=NIGHTS)}, holidays=()
)
FRIDAY = dt.date(2026, 3, 6)
NOON = DayWindow(dt.time(12), dt.time(13))


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        # The evening before ends at midnight, the night that would begin does not happen.
        ([], [HolidayDay(FRIDAY, yearly=False, windows=())], [
            "- Fri 6 Mar 2026 00:00–06:00, 22:00–24:00; Sat 7 Mar 2026 00:00–06:00"]),
        ([], [HolidayDay(FRIDAY, yearly=False, windows=(NOON,))], [
            "+ Fri 6 Mar 2026 12:00–13:00",
            "- Fri 6 Mar 2026 00:00–06:00, 22:00–24:00; Sat 7 Mar 2026 00:00–06:00"]),
        ([HolidayDay(FRIDAY, yearly=False, windows=(NOON,))],
         [HolidayDay(FRIDAY, yearly=False, windows=())],
         ["- Fri 6 Mar 2026 12:00–13:00"]),
        ([], [HolidayDay(FRIDAY, yearly=True, windows=())], [
            "- Fri 6 Mar 2026 00:00–06:00, 22:00–24:00 and in later years; "
            "Sat 7 Mar 2026 00:00–06:00 and in later years"]),
        # A one-off holiday goes before a yearly one.
        ([HolidayDay(FRIDAY, yearly=False, windows=())],
         [HolidayDay(FRIDAY, yearly=yearly, windows=()) for yearly in (False, True)],
         ["- Sat 6 Mar 2027 00:00–06:00, 22:00–24:00 and in later years; "
          "Sun 7 Mar 2027 00:00–06:00 and in later years"]),
        # What is over changes nothing.
        ([], [HolidayDay(dt.date(2026, 2, 20), yearly=False, windows=())], []),
        # Its night still runs today.
        ([], [HolidayDay(dt.date(2026, 3, 1), yearly=False, windows=())],
         ["- Mon 2 Mar 2026 00:00–06:00"]),
        ([], [HolidayDay(dt.date(2024, 2, 29), yearly=True, windows=())],
         ["- Tue 29 Feb 2028 00:00–06:00, 22:00–24:00 and in later years; "
          "Wed 1 Mar 2028 00:00–06:00 and in later years"]),
    ],
)  # fmt: skip
def test_what_a_holiday_means(before, after, wanted):
    before, after = (
        replace(THURSDAY_NIGHT, holidays=tuple(holidays)) for holidays in (before, after)
    )

    found = [
        line.replace("Ben and Cem ", "").replace("Front door: ", "") for line in said(before, after)
    ]

    assert found == wanted


def test_many_times_are_not_all_told():
    often = tuple(window(EVERY, f"{hour:02}:00", f"{hour:02}:30") for hour in range(1, 10))

    (told,) = said(without("openings", 2), with_rule(2, windows=often))

    assert told.endswith("06:00–06:30; 3 more times (31.5 hours a week)")


def some_reach(rng: random.Random, holidays: tuple[HolidayDay, ...]) -> Reach:
    """Two people, two doors, a few rules."""

    def times():
        if rng.random() < 0.2:
            return None
        hours = [dt.time(rng.randrange(24)) for _ in range(4)]
        return tuple(Window(rng.randrange(1, 128), *hours[at : at + 2]) for at in (0, 2))

    def some(keys, chance=0.5):
        return frozenset(key for key in keys if rng.random() < chance)

    doors = ("front", "garage")
    return Reach(
        holders={
            pk: holder(name, *some((1, 2, 3)), active=rng.random() < 0.9)
            for pk, name in enumerate(("Anna", "Ben"))
        },
        openings={
            pk: Opening(rng.choice((None, 1, 2, 3)), some(doors), times())
            for pk in some(range(5), 0.7)
        },
        entrances={
            door: Entrance(door, rng.choice((NEVER, NEVER, ALWAYS, covered(times() or ()))))
            for door in doors
        },
        holidays=holidays,
    )


def passes(reach: Reach, pk: int, door: str, moments: list[dt.datetime]) -> set[dt.datetime]:
    """When the decision itself lets somebody through."""
    person = reach.holders[pk]
    credential = Credential(
        uid="",
        holder=person.name,
        status=CardStatus.ACTIVE,
        holder_active=person.active,
        valid_from=None,
        valid_until=None,
        rules=tuple(
            RuleScope(str(rule), opening.doors, opening.windows)
            for rule, opening in reach.openings.items()
            if opening.group is None or opening.group in person.groups
        ),
        holidays=reach.holidays,
    )
    shut = reach.entrances[door].shut
    return {
        at
        for at in moments
        if decide(credential, DoorState(door, switched_on=True), at).granted
        and not any(start <= minute_of_week(at) < end for start, end in shut)
    }


def minute_of_week(at: dt.datetime) -> int:
    return (at.weekday() * 24 + at.hour) * 60 + at.minute


def hours_of(first: dt.date, days: int) -> list[dt.datetime]:
    start = dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC)
    return [start + dt.timedelta(hours=hour) for hour in range(24 * days)]


def told_and_true(before: Reach, after: Reach, moments: list[dt.datetime]) -> tuple[set, set]:
    """Who is said to gain or lose a door, and who does."""
    told = {
        (one.gains, person, door)
        for one in compare(before, after, NOW).changes
        for person in one.people
        for door in one.doors
    }
    true = set()
    for pk, person in before.holders.items():
        for door in before.entrances:
            was, is_now = (passes(side, pk, door, moments) for side in (before, after))
            true |= {(True, person.name, door)} if is_now - was else set()
            true |= {(False, person.name, door)} if was - is_now else set()
    return told, true


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_forgotten_and_nothing_is_made_up(seed):
    rng = random.Random(seed)  # noqa: S311  # chance, to be had again
    # One on every day of the week: what is said of holidays is said of any.
    holidays = tuple(
        HolidayDay(dt.date(2026, 5, day), yearly=False, windows=(NOON,)) for day in range(1, 8)
    )
    before, after = some_reach(rng, holidays), some_reach(rng, holidays)
    moments = hours_of(NOW.date(), 7) + hours_of(holidays[0].date, 7)

    told, true = told_and_true(before, after, moments)

    assert told == true


@pytest.mark.parametrize("seed", range(10))
def test_nobody_is_forgotten_when_a_holiday_moves(seed):
    rng = random.Random(seed)  # noqa: S311  # chance, to be had again
    before = some_reach(rng, (HolidayDay(dt.date(2026, 5, 1), yearly=False, windows=(NOON,)),))
    moved = HolidayDay(dt.date(2026, 5, 1 + seed % 4), yearly=False, windows=())
    after = replace(before, holidays=(moved,))

    told, true = told_and_true(before, after, hours_of(dt.date(2026, 4, 28), 10))

    assert told == true


def test_some_names_and_how_many_more():
    assert listed(["Anna"]) == "Anna"
    assert listed(["Anna", "Ben"]) == "Anna and Ben"
    assert listed([f"{n}" for n in range(40)]) == "0, 1, 2, 3, 4 and 35 more"
