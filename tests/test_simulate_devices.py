"""Simulated doors and sensors speak over real mutual TLS, as the field's firmware does."""

import datetime as dt
import io
import json
import os
import re
import shlex
import signal
import ssl
import struct
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from access.decision import Reason
from policies import pki
from policies.enrolment import revoke
from policies.models import Card, Certificate, Device, Person
from realtime.management import demo_house, rooms, simulation
from realtime.management.commands import simulate_devices
from realtime.management.demo_house import DemoCard
from realtime.management.simulation import (
    Line,
    SimulatedDoor,
    SimulatedSensor,
    Socket,
    Stage,
)
from sensors.models import SensorReading
from tests.house import open_house

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
GRANTED = {"granted": True, "reason": "granted"}
ANNAS = DemoCard("04:A3:2B:F2:1C:80", "Anna", Reason.GRANTED)


class House(ThreadingHTTPServer):
    """A house that keeps what it was asked and answers as it is told to."""

    daemon_threads = False

    def __init__(self, folder) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://localhost:{self.server_port}"
        self.asked: list[tuple[str, str, dict[str, str], dict[str, Any]]] = []
        self.connections: set[Any] = set()
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.answers_frames: bool | None = True  # False: hangs up; None: is silent
        self.is_frozen = False  # connections open, nothing is answered

    def bodies(self, path: str, who: str = "") -> list[dict[str, Any]]:
        return [b for p, name, _, b in self.asked if p == path and who in name]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: House

    def keep(self, body: dict[str, Any]) -> None:
        (subject,) = self.connection.getpeercert()["subject"]
        self.server.asked.append((self.path, subject[0][1], dict(self.headers), body))
        self.server.connections.add(self.client_address)

    def do_GET(self) -> None:
        """A WebSocket, until the device hangs up."""
        if self.server.is_frozen:
            self.rfile.read()
            return
        protocol = ServerProtocol(origins=["file://"], subprotocols=["arduino"])
        received = self.raw_requestline + bytes(self.headers).replace(b"\n", b"\r\n")
        while received:
            protocol.receive_data(received)
            for event in protocol.events_received():
                self.take(protocol, event)
            for data in protocol.data_to_send():
                self.connection.sendall(data)
            received = b"" if protocol.close_expected() else self.connection.recv(65536)
        self.close_connection = True

    def take(self, protocol: ServerProtocol, event: Any) -> None:
        if not isinstance(event, Frame):
            protocol.send_response(protocol.accept(event))
        elif event.opcode is Opcode.TEXT:
            self.keep(json.loads(event.data))
            if self.server.answers_frames is None:
                return
            if not self.server.answers_frames:
                protocol.send_close(1001)
            elif self.server.refusal:
                error = {"code": "X", "message": "Not now.", "details": {}}
                protocol.send_text(json.dumps({"type": "error", "error": error}).encode())
            else:
                protocol.send_text(b'{"type": "ack", "message_id": "1"}')

    def do_POST(self) -> None:
        self.keep(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if self.server.refusal:
            status, headers = self.server.refusal
            answer = {"error": {"code": "X", "message": "Not now.", "details": {}}}
        else:
            status, headers = (200 if "check" in self.path else 202), {}
            answer = GRANTED if status == 200 else {"status": "accepted"}
        self.send_response(status)
        payload = json.dumps(answer).encode()
        for name, value in ({"Content-Length": str(len(payload))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    pki.create_ca(tmp_path / "pki")
    return tmp_path


@pytest.fixture
def house(data_dir):
    pki.ensure_server_certificate(data_dir / "pki", ["localhost"], timezone.now())
    with House(data_dir / "pki") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Heard:
    """A stage that keeps what is said on it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.stage = Stage(self.said.append, self.warned.append, threading.Event())


@pytest.fixture
def heard():
    return Heard()


def simulate(*options: str) -> list[str]:
    out = io.StringIO()
    call_command("simulate_devices", *options, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def front_door(data_dir):
    (door,) = demo_house.devices(data_dir / "demo", 1, 0)
    demo_house.settle([door])
    return door


@pytest.fixture
def living_room(data_dir):
    (sensor,) = demo_house.devices(data_dir / "demo", 0, 1)
    demo_house.settle([sensor])
    return sensor


@pytest.fixture
def door(front_door, house, heard):
    device = SimulatedDoor(front_door, Line(house.url, front_door), heard.stage, cards=[ANNAS])
    yield device
    device.hang_up()


@pytest.fixture
def sensor(living_room, house, heard):
    past = simulation.history(living_room, rooms.room(0), NOON - HOUR, NOON)
    device = SimulatedSensor(
        living_room,
        Line(house.url, living_room),
        heard.stage,
        socket=Socket(house.url, living_room),
        room=rooms.room(0),
        history=past,
        progress=lambda readings: None,
    )
    yield device
    device.hang_up()


@pytest.fixture
def live_sensor(sensor):
    """A sensor that has nothing to catch up on."""
    sensor.batch = None
    return sensor


def test_doors_and_sensors_speak_as_the_firmware_does(house):
    out = simulate(f"--url={house.url}", "--doors=1", "--sensors=2", "--seconds=3")

    checks = [asked for asked in house.asked if asked[0] == "/api/access/check"]
    _, who, headers, body = checks[0]
    assert who == "demo-front-door"
    assert headers["User-Agent"] == "ESP32HTTPClient"
    assert headers["Connection"] == "keep-alive"
    assert headers["Accept-Encoding"] == "identity;q=1,chunked;q=0.1,*;q=0"
    assert headers["Content-Type"] == "application/json"
    assert set(body) == {"device_id", "card_uid", "timestamp"}
    assert body["device_id"] == "demo-front-door"
    assert body["timestamp"] == "2024-01-01T00:00:00Z"
    assert re.fullmatch("([0-9A-F]{2}:)+[0-9A-F]{2}", body["card_uid"])

    batches = house.bodies("/api/sensors/ingest", "demo-kitchen")
    live = house.bodies("/ws", "demo-kitchen")
    upgrade = next(headers for path, _, headers, _ in house.asked if path == "/ws")
    assert [len(batch["readings"]) for batch in batches] == [500, 220]
    assert len(live) >= 2
    assert set(live[0]) == {"device_id", "timestamp", "temperature", "humidity", "pressure"}
    assert upgrade["Origin"] == "file://"
    assert upgrade["Sec-WebSocket-Protocol"] == "arduino"
    assert "Sec-WebSocket-Extensions" not in upgrade
    # Each door kept its own connection, and each sensor one for the history and its socket.
    assert len(house.connections) == 5
    ending = r"Simulated 1 doors and 2 sensors; the house took \d+ requests and frames\."
    assert re.fullmatch(ending, out[-1])


def test_people_are_told_which_cards_open_and_each_badge(house):
    out = simulate(f"--url={house.url}", "--doors=1", "--sensors=0", "--seconds=1")

    opens = out.index("Cards that open:")
    refused = out.index("Cards that do not:")
    words = [line.split("  ")[-1] for line in out]
    assert words[opens + 1 : refused] == ["Anna", "Ben", "Clara"]
    assert words[refused + 1 : refused + 5] == [
        "Ben, card reported lost or stolen",
        "Former tenant, card or person suspended",
        "Guest, expired",
        "a stranger, unknown card",
    ]
    assert re.fullmatch("front door: .*, allowed", out[-2])


def test_the_curl_line_works_as_pasted(house):
    out = simulate(f"--url={house.url}", "--doors=1", "--sensors=0", "--seconds=1")
    line = next(line for line in out if line.startswith("  curl"))
    house.asked.clear()

    answer = subprocess.run(line.strip(), shell=True, capture_output=True, check=True)  # noqa: S602

    uid = Card.objects.get(person__name="Anna").uid
    assert json.loads(answer.stdout) == GRANTED
    assert [asked[1] for asked in house.asked] == ["demo-front-door"]
    assert house.asked[0][3] == {"card_uid": uid}
    assert all(os.path.isabs(word) for word in shlex.split(line) if word.endswith((".crt", ".key")))


def test_a_second_start_keeps_everything(data_dir):
    devices = demo_house.devices(data_dir / "demo", 2, 3)
    demo_house.settle(devices)
    Person.objects.get(name="Anna").delete()

    demo_house.settle(devices)

    assert Certificate.objects.count() == 5
    assert not Person.objects.filter(name="Anna").exists()
    assert Card.objects.count() == 5


def test_no_two_houses_have_the_same_demo_cards(data_dir):
    demo_house.move_in(NOON)
    first = set(Card.objects.values_list("uid", flat=True))
    Card.objects.all().delete()

    demo_house.move_in(NOON)

    assert not first & set(Card.objects.values_list("uid", flat=True))


@pytest.mark.parametrize(
    "damage",
    [
        lambda door: door.key.unlink(),
        lambda door: door.certificate.write_text("junk"),
        lambda door: door.ca.write_text("another CA"),
    ],
    ids=["no key", "no certificate", "another CA"],
)
def test_a_device_that_cannot_speak_any_more_is_enrolled_again(front_door, damage):
    Device.objects.update(name="Main entrance")
    damage(front_door)

    demo_house.settle([front_door])

    Line("https://localhost:1", front_door)
    assert Device.objects.get().name == "Main entrance"
    assert Certificate.objects.current(timezone.now()).count() == 1
    assert Certificate.objects.count() == 2


def test_a_device_that_was_revoked_stays_revoked(front_door):
    revoke(front_door.device_id)

    demo_house.settle([front_door])

    assert Certificate.objects.filter(revoked_at=None).count() == 0


def test_there_are_names_for_as_many_as_are_wanted(tmp_path):
    names = [device.device_id for device in demo_house.devices(tmp_path, 5, 6)]

    assert names[:2] == ["demo-front-door", "demo-garage-door"]
    assert names[4] == "demo-door-5"
    assert names[5:8] == ["demo-living-room", "demo-kitchen", "demo-cellar"]
    assert names[10] == "demo-room-6"


def test_history_reaches_back_to_the_newest_reading(living_room):
    assert demo_house.silent_since(living_room, NOON, HOUR) == NOON - HOUR

    for age in (2 * HOUR, HOUR / 4):
        SensorReading.objects.create(
            id=os.urandom(16).hex(),
            time=NOON - age,
            device_id="demo-living-room",
            time_source="device",
            received_at=NOON,
        )

    assert demo_house.silent_since(living_room, NOON, HOUR) == NOON - HOUR / 4


def test_history_comes_in_batches_oldest_first_with_ids(living_room):
    batches = list(simulation.history(living_room, rooms.room(0), NOON - HOUR, NOON))

    readings = [reading for batch in batches for reading in batch]
    assert [len(batch) for batch in batches] == [500, 220]
    assert readings[0]["timestamp"] == "2026-11-23T11:00:00.000Z"
    assert readings[-1]["timestamp"] == "2026-11-23T11:59:55.000Z"
    assert [reading["seq"] for reading in readings] == list(range(720))
    assert len({reading["boot_id"] for reading in readings}) == 1
    assert list(simulation.history(living_room, rooms.room(0), NOON, NOON)) == []


@pytest.mark.parametrize("number", range(7))
def test_a_rooms_weather_is_plausible_slow_and_always_the_same(number):
    room = rooms.room(number)
    day = [rooms.weather(room, NOON + dt.timedelta(minutes=minute)) for minute in range(1440)]

    warmth = [reading["temperature"] for reading in day]
    assert abs(sum(warmth) / 1440 - room.temperature) < 0.3
    assert room.swing < max(warmth) - min(warmth) < 4 * room.swing
    assert max(abs(a - b) for a, b in pairwise(warmth)) < 0.3
    assert all(20 < reading["humidity"] < 90 for reading in day)
    assert all(1000 < reading["pressure"] < 1025 for reading in day)
    assert rooms.weather(room, NOON) == day[0]


def test_values_look_like_the_firmwares_floats():
    assert rooms.as_float32(23.12) == 23.12000084
    assert struct.unpack("f", struct.pack("f", 23.12))[0] == pytest.approx(23.12000084, abs=1e-8)


def test_a_card_that_is_held_to_the_door_is_asked_for_once(door, house):
    ben = DemoCard("04:A3:2B:F2:1C:81", "Ben", Reason.GRANTED)

    for card, seconds in ((ANNAS, 10), (ANNAS, 12.5), (ANNAS, 13), (ben, 13), (ANNAS, 13)):
        door.badge(card, seconds)

    uids = [body["card_uid"][-2:] for body in house.bodies("/api/access/check")]
    assert uids == ["80", "80", "81", "80"]


def test_a_door_that_is_refused_stays_shut_and_goes_on(door, house, heard):
    house.refusal = (403, {})

    pause = door.attempt()

    assert 2 <= pause <= 10
    assert door.told == 0
    assert heard.said == ["front door: Anna, stays shut (403 Not now.)"]


@pytest.mark.parametrize(
    ("refusal", "pause", "next_seq"),
    [
        (None, 0, 500),
        ((503, {"Retry-After": "7"}), 7, 0),
        ((429, {"Retry-After": "1"}), 1, 0),
        ((403, {}), 1, 0),
        ((422, {}), 1, 500),  # it will never be taken
    ],
)
def test_a_batch_is_kept_until_the_house_has_it(sensor, house, refusal, pause, next_seq):
    house.refusal = refusal

    assert sensor.attempt() == pause
    assert sensor.batch[0]["seq"] == next_seq


def test_a_refused_frame_is_reported_once_and_not_repeated(live_sensor, house, heard):
    pauses = []
    for house.refusal in (None, (503, {}), (401, {}), None, None):
        pauses.append(live_sensor.attempt())

    assert pauses[:3] == [1, 5, 5]
    assert live_sensor.told == 3
    assert len(house.bodies("/ws")) == 5
    assert len(house.connections) == 1
    assert heard.warned == [
        "living room: refused (Not now.)",
        "living room: the house answers again",
    ]


def test_a_sensor_whose_house_hangs_up_comes_back(live_sensor, house, heard):
    pauses = []
    for house.answers_frames in (True, False, False, True):
        pauses.append(live_sensor.attempt())

    assert 0.25 <= pauses[1] <= 0.75
    assert 0.5 <= pauses[2] <= 1.5
    assert live_sensor.told == 2
    assert len(house.connections) == 3
    assert [line.partition(" (")[0] for line in heard.warned] == [
        "living room: the house does not answer",
        "living room: the house answers again",
    ]


def test_an_answer_that_comes_late_is_not_taken_for_the_next_frames(
    live_sensor, house, monkeypatch
):
    live_sensor.attempt()
    monkeypatch.setattr(simulation, "TIMEOUT_SECONDS", 0.1)
    house.answers_frames = None
    live_sensor.attempt()
    monkeypatch.undo()
    house.answers_frames = True
    live_sensor.attempt()

    assert live_sensor.told == 2
    assert len(house.connections) == 2


def test_a_sensor_whose_house_froze_comes_back(live_sensor, house, monkeypatch):
    monkeypatch.setattr(simulation, "TIMEOUT_SECONDS", 0.2)
    house.is_frozen = True
    pause = live_sensor.attempt()
    monkeypatch.undo()
    house.is_frozen = False
    live_sensor.attempt()

    assert 0.25 <= pause <= 0.75
    assert live_sensor.told == 1


def test_a_real_house_takes_the_frames_and_shuts_out_who_was_revoked(tmp_path):
    command = ["simulate_devices", "--doors=0", "--sensors=1", "--history-minutes=0", "--seconds=3"]
    with open_house(tmp_path) as house:
        trusted = house.manage(*command, f"--url={house.device_url}")
        house.manage("revoke_device", "demo-living-room")
        revoked = house.manage(*command, f"--url={house.device_url}")

    taken = re.search(r"took (\d+) requests", trusted.stdout)
    assert taken
    assert int(taken[1]) >= 2
    assert trusted.stderr == ""
    assert revoked.stderr == "living room: refused (This certificate is revoked.)\n"
    assert "took 0 requests" in revoked.stdout


def test_a_device_tries_again_less_and_less_often_while_the_house_is_away(
    sensor, house, heard, living_room
):
    present, sensor.line = sensor.line, Line("https://localhost:1", living_room)

    pauses = [sensor.attempt() for _ in range(8)]
    sensor.line = present
    sensor.attempt()

    assert 0.25 <= pauses[0] <= 0.75
    assert all(5 <= pause <= 15 for pause in pauses[5:])
    assert sensor.batch[0]["seq"] == 500  # the batch that was not sent came through at last
    assert heard.warned == [
        "living room: the house does not answer ([Errno 111] Connection refused), trying again",
        "living room: the house answers again",
    ]


@pytest.mark.parametrize(
    "speak",
    [
        lambda url, device: Line(url, device).post("/api/sensors/ingest", {}),
        lambda url, device: Socket(url, device).ask({}),
    ],
    ids=["HTTPS", "WebSocket"],
)
def test_a_device_speaks_with_its_own_house_only(house, living_room, tmp_path, speak):
    pki.create_ca(tmp_path / "other")
    living_room.ca.write_bytes((tmp_path / "other" / "ca.crt").read_bytes())

    with pytest.raises(simulation.Away, match="certificate verify failed"):
        speak(house.url, living_room)

    assert house.asked == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(house, number):
    before = signal.getsignal(number)
    timer = threading.Timer(0.7, os.kill, (os.getpid(), number))
    timer.start()

    out = simulate(f"--url={house.url}", "--doors=1", "--sensors=1")

    timer.join()
    assert out[-1].startswith("Simulated 1 doors and 1 sensors")
    assert signal.getsignal(number) == before


def test_it_ends_with_the_process_that_started_it(house, monkeypatch):
    parents = iter([4711, 4711])
    monkeypatch.setattr(simulate_devices.os, "getppid", lambda: next(parents, 1))

    out = simulate(f"--url={house.url}", "--doors=1", "--sensors=0", "--with-parent")

    assert out[-1].startswith("Simulated 1 doors and 0 sensors")


def test_it_ends_when_nobody_reads_any_more(house):
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    call_command("simulate_devices", f"--url={house.url}", "--sensors=0", stdout=Closed())


@pytest.mark.parametrize(
    "option",
    [
        "--url=http://localhost:8443",
        "--url=https:///x",
        "--url=https://localhost:99999",
        "--url=https://localhost/api",
        "--doors=-1",
        "--sensors=101",
        "--seconds=soon",
        "--history-minutes=10081",
    ],
)
def test_options_that_cannot_be_are_refused(option):
    with pytest.raises(CommandError, match=r"is not"):
        simulate(option)


def test_without_a_ca_it_says_what_to_do(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "empty"

    with pytest.raises(CommandError, match=r"run manage\.py init_ca"):
        simulate("--seconds=1")


def test_without_its_tables_it_says_what_to_do(monkeypatch):
    def no_tables(house):
        raise OperationalError("no such table: policies_device")

    monkeypatch.setattr(demo_house, "settle", no_tables)

    with pytest.raises(CommandError, match=r"no such table.*Run: manage\.py bootstrap"):
        simulate("--seconds=1")
