"""Redis Streams and the worker: nothing lost, nothing twice, poison put aside."""

import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError

from access.models import AccessLog
from realtime import consume, streams
from realtime.worker import Worker
from sensors.models import SensorReading

pytestmark = [
    pytest.mark.skipif(settings.EMBEDDED, reason="needs Redis: the production pass runs it"),
    pytest.mark.django_db,
]


@pytest.fixture
def client():
    return streams.connect(5.0)


@pytest.fixture
def worker():
    return Worker("tested")


def state_of(client, kind: str) -> consume.State:
    return next(state for state in consume.state(client) if state.kind == kind)


@pytest.mark.undrained
def test_a_reading_waits_in_the_stream_until_a_worker_stores_it(sensor_client, client, worker):
    answer = sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 21.5})
    before = state_of(client, "sensors")
    worker.drain()
    after = state_of(client, "sensors")

    assert answer.status_code == 202
    assert (before.length, before.pending) == (1, 0)
    assert (after.length, after.pending, after.dead) == (0, 0, 0)
    assert str(SensorReading.objects.get().id) == answer.json()["message_id"]


@pytest.mark.undrained
def test_what_came_before_the_group_existed_is_stored_too(sensor_client, client, worker):
    client.flushdb()
    sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})

    worker.drain()

    assert SensorReading.objects.count() == 1


@pytest.mark.undrained
def test_a_worker_that_died_after_the_commit_stores_nothing_twice(
    sensor_client, client, worker, monkeypatch
):
    readings = [{"temperature": value} for value in range(5)]
    sensor_client.send("POST", "/api/sensors/ingest", {"readings": readings})
    with monkeypatch.context() as patched:
        patched.setattr(consume, "acknowledge", lambda *args: None)  # killed before XACK
        worker.prepare()
        worker.step()
    pending = state_of(client, "sensors").pending

    Worker("tested").drain()

    assert pending == 5
    assert SensorReading.objects.count() == 5
    assert state_of(client, "sensors").pending == 0


@pytest.mark.undrained
def test_another_worker_takes_over_what_is_stuck(sensor_client, client, worker, monkeypatch):
    monkeypatch.setattr(consume, "STUCK_MS", 0)
    sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})
    consume.make_groups(client)
    consume.read(client, "frozen", 10, block_ms=1)

    worker.prepare()
    worker.step()

    assert SensorReading.objects.count() == 1
    assert state_of(client, "sensors").pending == 0


@pytest.mark.undrained
@pytest.mark.parametrize(
    "poison",
    [
        b"no json",
        b"[1]",
        b"{}",
        b'{"id": "not a uuid"}',
    ],
)
def test_poison_goes_to_the_dead_letters_and_its_neighbours_are_stored(
    sensor_client, client, worker, poison
):
    for value in range(3):
        sensor_client.send("POST", "/api/sensors/ingest", {"temperature": value})
    client.xadd(streams.key("sensors"), {"entry": poison})
    for value in range(3, 6):
        sensor_client.send("POST", "/api/sensors/ingest", {"temperature": value})

    worker.drain()

    (letter,) = consume.letters(client)
    assert SensorReading.objects.count() == 6
    assert (letter.kind, letter.raw) == ("sensors", poison.decode())
    assert letter.reason
    assert (state_of(client, "sensors").length, state_of(client, "sensors").dead) == (0, 1)


@pytest.mark.undrained
def test_a_database_that_is_away_sends_nothing_to_the_dead_letters(
    sensor_client, client, worker, monkeypatch
):
    sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})
    with monkeypatch.context() as patched:
        patched.setattr(streams, "store", _away)
        with pytest.raises(OperationalError):
            worker.drain()
    state = state_of(client, "sensors")

    worker.drain()

    assert (state.pending, state.dead) == (1, 0)
    assert SensorReading.objects.count() == 1


@pytest.mark.undrained
def test_a_dead_letter_can_be_replayed_and_dropped(sensor_client, client, worker, capsys):
    sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})
    ((_, fields),) = client.xrange(streams.key("sensors"))
    letter = {"entry": fields[b"entry"], "reason": "by mistake", "at": "1"}
    client.xadd(streams.dead_key("sensors"), letter)
    client.delete(streams.key("sensors"))

    call_command("dead_letters", "list")
    call_command("dead_letters", "replay")
    worker.drain()
    client.xadd(streams.dead_key("sensors"), {"entry": b"{}", "reason": "poison", "at": "1"})
    call_command("dead_letters", "drop")

    assert "by mistake" in capsys.readouterr().out
    assert SensorReading.objects.count() == 1
    assert consume.letters(client) == []


@pytest.mark.undrained
def test_a_check_is_recorded_in_the_database_when_the_stream_is_away(
    door_client, annas_card, monkeypatch
):
    monkeypatch.setattr(streams, "connect", _no_redis)

    answer = door_client.send("POST", "/api/access/check", {"card_uid": annas_card.uid})

    assert answer.json()["granted"] is True
    assert str(AccessLog.objects.get().log_id) == answer.json()["access_log_id"]


@pytest.mark.undrained
def test_a_reading_is_refused_when_the_stream_is_away(sensor_client, monkeypatch):
    monkeypatch.setattr(streams, "connect", _no_redis)

    answer = sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.undrained
def test_at_80_percent_readings_are_refused_and_checks_are_not(
    sensor_client, door_client, annas_card, monkeypatch
):
    monkeypatch.setattr(streams.memory, "share", lambda client: 0.81)

    reading = sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})
    check = door_client.send("POST", "/api/access/check", {"card_uid": annas_card.uid})

    assert (reading.status_code, check.status_code) == (503, 200)


def _away(kind: str, entries: object) -> None:
    raise OperationalError("the database is away")


def _no_redis(timeout: float) -> redis.Redis:
    return redis.Redis(host="127.0.0.1", port=1, retry=None, socket_connect_timeout=0.05)
