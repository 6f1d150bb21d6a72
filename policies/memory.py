"""What was read of the policies, until anybody changes them.

On PostgreSQL, while there is no cache: the revision, one row, is another after every change, so
one small question says whether what was read before still holds. On SQLite for the device face:
SQLite tells a connection whether another one has committed since (`PRAGMA data_version`), be it
another thread, another process or somebody's sqlite3 shell. While nobody has, what was read holds,
and a check costs one cheap question instead of three queries. What the thread's own connection
commits does not move that number: it records evidence, and when an entry of a visit is among that
it says so (`forget`). A thread that changes policies must not use this, hence `enable`.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")

MOST = 10_000  # entries; a house has fewer cards


class _Memory:
    """What was read under one version of the database."""

    def __init__(self, version: Hashable) -> None:
        self.version = version
        self.entries: dict[Hashable, Any] = {}

    def holds(self, version: Hashable) -> bool:
        return version == self.version and len(self.entries) <= MOST

    def recall(self, key: Hashable, load: Callable[[], T | None]) -> T | None:
        """What is not there is not remembered: a flood of unknown cards must not fill it."""
        found: T | None = self.entries.get(key)
        if found is None and (found := load()) is not None:
            self.entries[key] = found
        return found


class _OfThread(threading.local):
    memory: _Memory | None = None  # None: it may not remember


_of_thread = _OfThread()
_of_process = _Memory(None)


def enable() -> None:
    """This thread never writes a policy row: from now on it remembers."""
    _of_thread.memory = _Memory(None) if connection.vendor == "sqlite" else None


def forget() -> None:
    """This thread has changed something itself, which `data_version` does not tell it."""
    if _of_thread.memory is not None:
        _of_thread.memory = _Memory(None)


def recall(key: Hashable, load: Callable[[], T | None]) -> T | None:
    """What `load` reads from the database, or read when nobody had written since."""
    memory = _of_thread.memory
    if memory is None:
        return load()
    version = _data_version()  # before reading: what changes meanwhile is dropped next time
    if not memory.holds(version):
        memory = _of_thread.memory = _Memory(version)
    return memory.recall(key, load)


def recall_as_of(revision: str, key: Hashable, load: Callable[[], T | None]) -> T | None:
    """What `load` reads, or any thread has read under this revision, which was asked for just now.

    A thread that comes with an older one files under that, and nobody after it finds it.
    """
    global _of_process
    memory = _of_process
    if not memory.holds(revision):
        memory = _of_process = _Memory(revision)
    return memory.recall(key, load)


def _data_version() -> Hashable:
    """The number is a connection's own: after a reconnect it begins anew."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return connection.connection, cursor.fetchone()[0]
