"""Who may watch, and for how long: origins, addresses, expiry and loss of the right, in time."""

import json
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import quote

import httpx
import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.house import ADMIN_PASSWORD, House
from tests.security.conftest import socket_tls, some
from tests.security.handmade import handshake, signed, text_frame
from tests.sockets import sign_in
from tests.stack import Stack

MOST_SECONDS = 1.0  # from the commit to the end of the socket
MADE = (
    "from django.contrib.auth.models import Group, User; "
    "u = User.objects.create_user('{0}', password='{1}'); "
    "u.groups.add(Group.objects.get(name='viewer'))"
)
CHANGES = {
    "deactivated": ("u.is_active = False; u.save()", 4401),
    "role taken away": ("u.groups.clear()", 4403),
    "another password": ("u.set_password('another one entirely'); u.save()", 4401),
    "tokens revoked": ("u.token_families.update(revoked_at='2026-01-01T00:00Z')", 4401),
    "deleted": ("u.delete()", 4401),
}


def watch(
    ending: House | Stack, path: str = "/ws", **options
) -> AbstractContextManager[ClientConnection]:
    url = ending.url.replace("http", "ws", 1) + path
    if url.startswith("wss"):
        options["ssl"] = socket_tls(ending)
    return connect(url, proxy=None, **options)


def code_of(sock: ClientConnection, timeout: float = 10) -> int | None:
    try:
        while True:
            sock.recv(timeout=timeout)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def make_viewer(ending: House | Stack) -> tuple[str, str]:
    """A user's name, and an access token of his."""
    name = f"viewer-{uuid.uuid4().hex[:8]}"
    ending.beside.run(MADE.format(name, ADMIN_PASSWORD))
    verify = ending.tls() if ending.url.startswith("https") else True
    body = {"username": name, "password": ADMIN_PASSWORD}
    answer = httpx.post(f"{ending.url}/api/auth/token", json=body, verify=verify)
    return name, answer.json()["access"]


# All of them, without the clock, are in tests/test_viewer_socket.py.
@pytest.mark.parametrize("change", some(CHANGES, 5))
def test_who_loses_the_right_is_closed_within_a_second(ending, change):
    name, token = make_viewer(ending)
    code, wanted = CHANGES[change]
    program = (
        "import time; from django.contrib.auth.models import User; "
        f"u = User.objects.get(username='{name}'); {code}; print(time.time())"
    )
    with watch(ending) as sock, ThreadPoolExecutor(1) as other:
        sign_in(sock, token)
        end = other.submit(lambda: (code_of(sock, timeout=30), time.time()))
        changed_at = float(ending.beside.run(program))
        closed_with, closed_at = end.result()

    assert closed_with == wanted
    assert closed_at - changed_at < MOST_SECONDS


def test_an_access_token_that_expires_ends_its_socket_within_a_second(ending):
    token = ending.token()
    secret = (ending.data_dir / "secret_key").read_text().strip().encode()
    claims = jwt.decode(token, options={"verify_signature": False})
    ends_at = int(time.time()) + 3
    short = signed(claims | {"exp": ends_at}, secret)
    with watch(ending) as sock:
        sign_in(sock, short)

        assert code_of(sock) == 4401

    assert ends_at - 0.1 < time.time() < ends_at + MOST_SECONDS


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "file://", "http://localhost.evil.example", "http://localhost:1",
     "http://127.0.0.1@evil.example", "javascript:1", "\xff"],
)  # fmt: skip
def test_no_foreign_origin_watches_even_with_a_good_token(ending, origin):
    try:
        with watch(ending, additional_headers={"Origin": origin}) as sock:
            assert code_of(sock) == 4403
    except InvalidStatus as refused:  # what is no origin at all does not get that far
        assert refused.response.status_code == 400


def test_the_own_origin_and_no_origin_watch_with_a_token(ending):
    token = ending.token()

    for options in ({}, {"origin": ending.url}):
        with watch(ending, **options) as sock:
            hello, _ = sign_in(sock, token)
            assert hello["type"] == "hello"


@pytest.mark.parametrize(
    "query", some(["?token={}", "?token=", "?token", "?token={}&x=1", "?x=1&token={}"], 2)
)
def test_a_token_in_the_address_is_refused(ending, query):
    token = ending.token() if "{}" in query else ""

    with watch(ending, f"/ws{query.format(token)}") as sock:
        assert code_of(sock) == 4401


@pytest.mark.parametrize(
    "first",
    [{"type": "auth"}, {"type": "auth", "token": None}, {"type": "auth", "token": "x" * 5000},
     {"type": "options"}, {"type": "resume"}, {"temperature": 21.5}, {}],
)  # fmt: skip
def test_nobody_gets_anything_before_signing_in(ending, first):
    with watch(ending) as sock:
        sock.send(json.dumps(first))
        with pytest.raises(ConnectionClosed) as closed:
            sock.recv(timeout=10)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize(
    "line_end", [b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\xc2\x85"]
)
def test_no_odd_end_of_a_line_makes_a_header_of_nginx(ending, line_end):
    """Autobahn ends lines where Twisted and nginx do not (CVE-2026-44546)."""
    certificate = quote((ending.data_dir / "devices" / "kitchen.crt").read_text(), safe="").encode()
    forged = (b"a", b"X-House-Face: device", b"X-House-Certificate: " + certificate)
    with open_people(ending) as sock:
        sock.sendall(handshake().replace(b"\r\n\r\n", b"\r\nX: %s\r\n\r\n" % line_end.join(forged)))
        status = sock.recv(65536).split(b" ", 2)[1]
        if status == b"101":
            sock.sendall(text_frame(b'{"temperature": 21.5}'))
            answer = sock.recv(65536)
            assert (answer[0] & 0x0F, answer[2:4]) == (8, (4401).to_bytes(2, "big"))

    assert status in (b"101", b"400")


@contextmanager
def open_people(ending: House | Stack) -> Iterator[socket.socket]:
    port = ending.https_port if isinstance(ending, Stack) else ending.http_port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        if isinstance(ending, House):
            yield plain
            return
        with ending.tls().wrap_socket(plain, server_hostname="localhost") as sock:
            yield sock
