"""Redis Streams and the worker: nothing lost, nothing twice, poison put aside."""

import time

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
def test_an_entry_without_our_field_is_poison_too(client, worker):
    client.xadd(streams.key("sensors"), {"other": "x" * 10})

    worker.drain()

    (letter,) = consume.letters(client)
    assert (letter.kind, letter.raw) == ("sensors", "")
    assert state_of(client, "sensors").length == 0


@pytest.mark.undrained
def test_a_worker_that_is_asked_to_end_stores_what_it_has_read(
    sensor_client, client, worker, monkeypatch
):
    readings = [{"temperature": value} for value in range(5)]
    sensor_client.send("POST", "/api/sensors/ingest", {"readings": readings})
    store = streams.store

    def store_and_end(kind: str, entries: list[streams.Entry]) -> None:
        store(kind, entries)
        worker.stopping = True  # while two more have been read ahead

    monkeypatch.setattr("realtime.worker.BATCH", 2)
    monkeypatch.setattr(streams, "store", store_and_end)
    worker.run()

    state = state_of(client, "sensors")
    assert SensorReading.objects.count() == 4
    assert (state.length, state.pending) == (1, 0)


@pytest.mark.undrained
def test_what_was_read_ahead_is_not_lost_when_the_database_goes_away(
    sensor_client, client, worker, monkeypatch
):
    readings = [{"temperature": value} for value in range(5)]
    sensor_client.send("POST", "/api/sensors/ingest", {"readings": readings})
    store, tries = streams.store, []

    def away_once(kind: str, entries: list[streams.Entry]) -> None:
        tries.append(len(entries))
        if len(tries) == 2:
            raise OperationalError("the database is away")
        store(kind, entries)
        worker.stopping = SensorReading.objects.count() == 5

    monkeypatch.setattr("realtime.worker.BATCH", 2)
    monkeypatch.setattr("realtime.worker.connection.close", lambda: None)  # it is the test's
    monkeypatch.setattr(streams, "store", away_once)
    worker.run()

    state = state_of(client, "sensors")
    assert tries == [2, 2, 2, 1]  # two, two that failed, those again, what was read ahead
    assert (state.length, state.pending, state.dead) == (0, 0, 0)


@pytest.mark.undrained
def test_a_stream_redis_out_of_memory_is_emptied_by_a_worker_that_starts(sensor_client, client):
    consume.make_groups(client)
    for value in range(5):
        sensor_client.send("POST", "/api/sensors/ingest", {"temperature": value})
    most = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            client.xadd("anything", {"a": "b"})
        Worker("tested").drain()
        state = state_of(client, "sensors")
    finally:
        client.config_set("maxmemory", most)

    assert (state.length, state.pending) == (0, 0)
    assert SensorReading.objects.count() == 5


@pytest.mark.undrained
def test_poison_in_a_full_stream_keeps_nothing_else_there(sensor_client, client):
    consume.make_groups(client)
    client.xadd(streams.key("sensors"), {streams.FIELD: b"poison"})
    for value in range(5):
        sensor_client.send("POST", "/api/sensors/ingest", {"temperature": value})
    most = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):  # of the dead letter
            Worker("tested").drain()
        full = state_of(client, "sensors")
    finally:
        client.config_set("maxmemory", most)
    Worker("tested").drain()
    after = state_of(client, "sensors")

    assert (full.length, full.pending, full.dead) == (1, 1, 0)
    assert (after.length, after.pending, after.dead) == (0, 0, 1)
    assert SensorReading.objects.count() == 5


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
def test_metrics_say_what_waits_and_what_is_dead_also_without_a_worker(
    sensor_client, viewer, client
):
    consume.make_groups(client)
    for value in range(3):
        sensor_client.send("POST", "/api/sensors/ingest", {"temperature": value})
    consume.read(client, "slow", 1, block_ms=1)
    client.xadd(streams.dead_key("sensors"), {"entry": b"{}", "reason": "poison", "at": "1"})

    lines = viewer.get("/metrics").content.decode().splitlines()

    sensors = '{stream="sensors"}'
    said = dict(line.rsplit(" ", 1) for line in lines if line.startswith("smarthome_stream_"))
    assert said[f"smarthome_stream_lag{sensors}"] == "2.0"
    assert said[f"smarthome_stream_pending{sensors}"] == "1.0"
    assert said[f"smarthome_stream_dead_letters{sensors}"] == "1.0"
    assert 0 <= float(said[f"smarthome_stream_oldest_seconds{sensors}"]) < 5
    assert {value for line, value in said.items() if sensors not in line} == {"0.0"}
    assert len(said) == 4 * len(streams.kinds())


def test_metrics_are_answered_while_the_stream_is_away(viewer, monkeypatch):
    monkeypatch.setattr(streams, "connect", _no_redis)

    answer = viewer.get("/metrics")

    assert answer.status_code == 200
    assert "smarthome_stream_" not in answer.content.decode()


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
def test_after_a_failure_nobody_waits_and_the_stream_is_asked_again_soon(sensor_client):
    streams.breaker.open(redis.TimeoutError("frozen"))

    refused = sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})
    until = time.monotonic() + 5
    while not streams.breaker.lets_through() and time.monotonic() < until:
        time.sleep(0.01)
    accepted = sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 1})

    assert (refused.status_code, accepted.status_code) == (503, 202)


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
