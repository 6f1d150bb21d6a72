"""Schedules at every hour that clocks are set: `decide` against an oracle that paints wall clocks.

The oracle knows no intervals: it walks the wall clock minute by minute through each day, paints
the minutes in which a rule holds, and looks up what the clock shows at each minute of real time.
"""

import datetime as dt
import random
from collections.abc import Iterator
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from access.decision import decide
from policies.rules import (
    CardStatus,
    Credential,
    DayWindow,
    DoorState,
    HolidayDay,
    RuleScope,
    Window,
)
from tests.security.conftest import FULL
from tests.security.counting import count

ZONES = (
    "Europe/Berlin",
    "Europe/Dublin",  # its summer is standard time
    "America/New_York",
    "America/St_Johns",  # half an hour off
    "America/Santiago",  # at midnight
    "America/Asuncion",  # gave it up in 2024
    "Australia/Lord_Howe",  # by thirty minutes
    "Pacific/Chatham",  # three quarters off
    "Africa/Cairo",  # at midnight, again since 2023
    "Africa/Casablanca",  # four times a year, about Ramadan
    "Asia/Beirut",  # at midnight
    "Asia/Gaza",  # at other dates every year
    "Asia/Kolkata",  # never
)
YEARS = range(2024, 2031)
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
# Around an edge: every minute so near, and some of those so far.
NEAR = 28 * 60 if FULL else 100
FAR, EACH = 28 * 60, 29
SCHEDULES = 12 if FULL else 1  # an edge
DOOR = DoorState("front-door", switched_on=True)

Painted = set[tuple[dt.date, int]]


@cache
def edges(zone: ZoneInfo) -> list[dt.datetime]:
    """The first minute (UTC) of every new offset of the years; where there is none, midsummer."""
    return list(_edges(zone)) or [dt.datetime(2026, 6, 21, 20, 30, tzinfo=dt.UTC)]


def _edges(zone: ZoneInfo) -> Iterator[dt.datetime]:
    at = dt.datetime(YEARS[0], 1, 1, tzinfo=dt.UTC)
    end = dt.datetime(YEARS[-1] + 1, 1, 1, tzinfo=dt.UTC)
    while at < end:
        following = at + dt.timedelta(hours=6)
        if offset(at, zone) != offset(following, zone):
            yield next(
                minute
                for minute in (at + n * MINUTE for n in range(1, 361))
                if offset(minute, zone) != offset(at, zone)
            )
        at = following


def offset(at: dt.datetime, zone: ZoneInfo) -> dt.timedelta | None:
    return at.astimezone(zone).utcoffset()


def some_windows(chance: random.Random, shown: dt.datetime) -> tuple[Window, ...]:
    """Weekly windows, most of them where the clock jumps."""

    def near() -> dt.time:
        return (shown + chance.randint(-200, 200) * MINUTE).time()

    def anywhen() -> dt.time:
        return dt.time(chance.randrange(24), chance.randrange(60))

    made = []
    for _ in range(chance.randint(1, 3)):
        start = chance.choice((near, near, anywhen))()
        end = chance.choice((near, anywhen, lambda start=start: start))()
        made.append(Window(chance.choice((127, chance.randint(1, 127))), start, end))
    return tuple(made)


def some_holidays(chance: random.Random, shown: dt.datetime) -> tuple[HolidayDay, ...]:
    """At most one a date and kind, on and about the day of the edge."""
    found = {}
    for _ in range(chance.randint(0, 3)):
        date = shown.date() + chance.randint(-2, 2) * DAY
        yearly = chance.random() < 0.4
        own = [DayWindow(w.starts_at, w.ends_at) for w in some_windows(chance, shown)]
        date = date.replace(year=2024) if yearly else date
        found[date, yearly] = HolidayDay(date, yearly, tuple(own[: chance.randint(0, 2)]))
    return tuple(found.values())


class Oracle:
    """What a rule says, minute by minute of the days about an edge."""

    def __init__(
        self, windows: tuple[Window, ...], holidays: tuple[HolidayDay, ...], around: dt.date
    ) -> None:
        self.windows = windows
        self.dates = [around + number * DAY for number in range(-3, 4)]
        once = {one.date: one for one in holidays if not one.yearly}
        yearly = {f"{one.date:%m-%d}": one for one in holidays if one.yearly}
        self.holidays = {
            date: once.get(date) or yearly[f"{date:%m-%d}"]
            for date in self.dates
            if date in once or f"{date:%m-%d}" in yearly
        }
        self.painted: Painted = set()
        for date in self.dates:
            self.paint(date)

    def paint(self, date: dt.date) -> None:
        """What begins on a day, until the minute before its end."""
        if date in self.holidays:
            begins = [(own.starts_at, own.ends_at) for own in self.holidays[date].windows]
        else:
            begins = [
                (one.starts_at, one.ends_at)
                for one in self.windows
                if one.days & (1, 2, 4, 8, 16, 32, 64)[date.isoweekday() - 1]
            ]
        for start, end in begins:
            on, minute = date, start.hour * 60 + start.minute
            while True:
                if on == date or on not in self.holidays:
                    self.painted.add((on, minute))
                minute += 1
                if minute == 24 * 60:
                    on, minute = on + DAY, 0
                if minute == end.hour * 60 + end.minute:
                    break

    def reason(self, shown: dt.datetime) -> str:
        if (shown.date(), shown.hour * 60 + shown.minute) in self.painted:
            return "granted"
        return "holiday" if shown.date() in self.holidays else "outside_schedule"


@pytest.mark.parametrize("name", ZONES)
def test_every_minute_about_a_set_clock_is_decided_as_the_wall_clock_says(name):
    zone, chance = ZoneInfo(name), random.Random(name)
    minutes = sorted({*range(-NEAR, NEAR), *range(-FAR, FAR, EACH)})
    tried = 0
    for edge in edges(zone):
        before, after = (at.astimezone(zone) for at in (edge - MINUTE, edge))
        for _ in range(SCHEDULES):
            shown = chance.choice((before, after)).replace(tzinfo=None)
            windows, holidays = some_windows(chance, shown), some_holidays(chance, shown)
            oracle = Oracle(windows, holidays, after.date())
            credential = Credential(
                "04:A3:2B:F2:1C:80", "Anna", CardStatus.ACTIVE, True, None, None,
                (RuleScope("a rule", None, windows),), holidays=holidays,
            )  # fmt: skip
            for minute in minutes:
                moment = (edge + minute * MINUTE).astimezone(zone)
                decided = str(decide(credential, DOOR, moment).reason)
                assert decided == oracle.reason(moment), (moment, windows, holidays)
            tried += len(minutes)

    count(tried)


def test_the_zones_have_the_edges_that_they_are_known_for():
    found = {name: edges(ZoneInfo(name)) for name in ZONES}
    howe = ZoneInfo("Australia/Lord_Howe")

    assert len(found["Europe/Berlin"]) == 14
    assert len(found["Africa/Cairo"]) == 14
    assert len(found["Africa/Casablanca"]) > 12
    assert len(found["Asia/Kolkata"]) == 1  # midsummer stands for it
    assert {
        abs((offset(at, howe) or DAY) - (offset(at - MINUTE, howe) or DAY))
        for at in found["Australia/Lord_Howe"]
    } == {dt.timedelta(minutes=30)}


def test_the_oracle_tells_a_wrong_schedule_from_a_right_one():
    """A harness that cannot fail proves nothing."""
    monday = dt.date(2026, 11, 23)
    oracle = Oracle((Window(1, dt.time(22), dt.time(6)),), (), monday)

    assert oracle.reason(dt.datetime(2026, 11, 24, 5, 59)) == "granted"  # noqa: DTZ001  # a wall
    assert oracle.reason(dt.datetime(2026, 11, 24, 6, 0)) == "outside_schedule"  # noqa: DTZ001
    assert oracle.reason(dt.datetime(2026, 11, 23, 5, 59)) == "outside_schedule"  # noqa: DTZ001
