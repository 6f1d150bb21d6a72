"""The minutes of an ordinary week: what a schedule looks like, and what two of them differ in.

Spans are half-open ranges of minutes since Monday 00:00, sorted, disjoint and never touching, so
that equal spans are equal minutes. An overnight window lies where it runs; what begins on Sunday
evening ends on Monday morning. Pure: no Django.
"""

import datetime as dt
from collections.abc import Iterable

from policies.schedules import Window

Spans = tuple[tuple[int, int], ...]

DAY = 24 * 60
WEEK = 7 * DAY
NEVER: Spans = ()
ALWAYS: Spans = ((0, WEEK),)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def covered(windows: Iterable[Window]) -> Spans:
    """When at least one of these windows holds."""
    found: list[tuple[int, int]] = []
    for window in windows:
        start = minute_of(window.starts_at)
        length = (minute_of(window.ends_at) - start) % DAY or DAY
        for day in range(7):
            if window.days >> day & 1:
                begin = day * DAY + start
                end = begin + length
                found += [(begin, min(end, WEEK)), (0, end - WEEK)]
    return merged(found)


def minute_of(time: dt.time) -> int:
    """Minutes since midnight."""
    return time.hour * 60 + time.minute


def merged(ranges: Iterable[tuple[int, int]]) -> Spans:
    """Ranges in any order, overlapping or empty ones too, as spans."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def without(spans: Spans, taken: Spans) -> Spans:
    """What is left of spans when others are taken out."""
    left: list[tuple[int, int]] = []
    for start, end in spans:
        for begin, stop in taken:
            if begin < end and stop > start:
                left.append((start, begin))
                start = max(start, stop)
        left.append((start, end))
    return merged(left)


def by_day(spans: Spans) -> list[Spans]:
    """For each day of the week, Monday first, the ranges of its own minutes."""
    return [
        merged((max(start - begin, 0), min(end - begin, DAY)) for start, end in spans)
        for begin in range(0, WEEK, DAY)
    ]


def hours(spans: Spans) -> str:
    """How many of a week: `1 hour`, `37.5 hours`."""
    count = f"{sum(end - start for start, end in spans) / 60:.4g}"
    return f"{count} hour{'' if count == '1' else 's'}"


def ranges(spans: Spans) -> str:
    """The times of one day: `09:00–12:00, 14:00–17:00`, `all day`."""
    return ", ".join(_times(start, end - start) for start, end in spans)


def clock(minute: int) -> str:
    """`07:30`; the end of a day is `24:00`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def in_words(spans: Spans) -> list[str]:
    """`Mon–Fri 09:00–17:00`, `Fri 22:00–06:00`, `Sat and Sun all day`, each once."""
    if spans == ALWAYS:
        return ["at all hours"]
    runs: dict[tuple[int, int], list[int]] = {}
    for begin, end in _nights_joined(spans):
        for start, length in _in_days(begin, end):
            runs.setdefault((start % DAY, length), []).append(start // DAY)
    return [f"{days_in_words(days)} {_times(*times)}" for times, days in runs.items()]


def days_in_words(days: Iterable[int]) -> str:
    """`Mon–Fri`, `Sat and Sun`, `Mon, Wed and Fri`, `every day`; Monday is 0."""
    wanted = sorted(days)
    if len(wanted) == 7:
        return "every day"
    if len(wanted) > 2 and wanted[-1] - wanted[0] == len(wanted) - 1:
        return f"{DAYS[wanted[0]]}–{DAYS[wanted[-1]]}"
    *first, last = [DAYS[day] for day in wanted]
    return f"{', '.join(first)} and {last}" if first else last


def _nights_joined(spans: Spans) -> Spans:
    """Sunday evening and Monday morning as one, where they are."""
    if len(spans) > 1 and spans[0][0] == 0 and spans[-1][1] == WEEK:
        return (*spans[1:-1], (spans[-1][0], WEEK + spans[0][1]))
    return spans


def _in_days(start: int, end: int) -> list[tuple[int, int]]:
    """Start and length of a run; whole days one by one, so that they are named as such."""
    if start % DAY == 0 and (end - start) % DAY == 0:
        return [(begin % WEEK, DAY) for begin in range(start, end, DAY)]
    return [(start % WEEK, end - start)]


def _times(start: int, length: int) -> str:
    if (start, length) == (0, DAY):
        return "all day"
    end = start + length
    if end <= DAY:
        return f"{clock(start)}–{clock(end)}"
    if length <= DAY:
        return f"{clock(start)}–{clock(end % DAY)} (next day)"
    return f"{clock(start)} for {length / 60:.4g} hours"
