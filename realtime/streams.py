"""Publish entries to the sink of their kind. Plain dicts in, nothing known of features.

Each feature registers one sink a kind. Embedded, the sink runs inside the publisher's
transaction: when `publish` returns, the entries are on the disk. In production they are in a
Redis stream whose every write is on the disk, and a worker brings them to the same sink.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, transaction

from realtime.breaker import Breaker
from realtime.reserved import reserve

logger = logging.getLogger(__name__)

Entry = dict[str, Any]
# What to store, or what chooses it inside the transaction that stores it.
Entries = Sequence[Entry] | Callable[[], Sequence[Entry]]
Sink = Callable[[Sequence[Entry]], None]

GROUP = "store"
FIELD = b"entry"
# Seconds. A check has 150 ms in all and another store to turn to. A reading can be sent again, and
# while it waits it holds a thread that a check may need.
CHECK_TIMEOUT, INGEST_TIMEOUT = 0.05, 0.1
DIRECT_SECONDS = 0.08  # for a record that goes straight into the database
# Of its memory: beyond this readings are refused, so that door events always find room.
MOST_FULL = 0.8
MEMORY_AGE = 1.0  # seconds for which a reading of the memory is good


class NotRecorded(Exception):
    """No store took the entries: whoever asked must be told 503."""


class Full(NotRecorded):
    """The stream Redis is filling up faster than the workers empty it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How entries of a kind are stored, and what happens when the stream is away."""

    store: Sink
    urgent: bool  # never refused for lack of room; stored directly when the stream is away


_kinds: dict[str, Kind] = {}
# SQLite has one writer anyway. Holding this until the commit's frames are shown keeps the order
# in which viewers hear of commits the order of the commits.
_one_at_a_time = threading.Lock()


def sink(kind: str, store: Sink, *, urgent: bool = False) -> None:
    """Register the one function that stores the entries of a kind."""
    _kinds[kind] = Kind(store, urgent)


def kinds() -> list[str]:
    """The kinds that have a sink, urgent ones first."""
    return sorted(_kinds, key=lambda kind: not _kinds[kind].urgent)


def key(kind: str) -> str:
    """The Redis stream of a kind."""
    return f"events:{kind}"


def dead_key(kind: str) -> str:
    """The Redis stream of what could not be stored."""
    return f"dead:{kind}"


def publish(kind: str, entries: Sequence[Entry], *, by: float = 0.0) -> None:
    """Make entries durable; NotRecorded when that failed.

    `by` is the monotonic time by which the answer is needed.
    """
    if settings.EMBEDDED:
        record(kind, entries)
        return
    try:
        _append(kind, entries)
    except redis.RedisError as error:
        if not _kinds[kind].urgent:
            raise NotRecorded(f"the stream did not take {kind} entries: {error}") from error
        # The entries' ids make it one row even if the stream took them after all. A door waits,
        # and a frozen database would never answer: so with a deadline.
        _store_in_time(kind, entries, by)


def store(kind: str, entries: Entries) -> None:
    """Run a kind's sink in one transaction of its own."""
    with transaction.atomic(durable=True):
        _kinds[kind].store(entries() if callable(entries) else entries)


def record(kind: str, entries: Entries) -> None:
    """Store entries at once, without a stream; NotRecorded when that failed."""
    try:
        with _one_at_a_time:
            store(kind, entries)
    except DatabaseError as error:
        raise NotRecorded(f"{kind} entries were not recorded: {error}") from error


def _store_in_time(kind: str, entries: Sequence[Entry], by: float) -> None:
    try:
        reserve.run(lambda: store(kind, entries), seconds=DIRECT_SECONDS, by=by)
    except DatabaseError as error:
        raise NotRecorded(f"{len(entries)} {kind} entries were not recorded: {error}") from error


def _append(kind: str, entries: Sequence[Entry]) -> None:
    urgent = _kinds[kind].urgent
    with asking(CHECK_TIMEOUT if urgent else INGEST_TIMEOUT) as client:
        if not urgent and memory.share(client) >= MOST_FULL:
            raise Full(f"the stream Redis is {MOST_FULL:.0%} full")
        with client.pipeline(transaction=len(entries) > 1) as pipeline:
            for entry in entries:
                pipeline.xadd(key(kind), {FIELD: json.dumps(entry)})
            pipeline.execute()


@contextmanager
def asking(timeout: float) -> Iterator[Any]:
    """A client of the stream Redis; a RedisError at once while it is known to be away."""
    client = connect(timeout)
    if not breaker.lets_through():
        raise redis.ConnectionError("the stream Redis failed a moment ago")
    try:
        yield client
    except (redis.ConnectionError, redis.TimeoutError) as error:
        breaker.open(error)
        raise


@cache
def connect(timeout: float) -> Any:
    """A client of the stream Redis that waits so many seconds and never tries twice.

    RESP2: `xreadgroup` answers differently in RESP3.
    """
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=min(timeout, 1),
        socket_timeout=timeout,
        retry=None,
        protocol=2,
    )


class Memory:
    """How full the stream Redis is, asked once a second."""

    def __init__(self) -> None:
        self._share, self._asked_at = 0.0, float("-inf")

    def share(self, client: Any) -> float:
        """Used memory over `maxmemory`; 0 when there is no limit."""
        now = time.monotonic()
        if now - self._asked_at > MEMORY_AGE:
            info = client.info("memory")
            most = info["maxmemory"]
            self._share = info["used_memory"] / most if most else 0.0
            self._asked_at = now
        return self._share


def _ping() -> None:
    connect(INGEST_TIMEOUT).ping()


breaker = Breaker("stream", "readings are refused and the database takes checks", _ping)
memory = Memory()
