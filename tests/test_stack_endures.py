"""What a production house endures: slow clients, deaths in the middle of its work, a full Redis.

One stack for the whole file, as in test_stack.py. Slow clients take ten seconds to be cut off:
they begin with the stack, and the other tests run meanwhile.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from smarthome.processes import found
from tests.sockets import Frame, receive, send, sign_in
from tests.stack import Answer, Stack, open_stack
from tests.test_stack import CARDS, UID, check
from tests.test_stack import pytestmark as pytestmark  # what it needs

STREAM, DEAD, GROUP = "events:sensors", "dead:sensors", "store"
MOST_UPLOADS = 100  # at once from one address (deploy/nginx/locations.conf.template)
SETTINGS = {"RATE_LIMIT_CHECK": "0", "RATE_LIMIT_INGEST": "0"}
UPLOAD = b"POST /api/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n{"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with open_stack(folder, **SETTINGS) as stack:
        stack.furnish({"front-door": "door", "hall": "sensor"}, CARDS)
        stack.asks_again = True
        yield stack


def wait_until(is_so: Callable[[], object], seconds: float = 10) -> float:
    """How long it took until it was so."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds, "it never came to be"
        time.sleep(0.02)
    return time.monotonic() - begun


def streams(stack: Stack) -> redis.Redis:
    """The stream Redis, as the app may use it."""
    return redis.Redis(unix_socket_path=f"{stack.data_dir}/run/redis.sock")


def is_empty(client: redis.Redis) -> bool:
    return not client.xlen(STREAM) and not client.xpending(STREAM, GROUP)["pending"]


# -- Slow clients --------------------------------------------------------------------------------


@contextmanager
def line(stack: Stack, device_id: str | None) -> Iterator[socket.socket]:
    """A TLS connection to the device face as a device, else to the people face."""
    port = stack.mtls_port if device_id else stack.https_port
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        stack.tls(device_id).wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        yield sock


def seconds_until_cut_off(sock: socket.socket, first: bytes, then: bytes) -> float:
    """Send what comes first, and then again and again; for how long that was put up with."""
    begun = time.monotonic()
    sock.settimeout(0.25)
    with suppress(ConnectionError, OSError):
        sock.sendall(first)
        while time.monotonic() - begun < 30:
            with suppress(TimeoutError):
                if not sock.recv(1024):
                    break
            sock.sendall(then)
    return time.monotonic() - begun


def drip(stack: Stack, device_id: str | None, first: bytes, then: bytes) -> float:
    with line(stack, device_id) as sock:
        return seconds_until_cut_off(sock, first, then)


def say_nothing(stack: Stack) -> float:
    """Not even a handshake."""
    with socket.create_connection(("127.0.0.1", stack.mtls_port)) as sock:
        return seconds_until_cut_off(sock, b"", b"")


SLOW = {
    "headers, a byte at a time": (b"GET /health HTTP/1.1\r\nX: ", b"a"),
    "a body that stops": (UPLOAD, b""),
}


@pytest.fixture(scope="module", autouse=True)
def slow_clients(stack: Stack) -> Iterator[dict[str, Future[float]]]:
    """They begin at once; how long each was put up with."""
    with ThreadPoolExecutor(8) as threads:
        clients = {
            f"{name} ({device_id})": threads.submit(drip, stack, device_id, *parts)
            for name, parts in SLOW.items()
            for device_id in (None, "hall")
        }
        yield clients | {"no handshake": threads.submit(say_nothing, stack)}


@pytest.fixture(scope="module", autouse=True)
def idle_door(stack: Stack) -> Iterator[socket.socket]:
    """A connection that has carried one check."""
    with line(stack, "front-door") as sock:
        # A house that has just come up, on a busy machine, may not be in time with the first.
        wait_until(lambda: ask_over(sock).status == 200, 30)
        yield sock


def ask_over(sock: socket.socket) -> Answer:
    body = json.dumps({"card_uid": UID}).encode()
    sock.sendall(
        b"POST /api/access/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    return Answer.read(sock)


def test_bodies_that_creep_in_are_few_and_hold_up_nobody(stack):
    with ExitStack() as clients, stack.people() as nobody, stack.device("front-door") as door:
        for _ in range(MOST_UPLOADS):
            clients.enter_context(line(stack, None)).sendall(UPLOAD)
        # A new line each: the slow ones have to be seen by nginx first.
        wait_until(lambda: stack.raw(UPLOAD).status == 429)
        one_more = stack.raw(UPLOAD)
        page, granted = nobody.get("/admin/login/"), check(door)

    assert one_more.code == "RATE_LIMIT_EXCEEDED"
    assert one_more.headers["retry-after"] == "1"
    assert page.status_code == 200
    assert granted.json()["granted"] is True


def test_devices_keep_their_connection_for_five_minutes_of_silence(stack):
    folder = stack.data_dir / "run" / "nginx"
    command = [found("nginx"), "-T", "-p", str(folder), "-c", str(folder / "nginx.conf")]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    faces = re.findall(r"(?m)^ +listen \S+:(\d+) ((?:.*\n)+?) +\}$", said)
    kept = {int(port): re.findall(r"keepalive_timeout (\w+);", text) for port, text in faces}
    assert kept == {stack.https_port: ["75s"], stack.mtls_port: ["300s"]}


# -- Death in the middle of the work -------------------------------------------------------------


@contextmanager
def viewer(stack: Stack) -> Iterator[ClientConnection]:
    url = f"wss://localhost:{stack.https_port}/ws"
    with connect(url, ssl=stack.socket_tls(), proxy=None) as sock:
        yield sock


def events_until(sock: ClientConnection, kind: str) -> list[Frame]:
    """The frames before the next one of a type."""
    frames = []
    while (frame := receive(sock))["type"] != kind:
        frames.append(frame)
    return frames


def test_who_watches_misses_nothing_when_the_process_of_the_sockets_is_killed(stack):
    token, killed = stack.token(), stack.pid("live")
    with stack.device("front-door") as door, viewer(stack) as sock:
        hello, snapshot = sign_in(sock, token)
        os.kill(killed, signal.SIGKILL)
        missed = [check(door).json()["access_log_id"] for _ in range(5)]
        with pytest.raises(ConnectionClosed):
            receive(sock)
        back = wait_until(lambda: stack.pid("live") not in (killed, 0))
        missed += [check(door).json()["access_log_id"] for _ in range(5)]
    with again(stack) as sock:
        hello_again, _ = sign_in(sock, token)
        send(sock, type="resume", feed=hello["feed"], seq=snapshot["seq"])
        replayed = events_until(sock, "resumed")

    assert back < 2
    assert hello_again["feed"] == hello["feed"]
    told = [f["data"]["id"] for f in replayed if f["type"] == "access_event"]
    # What the worker had not stored yet when the snapshot was taken comes first.
    assert told[-len(missed) :] == missed
    assert len(set(told)) == len(told)


@contextmanager
def again(stack: Stack, seconds: float = 15) -> Iterator[ClientConnection]:
    """A viewer who tries until there is somebody."""
    until = time.monotonic() + seconds
    while True:
        try:
            with viewer(stack) as sock:
                yield sock
            return
        except InvalidStatus:  # 503: nobody listens yet
            assert time.monotonic() < until
            time.sleep(0.1)


def deliver(sensor: httpx.Client, body: object) -> None:
    """As devices do: again, until it is taken."""
    wait_until(lambda: sensor.post("/api/sensors/ingest", json=body).status_code == 202)


def test_a_worker_that_is_asked_to_end_finishes_its_batch(stack):
    sent, first = 20 * 500, stack.pid("worker")
    with stack.device("hall") as hall, streams(stack) as client:
        for number in range(20):
            readings = [{"temperature": 20, "reading_id": str(uuid.uuid4())} for _ in range(500)]
            deliver(hall, {"readings": readings})
            if number == 0:  # it may have been started a moment ago, and hears no signal yet
                wait_until(lambda: is_empty(client), 60)
            if number == 10:
                os.kill(first, signal.SIGTERM)
                asked = time.monotonic()
        ended = wait_until(lambda: not Path(f"/proc/{first}").exists())
        ended_at = time.monotonic() - asked
        wait_until(lambda: stack.pid("worker") not in (first, 0), 2)
        wait_until(lambda: is_empty(client), 60)

    counted = (
        "from sensors.models import SensorReading as R; from django.db.models import Count;"
        "of = R.objects.filter(temperature=20).aggregate;"
        "print(of(n=Count('id'), d=Count('id', distinct=True)))"
    )
    assert stack.beside.run(counted) == f"{{'n': {sent}, 'd': {sent}}}\n"
    assert max(ended, ended_at) < 10
    log = (stack.data_dir / "log" / "supervisord.log").read_text()
    assert "exited: worker (exit status 0; expected)" in log
    said = (stack.data_dir / "log" / "worker.log").read_text()
    assert "The worker finished its batch and ended." in said


# -- Full, and poisoned --------------------------------------------------------------------------


def test_at_80_percent_of_its_memory_readings_wait_and_doors_do_not(stack):
    password = (stack.data_dir / "redis_keeper").read_text()
    path = f"{stack.data_dir}/run/redis.sock"
    with (
        redis.Redis(unix_socket_path=path, username="keeper", password=password) as keeper,
        stack.device("hall") as hall,
        stack.device("front-door") as door,
    ):

        def measure() -> httpx.Response:
            return hall.post("/api/sensors/ingest", json={"temperature": 1})

        most = keeper.config_get("maxmemory")["maxmemory"]
        keeper.config_set("maxmemory", int(keeper.info("memory")["used_memory"] / 0.85))
        try:
            # One could be a disk that was busy.
            wait_until(lambda: {measure().status_code for _ in range(4)} == {503})
            refused, granted = measure(), check(door)
        finally:
            keeper.config_set("maxmemory", most)
        wait_until(lambda: measure().status_code == 202)

    assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert int(refused.headers["retry-after"]) >= 1
    assert granted.json()["granted"] is True


def test_what_nothing_takes_is_listed_tried_again_and_dropped(stack):
    def counted() -> str:
        text = nobody.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
        return re.findall(r'smarthome_stream_dead_letters\{stream="sensors"\} (\S+)', text)[0]

    token = stack.token()
    with streams(stack) as client, stack.people() as nobody:
        client.xadd(STREAM, {"entry": b"no json"})
        wait_until(lambda: client.xlen(DEAD) and is_empty(client))
        in_metrics = counted()
        listed = stack.beside.command("dead_letters", "list")
        stack.beside.command("dead_letters", "replay")
        wait_until(lambda: client.xlen(DEAD) and is_empty(client))
        dropped = stack.beside.command("dead_letters", "drop")
        left = client.xlen(DEAD)

    assert in_metrics == "1.0"
    assert "  sensors  " in listed
    assert listed.endswith("  no json\n1 dead letters wait.\n")
    assert dropped.endswith("1 dead letters dropped.\n")
    assert left == 0


def test_metrics_are_the_sum_of_all_processes(stack):
    def counted() -> int:
        text = nobody.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
        return int(sum(map(float, re.findall(r"smarthome_access_checks_total\S+ (\S+)", text))))

    token = stack.token()
    processes = [*(stack.data_dir / "run" / "metrics" / "web").glob("counter_[1-9]*.db")]
    with stack.people() as nobody, stack.device("front-door") as door:
        before = counted()
        answers = {check(door).status_code for _ in range(30)}
        after = {counted() for _ in range(10)}  # asked of both

    assert len(processes) >= 2
    assert answers == {200}
    assert after == {before + 30}


# -- Stores of somebody else ---------------------------------------------------------------------


def test_stores_that_are_named_are_used_and_only_the_others_are_started(stack, tmp_path):
    lines = (stack.data_dir / "stack.env").read_text().splitlines()
    known = dict(line.split("=", 1) for line in lines)
    given = {name: known[name] for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL")}

    with open_stack(tmp_path, **given, ALLOWED_HOSTS="*") as other, other.people() as nobody:
        ready = nobody.get("/health/ready").status_code
        running = sorted(path.stem for path in (tmp_path / "run").glob("*.pid"))
        said = (tmp_path / "stack.env").read_text().splitlines()

    assert ready == 200
    assert running == ["cache", "live", "nginx", "supervisord", "web", "worker"]
    assert f"DATABASE_URL={given['DATABASE_URL']}" in said
    assert f"CACHE_REDIS_URL=unix://{tmp_path}/run/cache.sock" in said
    assert "ALLOWED_HOSTS=*" in said
    assert not (tmp_path / "postgres").exists()


# -- The end of the slow ones --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [*(f"{name} ({who})" for name in SLOW for who in (None, "hall")), "no handshake"]
)
def test_who_takes_too_long_is_cut_off_after_ten_seconds(slow_clients, name):
    seconds = slow_clients[name].result()

    assert 9 < seconds < 13


def test_a_door_may_be_silent_and_ask_again_over_the_same_connection(slow_clients, idle_door):
    for client in slow_clients.values():
        client.result()  # ten seconds, at least

    assert ask_over(idle_door).status == 200
