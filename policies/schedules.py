"""When a schedule holds, by the building's wall clock. Pure: no Django.

A moment is an aware datetime in building time; what is compared is what a clock on the wall shows.
So a window inside the hour that is left out in spring never matches, and the hour that comes twice
in autumn matches twice. Windows are half-open; `starts_at == ends_at` is 24 hours, and one that
ends before it starts runs overnight and belongs to the day on which it starts.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

EVERY_DAY = 0b1111111
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayWindow:
    """A part of one day, from `starts_at` (included) to `ends_at` (not included)."""

    starts_at: dt.time
    ends_at: dt.time


@dataclass(frozen=True, slots=True)
class Window:
    """The same part of some days of every week; `days` adds up Monday = 1, … Sunday = 64."""

    days: int
    starts_at: dt.time
    ends_at: dt.time

    def starts_on(self, date: dt.date) -> bool:
        return bool(self.days >> date.weekday() & 1)


@dataclass(frozen=True, slots=True)
class HolidayDay:
    """A day on which schedules rest: that date, or every year's. Its own windows replace theirs."""

    date: dt.date
    yearly: bool
    windows: tuple[DayWindow, ...]

    def falls_on(self, date: dt.date) -> bool:
        if self.yearly:
            return (self.date.month, self.date.day) == (date.month, date.day)
        return self.date == date


class Holding(Enum):
    """Whether a schedule holds, and why not."""

    HOLDS = auto()
    HOLIDAY = auto()
    OUTSIDE = auto()


def holiday_on(date: dt.date, holidays: Iterable[HolidayDay]) -> HolidayDay | None:
    """The holiday of that date. A one-off one goes before a yearly one."""
    found = [holiday for holiday in holidays if holiday.falls_on(date)]
    return min(found, key=lambda holiday: holiday.yearly, default=None)


def holding(
    windows: Iterable[Window], holidays: tuple[HolidayDay, ...], moment: dt.datetime
) -> Holding:
    """Whether a schedule of these windows holds at a moment in building time.

    On a holiday only what starts that day by the holiday's own windows: nothing spills in from the
    evening before. The day after, what a holiday's own windows began still runs.
    """
    date, time = moment.date(), moment.time()
    today = holiday_on(date, holidays)
    if today:
        own = any(_covers_first_day(window, time) for window in today.windows)
        return Holding.HOLDS if own else Holding.HOLIDAY
    if any(window.starts_on(date) and _covers_first_day(window, time) for window in windows):
        return Holding.HOLDS
    began = _began_on(date - DAY, windows, holidays)
    return Holding.HOLDS if any(_covers_next_day(one, time) for one in began) else Holding.OUTSIDE


def _began_on(
    date: dt.date, windows: Iterable[Window], holidays: Iterable[HolidayDay]
) -> Sequence[Window | DayWindow]:
    holiday = holiday_on(date, holidays)
    return holiday.windows if holiday else [one for one in windows if one.starts_on(date)]


def _covers_first_day(window: Window | DayWindow, time: dt.time) -> bool:
    return window.starts_at <= time and (time < window.ends_at or _reaches_next_day(window))


def _covers_next_day(window: Window | DayWindow, time: dt.time) -> bool:
    return time < window.ends_at and _reaches_next_day(window)


def _reaches_next_day(window: Window | DayWindow) -> bool:
    return window.ends_at <= window.starts_at
