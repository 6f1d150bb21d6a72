"""Identifiers that we make ourselves. Pure: no Django."""

import datetime as dt
import uuid


def uuid7(at: dt.datetime) -> uuid.UUID:
    """A UUID that sorts by time (RFC 9562 §5.7): 48 bits of milliseconds, then randomness."""
    milliseconds = int(at.timestamp() * 1000) & (2**48 - 1)
    noise = uuid.uuid4().int & (2**76 - 1)  # keeps uuid4's variant bits, which are version 7's too
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | noise)
