"""An ordinary week in minutes and in words."""

import datetime as dt

import pytest

from policies import week
from policies.rules import Window
from policies.schedules import Holding, holding
from policies.week import ALWAYS, NEVER

MONDAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
WORK, WEEKEND, EVERY = 0b0011111, 0b1100000, 0b1111111


def window(days: int, start: str, end: str) -> Window:
    return Window(days, dt.time.fromisoformat(start), dt.time.fromisoformat(end))


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ([], []),
        ([(2, "09:00", "12:00")], ["Tue 09:00–12:00"]),
        ([(WORK, "09:00", "17:00")], ["Mon–Fri 09:00–17:00"]),
        ([(EVERY, "09:00", "17:00")], ["every day 09:00–17:00"]),
        ([(0b10101, "09:00", "17:00")], ["Mon, Wed and Fri 09:00–17:00"]),
        ([(16, "22:00", "06:00")], ["Fri 22:00–06:00 (next day)"]),
        ([(64, "22:00", "06:00")], ["Sun 22:00–06:00 (next day)"]),
        ([(1, "22:00", "00:00")], ["Mon 22:00–24:00"]),
        ([(WEEKEND, "00:00", "00:00")], ["Sat and Sun all day"]),
        ([(EVERY, "00:00", "00:00")], ["at all hours"]),
        ([(EVERY, "13:00", "13:00")], ["at all hours"]),
        ([(1, "13:00", "13:00")], ["Mon 13:00–13:00 (next day)"]),
        ([(16, "18:00", "00:00"), (WEEKEND, "00:00", "00:00")], ["Fri 18:00 for 54 hours"]),
        # What overlaps is one.
        ([(1, "09:00", "12:00"), (1, "11:00", "13:00")], ["Mon 09:00–13:00"]),
        (
            [(WORK, "09:00", "12:00"), (WORK, "14:00", "17:00")],
            ["Mon–Fri 09:00–12:00", "Mon–Fri 14:00–17:00"],
        ),
    ],
)
def test_a_schedule_in_words(windows, words):
    assert week.in_words(week.covered(window(*one) for one in windows)) == words


@pytest.mark.parametrize(
    "windows",
    [
        [(WORK, "09:00", "17:30")],
        [(EVERY, "22:00", "06:00")],
        [(64, "12:00", "12:00"), (1, "11:30", "12:30")],
        [(0b1001000, "23:30", "00:30"), (WEEKEND, "00:00", "00:00")],
    ],
)
def test_the_minutes_are_those_of_the_decision(windows):
    windows = [window(*one) for one in windows]

    spans = week.covered(windows)

    for minute in range(0, week.WEEK, 10):
        holds = holding(windows, (), MONDAY + dt.timedelta(minutes=minute)) is Holding.HOLDS
        assert any(start <= minute < end for start, end in spans) is holds, minute


def test_an_overnight_window_is_shown_where_it_runs():
    night = week.by_day(week.covered([window(1 + 64, "22:00", "06:00")]))

    assert night == [((0, 360), (1320, 1440)), ((0, 360),), (), (), (), (), ((1320, 1440),)]


@pytest.mark.parametrize(
    ("spans", "taken", "left"),
    [
        (ALWAYS, NEVER, ALWAYS),
        (ALWAYS, ALWAYS, NEVER),
        (NEVER, ALWAYS, NEVER),
        (((10, 20), (30, 40)), ((15, 35),), ((10, 15), (35, 40))),
        (((10, 40),), ((15, 20), (20, 30)), ((10, 15), (30, 40))),
        (((10, 20),), ((0, 5), (25, 30)), ((10, 20),)),
    ],
)
def test_minutes_without_others(spans, taken, left):
    assert week.without(spans, taken) == left


def test_hours_of_a_week():
    assert week.hours(week.covered([window(WORK, "09:00", "16:30")])) == "37.5 hours"
    assert week.hours(((0, 60),)) == "1 hour"
    assert week.hours(ALWAYS) == "168 hours"
