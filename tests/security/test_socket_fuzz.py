"""Random frames on both faces of a real `serve`: answered, or closed with a code, and no crash.

First frames as a client sends them with anything in them; then what is no WebSocket at all.
"""

import json
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.house import House
from tests.security.conftest import FULL
from tests.security.counting import count
from tests.security.handmade import handshake
from tests.sockets import device_socket, sign_in, viewer_socket

FRAMES = 1300 if FULL else 60  # of each kind, at each face
ANSWER_SECONDS = 10
READING = {"temperature": 21.5, "humidity": 40, "reading_id": "x", "timestamp": "2026-11-23T07:37Z"}
DEVICE_FRAMES = [READING, {"type": "door_event", "event": "closed"}, {"readings": [READING]}]
VIEWER_FRAMES = [
    {"type": "options", "batch": True},
    {"type": "resume", "feed": "x", "seq": 1},
    {"type": "auth", "token": "x", "batch": False},
]
ODD = (
    None, True, -1, 0, 2**63, 2**70, 1e308, -0.0, 1.5, "", "x", "\u0000", "\ud800", "é\u2028",
    "a" * 5000, [], {}, [[]], {"a": {"a": {}}}, [1] * 600, {"": 0}, "NaN", "2026-13-45", "1e400",
)  # fmt: skip


def mutated(chance: random.Random, frame: dict) -> str | bytes:
    """A frame with something wrong, or right after all."""
    frame = dict(frame)
    for _ in range(chance.randrange(3)):
        frame[chance.choice([*frame, "type", "seq", "x", ""])] = chance.choice(ODD)
    for _ in range(chance.randrange(2)):
        frame.pop(chance.choice(list(frame)), None)
    text = json.dumps(frame)
    match chance.randrange(8):
        case 0:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        case 1:
            return text[: chance.randrange(len(text) + 1)]
        case 2:
            place = chance.randrange(len(text) + 1)
            return text[:place] + chance.choice('{}[]",:\\\x00\u2028é') + text[place:]
        case 3:
            return "".join(chr(chance.randrange(1, 0xD800)) for _ in range(chance.randrange(60)))
        case 4:
            return chance.choice(
                ["", "[" * 9000, '{"a":' * 9000, "1" * 5000, "nul", '{"a":1,"a":2}']
            )
    return text


@contextmanager
def device(house: House) -> Iterator[ClientConnection]:
    with device_socket(house, "kitchen", max_size=None) as sock:
        yield sock


@contextmanager
def viewer(house: House) -> Iterator[ClientConnection]:
    token = house.token()
    with viewer_socket(house, max_size=None) as sock:
        sign_in(sock, token)
        yield sock


def answers_a_question(sock: ClientConnection, question: str) -> None:
    """The socket still works: it says what is wrong with a wrong frame."""
    sock.send(question)
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        frame = json.loads(sock.recv(timeout=max(0.0, until - time.monotonic())))
        if question in frame.get("error", {}).get("message", "") or frame["type"] == "error":
            return


@pytest.mark.parametrize(
    ("opened", "frames", "codes"),
    [(device, DEVICE_FRAMES, {1009}), (viewer, VIEWER_FRAMES, {1009, 4401, 4403})],
)
def test_any_frame_is_answered_or_closes_the_socket(house, opened, frames, codes):
    chance = random.Random(20260307)
    sent = 0
    while sent < FRAMES:
        with opened(house) as sock, suppress(Closed):
            for _ in range(50):
                text = mutated(chance, chance.choice(frames))
                sent += 1
                count()
                try:
                    sock.send(text)
                    answers_a_question(sock, '{"type": "nothing of ours"}')
                except ConnectionClosed as closed:
                    assert closed.rcvd is not None, text
                    assert closed.rcvd.code in codes, text
                    raise Closed from None


class Closed(Exception):
    """The server closed, as it may; a new socket goes on."""


def raw_frame(chance: random.Random) -> bytes:
    """Bytes that may be a frame: any flags, opcode, mask and length."""
    payload = bytes(chance.randrange(256) for _ in range(chance.randrange(300)))
    head = chance.randrange(256)
    masked = 0x80 if chance.random() < 0.8 else 0
    claimed = chance.choice([len(payload)] * 6 + [0, 125, 126, 127])
    length = bytes([masked | min(claimed, 127)])
    if claimed >= 126 or chance.random() < 0.1:
        wide = chance.choice([len(payload), 2**16 - 1, 2**31, 2**63, 2**64 - 1])
        if wide < 2**16 and chance.random() < 0.5:
            length = bytes([masked | 126]) + struct.pack("!H", wide)
        else:
            length = bytes([masked | 127]) + struct.pack("!Q", wide)
    return bytes([head]) + length + (os.urandom(4) if masked else b"") + payload


@pytest.mark.parametrize("face", ["people", "device"])
def test_what_is_no_frame_ends_the_socket_and_nothing_else(house, face):
    chance = random.Random(20260308)
    sent = 0
    while sent < FRAMES:
        with connected(house, face) as sock:
            sock.sendall(handshake())
            assert sock.recv(65536).startswith(b"HTTP/1.1 101")
            with suppress(OSError):
                for _ in range(20):
                    sock.sendall(raw_frame(chance))
                    sent += 1
                    count()


@contextmanager
def connected(house: House, face: str) -> Iterator[socket.socket]:
    port = house.mtls_port if face == "device" else house.http_port
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as plain:
        if face == "people":
            yield plain
            return
        context = house.tls("kitchen")
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            yield sock


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"13", b"12"),
        lambda text: text.replace(b"Sec-WebSocket-Key", b"Sec-WebSocket-Kex"),
        lambda text: text.replace(b"/ws ", b"/ws?" + b"a" * 60_000 + b" "),
        lambda text: text.replace(b"/ws ", b"/%ff%00 "),
        lambda text: text.replace(b"\r\n\r\n", b"\r\nOrigin: \xff\xfe\r\n\r\n"),
        lambda text: text.replace(b"\r\n\r\n", b"\r\nCookie: sessionid=\xff\x00\r\n\r\n"),
        lambda text: text.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: \xff\r\n\r\n"),
        lambda text: text.replace(b"\r\n\r\n", b"\r\nHost: other\r\n\r\n"),
        # What Autobahn, but not Twisted, takes for the end of a line (CVE-2026-44546).
        lambda text: text.replace(b"\r\n\r\n", b"\r\nX: a\x85Origin: http://localhost\r\n\r\n"),
        lambda text: text.replace(b"\r\n\r\n", b"\r\nX: a\x0bOrigin: http://localhost\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("face", ["people", "device"])
def test_an_odd_handshake_is_answered(house, face, change):
    with connected(house, face) as sock:
        sock.sendall(change(handshake()))
        status = sock.recv(65536).partition(b"\r\n")[0]

    assert status.split()[1] in (b"101", b"400", b"403", b"404", b"414", b"426")


@pytest.fixture(autouse=True)
def _unhurt(house: House) -> Iterator[None]:
    """After each test both faces answer, and the log has no new error."""
    before = len(house.log.read_text())
    yield
    assert httpx.get(f"{house.url}/health").json()["status"] == "healthy"
    with device(house) as sock:
        answers_a_question(sock, '{"type": "nothing of ours"}')
    with viewer(house) as sock:
        answers_a_question(sock, '{"type": "nothing of ours"}')
    lines = [json.loads(line) for line in house.log.read_text()[before:].splitlines()]
    assert [line for line in lines if line["level"] in ("error", "critical")] == []
