"""Times as the outside writes and reads them. Pure: no Django.

Out: ISO 8601, UTC, milliseconds, `Z`. In: any ISO 8601 with an offset. What is stored has
milliseconds too, so that a time we gave out finds its row again.
"""

import datetime as dt
import re

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LOST_PLUS = re.compile(r" (?=\d\d(?::?\d\d)?\Z)", re.ASCII)


def utc_text(moment: dt.datetime) -> str:
    """`2026-11-23T07:37:01.542Z`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_milliseconds(moment: dt.datetime) -> dt.datetime:
    """The moment with everything below a millisecond cut off."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_microseconds(moment: dt.datetime) -> int:
    """Since 1970, exactly: a float has no room for all of them."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def parse_moment(text: str) -> dt.datetime:
    """An aware UTC datetime from ISO 8601 with an offset; ValueError otherwise."""
    if not text.isascii() or "\0" in text:  # fromisoformat stops reading at a NUL
        raise ValueError("not a time")
    moment = dt.datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset, such as Z or +01:00")
    try:
        return to_milliseconds(moment.astimezone(dt.UTC))
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None


def parse_query_moment(text: str) -> dt.datetime:
    """As parse_moment, but a space where an offset's `+` belongs is read as `+`.

    `2026-11-23 07:37` stays refused: with the `+` it is still a time without an offset.
    """
    return parse_moment(LOST_PLUS.sub("+", text.strip()))
