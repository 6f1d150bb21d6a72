"""What a thread has read of the policies, until anybody changes them.

On PostgreSQL, while there is no cache: the revision, one row, is another after every change, so
one small question says whether what was read before still holds. On SQLite for the device face:
SQLite tells a connection whether another one has committed since (`PRAGMA data_version`), be it
another thread, another process or somebody's sqlite3 shell. While nobody has, what was read holds,
and a check costs one cheap question instead of three queries. The thread's own connection only
records evidence; a thread that changes policies must not use this, hence `enable`.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")

MOST = 10_000  # entries; a house has fewer cards


class _Memory(threading.local):
    enabled = False
    version: Hashable = None
    entries: dict[Hashable, Any]


_memory = _Memory()


def enable() -> None:
    """This thread never writes a policy row: from now on it remembers."""
    _memory.enabled = connection.vendor == "sqlite"
    _memory.entries = {}


def recall(key: Hashable, load: Callable[[], T | None]) -> T | None:
    """What `load` reads from the database, or read when nobody had written since.

    What is not there is not remembered: a flood of unknown cards must not fill the memory.
    """
    return recall_as_of(_data_version(), key, load) if _memory.enabled else load()


def recall_as_of(version: Hashable, key: Hashable, load: Callable[[], T | None]) -> T | None:
    """As `recall`. `version` is of the database and was read just now: what changes before
    `load` has read is dropped next time."""
    if version != _memory.version or len(_memory.entries) > MOST:
        _memory.version, _memory.entries = version, {}
    if key not in _memory.entries:
        value = load()
        if value is None:
            return None
        _memory.entries[key] = value
    found: T = _memory.entries[key]
    return found


def _data_version() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        version: int = cursor.fetchone()[0]
        return version
