"""Numbers and times as people read them. `dashboard.js` writes the same."""

import datetime as dt

from django.utils import timezone

NOTHING = "–"


def amount(value: float | None, digits: int = 1) -> str:
    """A number for people: a real minus, no minus zero, no three hundred digits."""
    if value is None:
        return NOTHING
    text = f"{value:z.{digits}f}" if abs(value) < 1e15 else f"{value:.1e}"
    return text.replace("-", "−")


def clock(at: dt.datetime, now: dt.datetime) -> str:
    """`07:41` today, `Sun 22 Nov, 07:41` on another day, in the building's zone."""
    local, today = timezone.localtime(at), timezone.localdate(now)
    return (
        f"{local:%H:%M}" if local.date() == today else f"{local:%a} {local.day} {local:%b, %H:%M}"
    )


def age(at: dt.datetime, now: dt.datetime) -> str:
    """`now`, `12 s ago`, `5 min ago`, `3 h ago`, `4 days ago`."""
    seconds = int((now - at).total_seconds())
    if seconds < 3:
        return "now"
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h ago"
    return f"{seconds // 86400} days ago"
