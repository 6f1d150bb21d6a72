"""Publish entries to the sink of their kind. Plain dicts in, nothing known of features.

Each feature registers one sink a kind. Embedded, the sink runs inside the publisher's
transaction: when `publish` returns, the entries are on the disk.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import DatabaseError, transaction

Entry = dict[str, Any]
Sink = Callable[[Sequence[Entry]], None]

_sinks: dict[str, Sink] = {}
# SQLite has one writer anyway. Holding this until the commit's frames are shown keeps the order
# in which viewers hear of commits the order of the commits.
_one_at_a_time = threading.Lock()


class NotRecorded(Exception):
    """No store took the entries: whoever asked must be told 503."""


def sink(kind: str, store: Sink) -> None:
    """Register the one function that stores the entries of a kind."""
    _sinks[kind] = store


def publish(kind: str, entries: Sequence[Entry]) -> None:
    """Make entries durable; NotRecorded when that failed."""
    record(kind, entries)


def record(kind: str, entries: Sequence[Entry]) -> None:
    """Store entries at once, without a stream; NotRecorded when that failed."""
    try:
        with _one_at_a_time, transaction.atomic(durable=True):
            _sinks[kind](entries)
    except DatabaseError as error:
        raise NotRecorded(f"{len(entries)} {kind} entries were not recorded: {error}") from error
