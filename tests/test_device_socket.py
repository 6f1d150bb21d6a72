"""`/ws` as a device: every frame checked as a request would be, acknowledged when durable."""

import json
import sqlite3
import uuid
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from tests.house import House, open_house
from tests.sockets import ask, device_socket, receive, send, sign_in, viewer_socket, wait_for

DOORS = "from policies.models import Door"
DEVICES = {"front-door": "door", "kitchen": "sensor"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with open_house(folder, DEVICES, RATE_LIMIT_INGEST="200/s") as house:
        yield house


def stored(house: House, table: str, column: str, value: str) -> int:
    """How many rows of a table have that value, read by another process."""
    database = sqlite3.connect(house.data_dir / "house.sqlite3")
    query = f"SELECT count(*) FROM {table} WHERE {column} = ?"  # noqa: S608  # our own names
    (count,) = database.execute(query, (value,)).fetchone()
    database.close()
    return int(count)


def test_an_untyped_frame_of_the_field_is_acknowledged_and_stored(house):
    frame = {
        "device_id": "kitchen",
        "timestamp": "2024-01-01T00:00:00",
        "temperature": 23.12000084,
        "humidity": 45.0,
        "pressure": 1013.25,
    }

    with device_socket(house, "kitchen") as socket:
        subprotocol = socket.subprotocol
        ack = ask(socket, **frame)

    assert subprotocol == "arduino"
    assert ack["type"] == "ack"
    assert stored(house, "sensor_readings", "id", uuid.UUID(ack["message_id"]).hex) == 1


def test_a_typed_frame_and_a_batch_are_acknowledged_too(house):
    with device_socket(house, "kitchen") as socket:
        typed = ask(socket, type="sensor_reading", temperature=20)
        batch = ask(socket, readings=[{"temperature": 20}, {"temperature": True}])

    assert typed["type"] == "ack"
    assert (batch["type"], batch["accepted"]) == ("ack", 1)
    assert [refused["index"] for refused in batch["rejected"]] == [1]


def test_the_same_id_over_a_socket_and_http_is_one_row(house):
    reading = {"reading_id": str(uuid.uuid4()), "temperature": 19.5}
    with device_socket(house, "kitchen") as socket, house.device("kitchen") as client:
        over_socket = ask(socket, **reading)["message_id"]
        over_http = client.post("/api/sensors/ingest", json=reading).json()["message_id"]

    assert over_socket == over_http
    assert stored(house, "sensor_readings", "id", uuid.UUID(over_socket).hex) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", "MALFORMED_REQUEST"),
        ("[1]", "MALFORMED_REQUEST"),
        ('{"temperature": NaN}', "MALFORMED_REQUEST"),
        ('{"temperature": 1, "temperature": 2}', "MALFORMED_REQUEST"),
        ("[" * 2000, "MALFORMED_REQUEST"),
        ('{"temperature": true}', "VALIDATION_ERROR"),
        ('{"temperature": "21.5"}', "VALIDATION_ERROR"),
        ('{"temperature": 1e999}', "VALIDATION_ERROR"),
        ("{}", "VALIDATION_ERROR"),
        ('{"type": "dance", "temperature": 1}', "VALIDATION_ERROR"),
        ('{"type": ["sensor_reading"], "temperature": 1}', "VALIDATION_ERROR"),
        ('{"device_id": "front-door", "temperature": 1}', "AUTHORIZATION_ERROR"),
        ('{"type": "door_event", "event": "closed"}', "AUTHORIZATION_ERROR"),
    ],
)
def test_a_wrong_frame_is_told_what_is_wrong_and_the_next_is_taken(house, text, code):
    with device_socket(house, "kitchen") as socket:
        socket.send(text)
        error = receive(socket)
        after = ask(socket, temperature=20)

    assert error["type"] == "error"
    assert error["error"]["code"] == code
    assert set(error["error"]) == {"code", "message", "details"}
    assert after["type"] == "ack"


@pytest.fixture
def kept_open(house: House) -> Iterator[None]:
    """The front door has a schedule that keeps it open at any time."""
    start = (
        "from policies.models import *; import datetime as dt;"
        "always = Schedule.objects.create(name='always');"
        "always.windows.create(days=127, starts_at=dt.time(), ends_at=dt.time());"
        "Door.objects.update(always_unlocked=always)"
    )
    end = "Door.objects.update(always_unlocked=None, lockdown=False)"
    house.manage("shell", "--no-imports", "-c", start)
    yield
    house.manage("shell", "--no-imports", "-c", f"{DOORS}; {end}")


def test_a_door_is_told_to_stay_open_and_to_lock_in_a_lockdown(house, kept_open):
    lock_down = f"{DOORS}; Door.objects.update(lockdown=True)"
    with device_socket(house, "front-door") as socket:
        told = wait_for(socket, "command")
        send(socket, type="command_result", id=told["id"], ok=True)
        acknowledged = ask(socket, type="door_event", event="closed")
        house.manage("shell", "--no-imports", "-c", lock_down)
        while (last := wait_for(socket, "command"))["command"] == "unlock":
            pass

    assert told == {"type": "command", "id": told["id"], "command": "unlock", "seconds": 25}
    assert acknowledged["type"] == "ack"  # a result is answered by nothing
    assert last == {"type": "command", "id": last["id"], "command": "lock"}
    assert last["id"] != told["id"]


def test_a_door_without_such_a_schedule_is_told_nothing(house):
    with device_socket(house, "front-door") as socket, pytest.raises(TimeoutError):
        receive(socket, timeout=2)


def test_a_binary_frame_is_malformed(house):
    with device_socket(house, "kitchen") as socket:
        socket.send(b'{"temperature": 20}')

        assert receive(socket)["error"]["code"] == "MALFORMED_REQUEST"


def test_a_frame_beyond_64_kb_closes_with_1009(house):
    with device_socket(house, "kitchen") as socket:
        socket.send(json.dumps({"temperature": 20, "room": "x" * 64 * 1024}))
        with pytest.raises(ConnectionClosed):
            receive(socket)

        assert socket.close_code == 1009


def test_a_revoked_certificate_ends_an_open_socket(house):
    house.enrol("cellar", "sensor")
    with device_socket(house, "cellar") as socket:
        before = ask(socket, temperature=12)
        house.beside.command("revoke_device", "cellar")
        after = ask(socket, temperature=12)
        with pytest.raises(ConnectionClosed):
            receive(socket)

        assert before["type"] == "ack"
        assert after["error"]["code"] == "AUTHORIZATION_ERROR"
        assert socket.close_code == 4403


def test_an_unknown_path_closes_with_4404(house):
    with viewer_socket(house, "/nowhere") as socket:
        with pytest.raises(ConnectionClosed):
            receive(socket)

        assert socket.close_code == 4404


def test_a_door_event_is_kept_and_shown(house):
    token = house.token()
    with viewer_socket(house) as viewer, device_socket(house, "front-door") as door:
        sign_in(viewer, token)
        ack = ask(door, type="door_event", event="forced_open", battery=71)
        shown = wait_for(viewer, "door_event")

    assert ack["type"] == "ack"
    assert shown["device_id"] == "front-door"
    assert shown["data"] == {"event": "forced_open", "battery": 71}
    assert stored(house, "door_events", "id", uuid.UUID(ack["message_id"]).hex) == 1


@pytest.mark.parametrize("event", ["exploded", None, 5, "CLOSED"])
def test_an_unknown_door_event_is_refused(house, event):
    with device_socket(house, "front-door") as door:
        error = ask(door, type="door_event", event=event)

    assert error["error"]["code"] == "VALIDATION_ERROR"
    assert list(error["error"]["details"]) == ["event"]


def test_frames_and_requests_share_one_bucket(tmp_path):
    # Two at once, then one every 30 s: no machine is so slow that the bucket fills up meanwhile.
    with (
        open_house(tmp_path, DEVICES, RATE_LIMIT_INGEST="2/min") as house,
        device_socket(house, "kitchen") as socket,
        house.device("kitchen") as client,
    ):
        replies = [ask(socket, temperature=20) for _ in range(3)]
        over_http = client.post("/api/sensors/ingest", json={"temperature": 20})

    assert [reply["type"] for reply in replies] == ["ack", "ack", "error"]
    assert replies[2]["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert over_http.status_code == 429
    assert int(over_http.headers["retry-after"]) >= 1
