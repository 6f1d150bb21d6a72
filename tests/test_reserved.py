"""Database work with a deadline: answered in time, or given up, and able to go on after that."""

import threading
import time
from contextlib import suppress

import pytest
from django.conf import settings
from django.db import OperationalError, ProgrammingError, connection, transaction

from realtime.reserved import DEADLINE, Late, Reserve

pytestmark = [
    pytest.mark.skipif(settings.EMBEDDED, reason="needs PostgreSQL: the production pass runs it"),
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def reserve():
    reserve = Reserve()
    while len(processes(reserve)) < 2:  # both are connected
        pass
    yield reserve
    reserve.stop()


def processes(reserve):
    """The server's processes of both connections."""
    return {reserve.run(own_process, seconds=5) for _ in range(4)}


def scalar(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def own_process():
    return scalar("SELECT pg_backend_pid()")


def test_what_the_work_returns_or_raises_comes_back(reserve):
    def wrong():
        return scalar("SELECT nonsense")

    assert reserve.run(lambda: scalar("SELECT 7")) == 7
    with pytest.raises(ProgrammingError, match="nonsense"):
        reserve.run(wrong)
    assert reserve.run(lambda: scalar("SELECT 8")) == 8


def test_it_runs_on_a_connection_of_its_own(reserve):
    assert reserve.run(own_process) != own_process()


def test_inside_a_transaction_it_runs_on_that_transactions_connection(reserve):
    with transaction.atomic():
        assert reserve.run(own_process) == own_process()


TRIES = 5  # of which the shortest counts: a busy machine prolongs some


def waited(reserve, work, seconds=DEADLINE, within=None):
    """How long somebody waited who got no answer."""
    begun = time.monotonic()
    with pytest.raises(Late):
        reserve.run(work, seconds=seconds, by=begun + within if within else 0.0)
    return time.monotonic() - begun


def waits(reserve, questions=1, **limits):
    """How long each of some questions waits that nobody answers."""
    tries = []
    for _ in range(TRIES):
        gate = threading.Event()
        tries.append([waited(reserve, gate.wait, **limits) for _ in range(questions)])
        gate.set()
        assert eventually(lambda: reserve.run(own_process) > 0)
    return list(map(min, zip(*tries, strict=True)))


def test_whoever_waits_hears_in_time(reserve):
    (seconds,) = waits(reserve)

    assert 0.07 < seconds < 0.12


def test_after_a_question_without_an_answer_others_wait_less_until_there_is_one(reserve):
    _, seconds = waits(reserve, questions=2)

    assert 0.03 < seconds < 0.07
    assert eventually(lambda: reserve.run(lambda: scalar("SELECT 7 FROM pg_sleep(0.06)")) == 7)


def test_the_time_by_which_an_answer_is_needed_counts_too(reserve):
    (seconds,) = waits(reserve, within=0.03)

    assert seconds < 0.08


def test_a_thread_that_is_only_late_goes_on_and_one_that_is_stuck_is_replaced(reserve, caplog):
    gate = threading.Event()
    for _ in range(2):
        with pytest.raises(Late):
            reserve.run(gate.wait, seconds=0.01)
    with pytest.raises(Late, match="no connection"):
        reserve.run(own_process, seconds=0.01)  # both are late, neither has been for long
    time.sleep(0.25)

    with pytest.raises(Late):
        reserve.run(own_process, seconds=0.01)

    assert caplog.text.count("is replaced") == 2
    assert eventually(lambda: reserve.run(own_process) > 0)
    gate.set()


def test_a_connection_that_ended_is_not_the_askers_concern(reserve):
    ended = processes(reserve)
    for process in ended:
        scalar(f"SELECT pg_terminate_backend({process})")

    answered = processes(reserve)

    assert not answered & ended


def test_the_server_itself_ends_a_statement_that_waits_for_a_lock(reserve):
    with pytest.raises(OperationalError, match="statement timeout"):
        reserve.run(lambda: scalar("SELECT pg_sleep(1)"), seconds=5)

    assert reserve.run(lambda: scalar("SHOW statement_timeout")) == "70ms"


def test_all_who_ask_the_same_at_once_are_answered_by_one(reserve):
    asked, answers = [], []

    def slow():
        asked.append(1)
        time.sleep(0.3)  # until all have asked
        return len(asked)

    def ask():
        answers.append(reserve.run(slow, about="the same", seconds=5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(asked), answers) == (1, [1] * 8)
    assert reserve.run(slow, about="the same", seconds=5) == 2


def test_idle_connections_are_asked_now_and_then(monkeypatch):
    monkeypatch.setattr("realtime.reserved.PING_EVERY", 0.02)
    reserve = Reserve()
    reserve.start()
    first = processes(reserve)

    for process in first:
        scalar(f"SELECT pg_terminate_backend({process})")

    assert eventually(lambda: not processes(reserve) & first)
    reserve.stop()


def test_a_database_that_is_away_is_tried_until_it_is_back(monkeypatch):
    away = threading.Event()
    connect = type(connection._connections["default"]).connect

    def refused(self):
        if not away.is_set() and threading.current_thread().name == "reserved":
            raise OperationalError("no route to the database")
        return connect(self)

    monkeypatch.setattr(type(connection._connections["default"]), "connect", refused)
    reserve = Reserve()

    with pytest.raises(Late):
        reserve.run(own_process)
    # Known to be away by now: nobody waits.
    seconds = min(waited(reserve, own_process, seconds=5) for _ in range(TRIES))
    away.set()

    assert seconds < 0.05
    assert eventually(lambda: reserve.run(own_process) > 0)
    reserve.stop()


def eventually(is_so):
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with suppress(Late):
            if is_so():
                return True
        time.sleep(0.01)
    return False
