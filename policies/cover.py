"""When rules let somebody through a door: in an ordinary week, on holidays, on certain dates.

Rules are bits of a number here, so that what a person and a door have in common is one AND; what
a set of rules means is worked out once. Values only: nothing is asked.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from policies import week
from policies.reach import Holder, Reach
from policies.rules import HolidayDay, Window
from policies.schedules import DAY, EVERY_DAY, Holding, holding
from policies.week import ALWAYS, NEVER, Spans

YEARS = 7  # in which a yearly holiday meets nearly every day of the week

Times = tuple[Window, ...] | None  # of a rule; None is always


@dataclass(frozen=True, eq=False)  # made once for what is the same, so it is its own key
class Cover:
    """When somebody passes a door: in an ordinary week, on holidays, on certain dates."""

    spans: Spans
    holidays: Spans  # were every day one
    dates: tuple[Spans, ...]
    is_always: bool = False


class Side:
    """The policies before or after; a rule has the same bit on both sides."""

    def __init__(
        self, reach: Reach, bits: dict[int, int], dates: list[dt.date], own_hours: Spans
    ) -> None:
        self.reach, self.dates, self.own_hours = reach, dates, own_hours
        self.of_group: dict[int | None, int] = defaultdict(int)
        self.of_door: dict[str, int] = defaultdict(int)
        self.times: dict[int, Times] = {}
        for rule, opening in reach.openings.items():
            self.times[bits[rule]] = opening.windows
            self.of_group[opening.group] |= bits[rule]
            for door in opening.doors:
                self.of_door[door] |= bits[rule]
        self.of_rules: dict[tuple[int, Spans], Cover] = {}
        self.of_times: dict[tuple[frozenset[Times], Spans], Cover] = {}
        self.of_dates: dict[Times, list[Spans]] = {}

    def rules_of(self, holder: Holder) -> int:
        found = self.of_group[None]
        for group in holder.groups:
            found |= self.of_group[group]
        return found

    def shut(self, door: str) -> Spans:
        entrance = self.reach.entrances.get(door)
        return entrance.shut if entrance else ALWAYS

    def standing(self, door: str) -> Cover:
        """When a door stays open for anybody."""
        entrance = self.reach.entrances.get(door)
        windows = entrance.unlocked if entrance else ()
        return self._of_times(frozenset({windows} if windows else ()), self.shut(door))

    def cover(self, rules: int, shut: Spans) -> Cover:
        """When these rules together let somebody through a door that is shut at these times."""
        key = (rules, shut)
        if key not in self.of_rules:
            self.of_rules[key] = self._of_times(
                frozenset(self.times[bit] for bit in bits_of(rules)), shut
            )
        return self.of_rules[key]

    def _of_times(self, times: frozenset[Times], shut: Spans) -> Cover:
        key = (times, shut)
        if key not in self.of_times:
            self.of_times[key] = self._made(times, shut)
        return self.of_times[key]

    def _made(self, times: frozenset[Times], shut: Spans) -> Cover:
        if not times or shut == ALWAYS:
            return Cover(NEVER, NEVER, (NEVER,) * len(self.dates))
        windows = None if None in times else tuple({w for one in times for w in one or ()})
        spans, own = (
            (ALWAYS, ALWAYS) if windows is None else (week.covered(windows), self.own_hours)
        )
        of_day = week.by_day(shut)
        on_dates = zip(*(self._on_dates(one) for one in times), strict=True)
        return Cover(
            week.without(spans, shut),
            week.without(own, shut),
            tuple(
                week.without(week.merged(chain(*parts)), of_day[date.weekday()])
                for date, parts in zip(self.dates, on_dates, strict=True)
            ),
            is_always=windows is None,
        )

    def _on_dates(self, times: Times) -> list[Spans]:
        if times not in self.of_dates:
            self.of_dates[times] = [
                on_date(times, self.reach.holidays, date) for date in self.dates
            ]
        return self.of_dates[times]


def affected_dates(
    before: Sequence[HolidayDay], after: Sequence[HolidayDay], today: dt.date
) -> list[dt.date]:
    """The dates from today on that a change of holidays can touch: those of the holidays that are
    not the same, and the days after them, into which nights run."""
    one_off = {holiday.date for holiday in (*before, *after) if not holiday.yearly}
    found: set[dt.date] = set()
    for holiday in set(before) ^ set(after):
        # A one-off holiday goes before a yearly one on the same date.
        found |= set(_yearly(holiday, today)) - one_off if holiday.yearly else {holiday.date}
    nights = {date + DAY for date in found if date < dt.date.max}
    return sorted(date for date in found | nights if date >= today)


def on_date(windows: Times, holidays: tuple[HolidayDay, ...], date: dt.date) -> Spans:
    """The minutes of a date on which a rule holds, by the decision's own words: asked at every
    time at which its answer can change."""
    if windows is None:
        return ((0, week.DAY),)
    own = [window for holiday in holidays for window in holiday.windows]
    times = {week.minute_of(time) for one in windows for time in (one.starts_at, one.ends_at)}
    times |= {week.minute_of(time) for one in own for time in (one.starts_at, one.ends_at)}
    steps = [*sorted({0, *times}), week.DAY]
    return week.merged(
        (start, end)
        for start, end in pairwise(steps)
        if holding(windows, holidays, _at(date, start)) is Holding.HOLDS
    )


def own_hours(holidays: Iterable[HolidayDay]) -> Spans:
    """When a holiday may be open by its own windows, whatever day of the week it falls on."""
    own = {window for holiday in holidays for window in holiday.windows}
    every_day = [Window(EVERY_DAY, window.starts_at, window.ends_at) for window in own]
    return week.covered(every_day)


def bits_of(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest
        number ^= lowest


def _yearly(holiday: HolidayDay, today: dt.date) -> Iterator[dt.date]:
    """The next dates of a yearly holiday, yesterday's among them; 29 February comes rarely."""
    for year in range((today - DAY).year, today.year + YEARS):
        try:
            date = holiday.date.replace(year=year)
        except ValueError:
            continue
        if date >= today - DAY:
            yield date


def _at(date: dt.date, minute: int) -> dt.datetime:
    """What a clock on the wall shows; the zone is not looked at."""
    return dt.datetime.combine(date, dt.time(minute // 60, minute % 60), tzinfo=dt.UTC)
