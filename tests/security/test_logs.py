"""Logs: one JSON object a line whatever comes in, and no secret and no full name among them."""

import json
import logging
import socket
import subprocess
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smarthome.logs import JsonFormatter
from tests.house import ADMIN_PASSWORD, ROOT, House
from tests.security.conftest import CARD_HOLDER, UID, few_or_many
from tests.sockets import send, sign_in, viewer_socket

TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"
# What ends a line somewhere, colours a terminal, or cannot be encoded.
NASTY = "a\r\nb\n{}\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x1b[31m\x00\x7f\ud800é\"'\\%s"


def line(message: str, *args: object, exc_info: object = None) -> str:
    record = logging.LogRecord("test", logging.INFO, "", 0, message, args, exc_info)
    return JsonFormatter().format(record)


def message(*args: object) -> str:
    return json.loads(line(*args))["message"]


@few_or_many(300, 10_000)
@given(st.text())
def test_any_text_is_one_line_that_reads_back(text):
    written = line("%s", text)

    assert len(written.splitlines()) == 1
    assert written.isascii()
    assert len(json.loads(written)) == 4


def test_what_is_no_secret_is_kept_as_it_is():
    assert message("%s", NASTY) == NASTY


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"bad token {TOKEN}!", "bad token ***!"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ***"),
        ("Authorization: Bearer opaque-123", "Authorization: Bearer ***"),
        (f"could not read {KEY}", "could not read ***"),
        (KEY[:40], "***"),
        ("postgres://house:hunter2@db/house is away", "postgres://***@db/house is away"),
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        ("{'username': 'x', 'password': 'hunter2'}", "{'username': 'x', 'password': ***}"),
        ("password=hunter2&next=/", "password=***&next=/"),
        ("{'otp': '123456'}", "{'otp': ***}"),
        ("otpauth://totp/house:anna?secret=ABCD", "otpauth://***"),
        ("DETAIL:  Key (name)=(Anna Müller) already exists.", "DETAIL: (left out)"),
        ("wrong\nLINE 1: … = 'Anna'\n  ^", "wrong\nLINE 1: (left out)\n  ^"),
        (
            "blocked card 04:A3 presented at front-door",
            "blocked card 04:A3 presented at front-door",
        ),
    ],
)
def test_secrets_and_rows_are_left_out(text, shown):
    assert message("%s", text) == shown


def test_an_exception_is_one_line_too():
    try:
        raise ValueError(f"{NASTY} {TOKEN}")
    except ValueError:
        written = line("failed", exc_info=sys.exc_info())

    assert len(written.splitlines()) == 1
    assert "Traceback" in json.loads(written)["trace"]
    assert TOKEN not in written


def test_a_message_whose_arguments_do_not_fit_is_a_line_all_the_same():
    assert message("%d of %s", "x") == "'%d of %s' (its arguments do not fit)"


def test_a_process_that_serves_logs_what_python_would_print():
    program = (
        "import logging.config, threading, warnings\n"
        "from smarthome import logs, settings\n"
        "logging.config.dictConfig(settings.LOGGING)\n"
        "logs.take_over()\n"
        "warnings.warn('odd\\nthing')\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\n"
        "thread.start(); thread.join()\n"
        "raise RuntimeError('the\\nend')\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["py.warnings", "smarthome", "smarthome"]
    assert "ZeroDivisionError" in lines[1]["trace"]
    assert "the\nend" in lines[2]["trace"]
    assert ended.returncode == 1


def test_a_house_under_attack_logs_json_without_secrets_and_names(talkative_house: House):
    house = talkative_house
    secrets = [ADMIN_PASSWORD, (house.data_dir / "secret_key").read_text(), CARD_HOLDER]
    secrets.append(token := house.token())
    before = len(house.log.read_text())

    nasty = json.dumps(NASTY)[1:-1].encode()
    for body in (nasty, b'{"card_uid": "%s"}' % nasty, b'{"username": "%s"}' % nasty, b"\xff\xfe"):
        for path in ("/api/auth/token", "/api/access/check", "/api/policies/cards"):
            ask(house, path, body, token)
    for path in ("/a%0d%0ab%e2%80%a8%00", f"/api/x?token={token}", "/admin/%0a?password=x"):
        ask(house, path, b"", token)
    for name in (token[:150], "Zoë\u2028\x1b[31m", ADMIN_PASSWORD):
        fields = {"username": name, "password": ADMIN_PASSWORD + "x"}
        ask(house, "/api/auth/token", json.dumps(fields).encode(), token)
    ask(house, "/admin/x%e2%80%a8%1b%c2%85?next=/", b"x", token)  # no CSRF token
    say(house, b"GET /health HTTP/1.1\r\nHost: \x85\x1b\r\nConnection: close\r\n\r\n")
    with house.device("front-door") as door:
        for uid in (UID, NASTY.encode("utf-8", "replace").decode(), "x" * 500):
            door.post("/api/access/check", json={"card_uid": uid})
        card = f"{house.url}/api/policies/cards/{UID}"
        httpx.patch(card, json={"status": "blocked"}, headers={"Authorization": f"Bearer {token}"})
        door.post("/api/access/check", json={"card_uid": UID})
    with viewer_socket(house) as viewer:
        send(viewer, type=NASTY, token=token)
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        send(viewer, type="auth", token=token + "x")
    say(house, b"GET /\x00\x1b[31m HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n")

    house.stop()
    lines = house.log.read_text()[before:].splitlines()
    assert {"axes.handlers.database", "access.check", "django.security.csrf"} <= {
        json.loads(text)["logger"] for text in lines
    }
    for text in lines:
        assert {"at", "level", "logger", "message"} <= json.loads(text).keys()
    whole = house.log.read_text()
    assert [secret for secret in secrets if secret in whole] == []


def ask(house: House, path: str, body: bytes, token: str) -> None:
    """A request by hand, so that nothing is made harmless on the way."""
    method = b"POST" if body else b"GET"
    say(
        house,
        b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json"
        b"\r\nAuthorization: Bearer %s\r\nUser-Agent: \x1b[31m\r\nContent-Length: %d\r\n\r\n%s"
        % (method, path.encode(), token.encode(), len(body), body),
    )


def say(house: House, request: bytes) -> None:
    """Bytes to the people face; what it answers does not matter here."""
    with socket.create_connection(("127.0.0.1", house.http_port), timeout=10) as sock:
        sock.sendall(request)
        while sock.recv(65536):
            pass
