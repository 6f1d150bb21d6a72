"""Days and times of day as the API and the policy file write them. Pure: no Django.

`{"days": ["mon", "tue"], "from": "22:00", "to": "06:00"}`: whole minutes, half-open. `from` = `to`
is 24 hours, and midnight at the end is `00:00`. Days are kept added up, Monday = 1 … Sunday = 64.
"""

import datetime as dt
import re
from typing import Any

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def clock_text(time: dt.time) -> str:
    """`22:00`."""
    return f"{time:%H:%M}"


def parse_clock(text: Any) -> dt.time:
    """A time of day in whole minutes; ValueError otherwise."""
    found = CLOCK.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ValueError("Must be a time of day such as 06:30 or 22:00; midnight is 00:00.")
    return dt.time(int(found[1]), int(found[2]))


def day_names(days: int) -> list[str]:
    """`["mon", "sun"]` of 65."""
    return [name for place, name in enumerate(DAYS) if days >> place & 1]


def days_text(days: int) -> str:
    """`every day`, or `mon, sun`."""
    names = day_names(days)
    return "every day" if len(names) == len(DAYS) else ", ".join(names)


def parse_days(names: Any) -> int:
    """The days added up; ValueError unless it is a list of at least one, each once."""
    if not isinstance(names, list) or not names:
        raise ValueError(f"Must be a list of days, at least one of {', '.join(DAYS)}.")
    unknown = [name for name in names if name not in DAYS]
    if unknown:
        raise ValueError(f"“{unknown[0]}” is no day; write {', '.join(DAYS)}.")
    if len(set(names)) < len(names):
        raise ValueError("A day stands twice.")
    return sum(1 << DAYS.index(name) for name in names)


def date_text(date: dt.date) -> str:
    """`2026-12-25`."""
    return date.isoformat()


def parse_date(text: Any) -> dt.date:
    """A date of the calendar; ValueError otherwise."""
    try:
        if DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
    except (TypeError, ValueError):
        pass
    raise ValueError("Must be a date such as 2026-12-25.")
