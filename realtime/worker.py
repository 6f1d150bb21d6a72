"""The worker: from the streams through the sinks into the database, then to who watches.

A loop of small steps. A batch is one transaction; it is acknowledged after the commit, so a
worker may die anywhere: what was read is read again, and the ids make it one row.
"""

import gc
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import redis
from django.core.exceptions import ValidationError
from django.db import DatabaseError, DataError, IntegrityError, connection
from django.utils import timezone

from realtime import consume, feed, quota, streams
from realtime.consume import Message

logger = logging.getLogger(__name__)

BATCH = 2000  # entries; a transaction of about 50 ms
PACE_SECONDS = 0.02  # between batches, so that a trickle does not become a commit an entry
BLOCK_MS = 500
# A client that waits longer than its BLOCK; the pool's own time-out would end the wait.
READ_TIMEOUT = 5.0
CLAIM_EVERY, CARE_EVERY, PRUNE_EVERY = 5.0, 1.0, 3600.0
LONGEST_WAIT = 2.0  # seconds between tries while a store is away
# A worker that is frozen in a transaction holds locks that every other one waits for: the database
# ends what takes longer, before the others claim its entries.
LONGEST_STATEMENT = "20s"

# What is wrong with an entry itself: it will never be stored, however often it is tried.
DATA_ERRORS = (DataError, IntegrityError, ValidationError, ValueError, KeyError, TypeError)

Chore = Callable[[], None]
Found = dict[str, list[Message]]


@dataclass
class Done:
    """What needs no more work: stored and committed, or never to be stored, with the reason."""

    stored: list[tuple[str, list[Message]]] = field(default_factory=list)
    rotten: list[tuple[str, Message, str]] = field(default_factory=list)


class Worker:
    """One consumer of the group. `chores` run about every second, between batches."""

    def __init__(self, name: str, chores: Sequence[Chore] = ()) -> None:
        self.name = name
        self.chores = chores
        self.client: Any = streams.connect(READ_TIMEOUT)
        self.stopping = False
        self._due: dict[str, float] = {}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._ahead: Future[Found] | None = None
        self._done = Done()  # not settled with Redis yet

    def run(self) -> None:
        """Work until `stopping` is set; a batch that was begun is finished."""
        # What is alive now stays; looking through it with every batch took a fifth of the time.
        gc.collect()
        gc.freeze()
        wait = 0.0
        while not self.stopping:
            try:
                limit_statements()
                self.prepare()
                while self._ahead or not self.stopping:
                    self.step()
                    wait = 0.0
            except (redis.RedisError, DatabaseError) as error:
                self._forget_ahead()
                wait = min(LONGEST_WAIT, wait * 2 or 0.1)
                logger.warning("a store is away, next try in %.1f s: %s", wait, error)
                connection.close()
                time.sleep(wait)

    def prepare(self) -> None:
        """Groups, and what a worker of our name left behind."""
        consume.make_groups(self.client)
        quota.begin(self.client)
        while self._store_all(consume.read_own_pending(self.client, self.name, BATCH)):
            pass

    def step(self) -> bool:
        """One round; whether it found work."""
        begun = time.monotonic()
        if self._is_due("claim", CLAIM_EVERY):
            self._store_all(consume.claim_stuck(self.client, self.name, BATCH))
        if self._is_due("care", CARE_EVERY):
            self.care()
        found = self._next()
        self._store_kinds(found)
        if not self._ahead:
            self._settle(self._take_done())
        rest = PACE_SECONDS - (time.monotonic() - begun)
        if found and rest > 0:
            time.sleep(rest)
        return bool(found)

    def drain(self) -> None:
        """Store everything that is there now (tests, and before a restore)."""
        self.prepare()
        while self._store_all(consume.read(self.client, self.name, BATCH, block_ms=1)):
            pass

    def care(self) -> None:
        """The chores; one that fails is logged and does not stop the work."""
        for chore in self.chores:
            try:
                chore()
            except Exception:  # whatever it is, readings must go on being stored
                logger.exception("a chore failed")
        if self._is_due("prune", PRUNE_EVERY):
            feed.prune(timezone.now())

    def _next(self) -> Found:
        """What to store now. After a full batch the one before is acknowledged and the next one
        read while that is stored: the database and Python take about as long."""
        found = self._ahead.result() if self._ahead else self._read(Done())
        self._ahead = None
        if any(len(messages) == BATCH for messages in found.values()) and not self.stopping:
            self._ahead = self._reader.submit(self._read, self._take_done())
        return found

    def _read(self, done: Done) -> Found:
        self._settle(done)
        return consume.read(self.client, self.name, BATCH, BLOCK_MS)

    def _forget_ahead(self) -> None:
        """What was read ahead or not acknowledged is pending under our name: `prepare` finds it
        there."""
        self._done = Done()
        if self._ahead:
            self._ahead.exception()  # waits for its end
            self._ahead = None

    def _store_all(self, found: Found) -> bool:
        """Store and settle; whether there was something."""
        self._store_kinds(found)
        self._settle(self._take_done())
        return bool(found)

    def _store_kinds(self, found: Found) -> None:
        for kind in streams.kinds():
            if found.get(kind):
                self._store(kind, found[kind])

    def _store(self, kind: str, messages: list[Message]) -> None:
        """Store a batch; halve it while it holds an entry that no store will take."""
        try:
            streams.store(kind, [message.entry() for message in messages])
        except DATA_ERRORS as error:
            if len(messages) == 1:
                reason = f"{type(error).__name__}: {error}"
                self._done.rotten.append((kind, messages[0], reason))
                return
            middle = len(messages) // 2
            self._store(kind, messages[:middle])
            self._store(kind, messages[middle:])
        else:
            self._done.stored.append((kind, messages))

    def _take_done(self) -> Done:
        done, self._done = self._done, Done()
        return done

    def _settle(self, done: Done) -> None:
        """Acknowledge first: a Redis that is full takes no dead letter until there is room."""
        for kind, messages in done.stored:
            consume.acknowledge(self.client, kind, messages)
        for kind, message, reason in done.rotten:
            consume.bury(self.client, kind, message, reason)
            logger.error("a %s entry went to the dead letters: %s", kind, reason)

    def _is_due(self, name: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(name, 0.0):
            return False
        self._due[name] = now + every
        return True


def limit_statements() -> None:
    """For this connection, whether it is waited for the database or for us."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, false),"
                " set_config('idle_in_transaction_session_timeout', %s, false)",
                [LONGEST_STATEMENT, LONGEST_STATEMENT],
            )
