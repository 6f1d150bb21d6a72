"""Database work with a deadline, on a few threads that keep warm connections.

A frozen PostgreSQL cannot be timed out from inside: `statement_timeout` is the server's own, and
libpq takes two seconds at least to give up connecting. So whoever must answer in time hands the
work to a reserved thread and waits for that long only. A thread that missed its deadline and does
not come back is left to itself and replaced; the new one connects on its own time, never while
somebody waits for it. Once all threads are known to be without an answer, nobody waits for them.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from prometheus_client import Counter

logger = logging.getLogger(__name__)

T = TypeVar("T")
Job = tuple[Callable[[], Any], "Future[Any]"]

THREADS = 2
# Seconds. A door may first have to wait until one of the two threads of `web` gives up: 120 in all.
DEADLINE = 0.08
IN_DOUBT = 0.04  # after a question that was not answered and until one is
# The server ends a statement that waits for a lock itself, or its processes would pile up.
STATEMENT_TIMEOUT = "70ms"
PING_EVERY, PING_DEADLINE = 5.0, 1.0
RECONNECT_EVERY = 0.2
STUCK_AFTER = 0.2  # past its deadline: late may be a busy processor, and reconnecting adds to that

LATE = Counter("smarthome_database_late", "Questions that the database did not answer in time.")


class Late(OperationalError):
    """The database did not answer in time."""

    def __init__(self, *reason: object) -> None:
        super().__init__(*reason)
        LATE.inc()


class _Lost(Exception):
    """The connection had ended before the work was done; another may do it."""


class Reserve:
    """A few threads, each with a connection of its own."""

    def __init__(self, threads: int = THREADS) -> None:
        self.size = threads
        self.deadline = DEADLINE
        self._idle: SimpleQueue[_Reserved] = SimpleQueue()
        self._threads: set[_Reserved] = set()
        self._open: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._in_doubt = False

    def start(self) -> None:
        """Connect, and keep the connections warm. Asked for at a process's start."""
        with self._lock:
            if self._threads:
                return
            self._stopped.clear()
            for _ in range(self.size):
                self._add()
        threading.Thread(target=self._keep_warm, name="reserved-warm", daemon=True).start()

    def stop(self) -> None:
        """End the threads and close their connections (tests, before a database is dropped)."""
        self._stopped.set()
        with self._lock:
            threads, self._threads = self._threads, set()
        for thread in threads:
            thread.leave()
        for thread in threads:
            thread.join(timeout=5)
        self._idle = SimpleQueue()

    def run(
        self,
        work: Callable[[], T],
        *,
        seconds: float | None = None,
        by: float = 0.0,
        about: Hashable = None,
    ) -> T:
        """The result of `work` within `seconds`, and before the monotonic time `by`; else Late.

        Without `seconds` the deadline counts. It may be done twice when a connection ends under
        it. Those who come with the same `about` while it is being done get the same result.
        Inside a transaction it is done right here: no other connection sees what this one has
        changed.
        """
        if connection.in_atomic_block:
            return work()
        self.start()
        patience = self.deadline if seconds is None else seconds
        until = time.monotonic() + (min(patience, IN_DOUBT) if self._in_doubt else patience)
        return self._answered(work, about, min(until, by) if by else until)

    def _answered(self, work: Callable[[], T], about: Hashable, until: float) -> T:
        while True:
            with suppress(_Lost):
                return self._once(work, about, until)

    def _once(self, work: Callable[[], T], about: Hashable, until: float) -> T:
        begun = time.monotonic()
        mine: Future[T] = Future()
        mine.add_done_callback(self._believe)
        with self._lock:
            future = mine if about is None else self._open.setdefault(about, mine)
        if future is not mine:
            answer: T = _result(future, until)
            return answer
        try:
            return self._hand_over(work, mine, until)
        except OperationalError:
            # Whoever came with no time left cannot tell.
            self._in_doubt |= time.monotonic() - begun >= IN_DOUBT
            raise
        finally:
            with self._lock:
                self._open.pop(about, None)

    def _believe(self, future: "Future[Any]") -> None:
        """An answer, even one that came too late, ends the doubt."""
        if future.exception() is None:
            self._in_doubt = False

    def _hand_over(self, work: Callable[[], T], future: "Future[T]", until: float) -> T:
        patience = 0.0 if self._is_away() else max(0.0, until - time.monotonic())
        try:
            thread = self._idle.get(timeout=patience)
        except Empty:
            self._replace_stuck()
            future.set_exception(Late("no connection to the database is free"))
            return _result(future, until)
        thread.jobs.put((work, future))
        try:
            return _result(future, until)
        except Late:
            thread.late_since = time.monotonic()
            raise

    def _is_away(self) -> bool:
        """Whether no thread has a connection that answers: waiting for one would only hold up
        those who need no database."""
        with self._lock:
            return all(thread.cut_off or thread.is_stuck() for thread in self._threads)

    def _replace_stuck(self) -> None:
        with self._lock:
            for thread in [one for one in self._threads if one.is_stuck()]:
                logger.warning("a database connection does not come back and is replaced")
                thread.leave()
                self._threads.discard(thread)
                self._add(cut_off=True)

    def _add(self, *, cut_off: bool = False) -> None:
        thread = _Reserved(self._idle, cut_off=cut_off)
        self._threads.add(thread)
        thread.start()

    def _keep_warm(self) -> None:
        """Find out about a connection that ended before a door does."""
        while not self._stopped.wait(PING_EVERY):
            for _ in range(self.size):
                with suppress(DatabaseError):
                    self._answered(_ping, None, time.monotonic() + PING_DEADLINE)


class _Reserved(threading.Thread):
    """One thread and its connection."""

    def __init__(self, idle: "SimpleQueue[_Reserved]", *, cut_off: bool) -> None:
        super().__init__(name="reserved", daemon=True)
        self.cut_off = cut_off  # the database did not let it connect, or stopped answering before
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = idle
        self._leaving = threading.Event()
        self.late_since = 0.0  # monotonic; 0 while nobody has given up waiting for it

    def is_stuck(self) -> bool:
        """Whether somebody gave up waiting for it a while ago, and it still is not back."""
        return 0 < self.late_since < time.monotonic() - STUCK_AFTER

    def leave(self) -> None:
        """End after what is being done now, however long that takes."""
        self._leaving.set()
        self.jobs.put(None)

    def run(self) -> None:
        while self._connect():
            self.late_since = 0.0
            self._idle.put(self)
            job = self.jobs.get()
            if job is not None:
                _do(*job)
        connection.close()

    def _connect(self) -> bool:
        """Whether there is a connection; False when it is time to leave."""
        while not self._leaving.is_set():
            try:
                if connection.connection is None:
                    connection.ensure_connection()
                    _limit_statements()
            except DatabaseError as error:
                logger.debug("no connection yet: %s", error)
                self.cut_off = True
                connection.close()
                self._leaving.wait(RECONNECT_EVERY)
            else:
                self.cut_off = False
                return True
        return False


def _result(future: "Future[T]", until: float) -> T:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:
        raise Late("the database did not answer in time") from None


def _do(work: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        result = work()
    except (OperationalError, InterfaceError) as error:
        connection.close_if_unusable_or_obsolete()
        future.set_exception(error if connection.connection else _Lost())
    except Exception as error:  # noqa: BLE001  # it travels to whoever asked
        future.set_exception(error)
    else:
        future.set_result(result)


def _limit_statements() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [STATEMENT_TIMEOUT])


def _ping() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


reserve = Reserve()
