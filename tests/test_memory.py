"""What the device face's thread remembers, and when it forgets."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection

from policies import memory

pytestmark = pytest.mark.skipif(
    "sqlite" not in settings.DATABASES["default"]["ENGINE"], reason="only SQLite has data_version"
)


@pytest.fixture
def database(tmp_path, monkeypatch) -> Iterator[sqlite3.Connection]:
    """A SQLite file of the test's own, which the thread's Django connection opens too."""
    path = tmp_path / "house.sqlite3"
    monkeypatch.setitem(connection.settings_dict, "NAME", str(path))
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE card (name TEXT)")
    yield other
    other.close()


@pytest.fixture
def thread(database, django_db_blocker) -> Iterator[ThreadPoolExecutor]:
    with django_db_blocker.unblock(), ThreadPoolExecutor(1, initializer=memory.enable) as executor:
        yield executor
        executor.submit(lambda: connection.close()).result()  # that thread's


def names() -> list[str] | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM card")
        return [name for (name,) in cursor.fetchall()] or None


def test_it_reads_again_as_soon_as_anybody_has_written(database, thread):
    calls = []

    def load() -> list[str] | None:
        calls.append(1)
        return names()

    def recall() -> list[str] | None:
        return thread.submit(memory.recall, "cards", load).result()

    database.execute("INSERT INTO card VALUES ('Anna')")
    first, second = recall(), recall()
    read_once = len(calls)
    database.execute("INSERT INTO card VALUES ('Ben')")
    third = recall()

    assert (first, second, read_once) == (["Anna"], ["Anna"], 1)
    assert third == ["Anna", "Ben"]


def test_a_new_connection_believes_nothing_that_another_one_read(database, thread):
    database.execute("INSERT INTO card VALUES ('Anna')")
    before = thread.submit(memory.recall, "cards", names).result()
    thread.submit(lambda: connection.close()).result()
    database.execute("DELETE FROM card")
    database.execute("INSERT INTO card VALUES ('Ben')")

    after = thread.submit(memory.recall, "cards", names).result()

    assert (before, after) == (["Anna"], ["Ben"])


def test_what_is_not_there_is_not_remembered(database, thread):
    before = thread.submit(memory.recall, "cards", names).result()
    database.execute("INSERT INTO card VALUES ('Anna')")

    assert before is None
    assert thread.submit(memory.recall, "cards", names).result() == ["Anna"]


def test_a_thread_that_was_not_enabled_asks_every_time():
    answers = iter([1, 2])

    found = [memory.recall("key", lambda: next(answers)) for _ in range(2)]

    assert found == [1, 2]
