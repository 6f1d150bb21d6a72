"""Several questions to the database, answered from one state of it.

Between two statements somebody may commit. What is known of a card must not be put together of the
rules before a change and the schedules after it: neither of the two may have let anybody in.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

BEGIN = {
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "sqlite": "BEGIN DEFERRED",  # Django's own would take the write lock
}
MARK = {
    "postgresql": "SELECT value FROM policies_policyrevision",
    "sqlite": "PRAGMA data_version",
}


class _OfThread(threading.local):
    mark: str | None = None  # while one is open


_of_thread = _OfThread()


@contextmanager
def snapshot() -> Iterator[str]:
    """All that is read inside is of one state; nothing may be written.

    Yields the state's mark: what has the same mark is of the same state. Inside a transaction,
    which has its own view, or another snapshot there is nothing to begin.
    """
    if _of_thread.mark is not None:
        yield _of_thread.mark
        return
    begins = not connection.in_atomic_block
    if begins:
        _execute(BEGIN[connection.vendor])
    try:
        _of_thread.mark = _mark()
        yield _of_thread.mark
    finally:
        _of_thread.mark = None
        if begins:
            _end()


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _mark() -> str:
    with connection.cursor() as cursor:
        cursor.execute(MARK[connection.vendor])
        (value,) = cursor.fetchone() or ("",)
    # SQLite's number is a connection's own.
    return f"{id(connection.connection)}/{value}" if connection.vendor == "sqlite" else str(value)


def _end() -> None:
    try:
        _execute("ROLLBACK")
    except DatabaseError:
        connection.close()  # or whoever comes next would find a transaction begun
