"""Who gets through the device face: every bad certificate, by curl and openssl, at both endings."""

import json
import socket
import ssl
import subprocess
from dataclasses import dataclass

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from tests.house import House
from tests.security.conftest import UID, socket_tls
from tests.security.strangers import NAMES
from tests.stack import Stack

CHECK = ("/api/access/check", {"card_uid": UID})
INGEST = ("/api/sensors/ingest", {"temperature": 21.5})
HEALTH = ("/health", None)


@dataclass(frozen=True)
class Told:
    """What curl heard; status 0 when the handshake failed."""

    status: int
    body: bytes


def curl(house: House | Stack, device_id: str | None, path: str, body: object, *more: str) -> Told:
    """One request as `curl` makes it."""
    command = ["curl", "--silent", "--show-error", "--max-time", "10", "--noproxy", "*"]
    command += ["--cacert", str(house.data_dir / "pki" / "ca.crt"), "--write-out", "\n%{http_code}"]
    if device_id:
        files = house.data_dir / "devices" / device_id
        command += ["--cert", f"{files}.crt", "--key", f"{files}.key"]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
    done = subprocess.run(
        [*command, *more, f"{house.device_url}{path}"], capture_output=True, check=False
    )
    content, _, status = done.stdout.rpartition(b"\n")
    return Told(int(status), content)


def is_refused(told: Told) -> bool:
    """By the handshake, or by 401 in our shape."""
    if told.status == 0:
        return told.body == b""
    return told.status == 401 and (json.loads(told.body)["error"]["code"] == "AUTHENTICATION_ERROR")


def test_a_good_certificate_gets_through(ending):
    assert curl(ending, "front-door", *CHECK).status == 200
    assert curl(ending, "front-door", *INGEST).status == 202
    assert curl(ending, "front-door", *HEALTH).status == 200


@pytest.mark.parametrize(("path", "body"), [CHECK, INGEST])
@pytest.mark.parametrize("certificate", [None, *NAMES])
def test_no_other_certificate_does(ending, certificate, path, body):
    told = curl(ending, certificate, path, body)

    assert is_refused(told), told


@pytest.mark.parametrize("certificate", [None, *NAMES[:-1]])
def test_without_a_certificate_of_ours_there_is_not_even_health(ending, certificate):
    assert is_refused(curl(ending, certificate, *HEALTH))


@pytest.mark.parametrize("certificate", [None, *NAMES])
def test_no_other_certificate_opens_a_socket(ending, certificate):
    url = ending.device_url.replace("https", "wss") + "/ws"
    try:
        with connect(url, ssl=socket_tls(ending, certificate), proxy=None) as sock:
            sock.send('{"temperature": 21.5}')
            said = [sock.recv(timeout=10) for _ in range(3)]
    except ConnectionClosed as closed:
        assert closed.rcvd is None or closed.rcvd.code == 4401
    except InvalidStatus as refused:
        assert refused.response.status_code == 401
    except (ssl.SSLError, OSError, EOFError, InvalidHandshake):
        return
    else:
        raise AssertionError(said)


@pytest.mark.parametrize(
    "body", [CHECK[1] | {"device_id": "kitchen"}, CHECK[1] | {"device_id": ""}]
)
def test_a_door_cannot_ask_as_another(ending, body):
    told = curl(ending, "front-door", "/api/access/check", body)

    assert told.status in (403, 422)
    assert b"granted" not in told.body


def test_a_sensor_cannot_ask_as_a_door(ending):
    assert curl(ending, "kitchen", *CHECK).status == 403
    assert curl(ending, "kitchen", CHECK[0], CHECK[1] | {"device_id": "front-door"}).status == 403


def test_a_device_cannot_send_in_anothers_name(ending):
    one = INGEST[1] | {"device_id": "front-door"}
    batch = {"device_id": "front-door", "readings": [INGEST[1]]}
    hidden = {"readings": [one]}

    assert curl(ending, "kitchen", INGEST[0], one).status == 403
    assert curl(ending, "kitchen", INGEST[0], batch).status == 403
    assert curl(ending, "kitchen", INGEST[0], hidden).status in (403, 422)


@pytest.mark.parametrize(
    "older", [("--tlsv1.0", "--tls-max", "1.0"), ("--tlsv1.1", "--tls-max", "1.1")]
)
def test_older_tls_is_refused(ending, older):
    every = ("--ciphers", "ALL:@SECLEVEL=0")

    assert curl(ending, "front-door", *HEALTH, *older, *every).status == 0
    assert curl(ending, "front-door", *HEALTH, "--tls-max", "1.2", *every).status == 200


@pytest.mark.parametrize("cipher", ["NULL", "aNULL", "kRSA", "PSK"])
def test_weak_ciphers_are_refused(ending, cipher):
    assert "Cipher is (NONE)" in s_client(ending, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")


def test_openssl_itself_gets_through_with_both_versions(ending):
    for version in ("-tls1_2", "-tls1_3"):
        assert "Verify return code: 0 (ok)" in s_client(ending, version)


def test_a_client_cannot_renegotiate(ending):
    said = s_client(ending, "-tls1_2", says="R\n")

    assert "RENEGOTIATING" in said
    assert "Secure Renegotiation IS supported" in said
    assert any(word in said for word in ("no renegotiation", "error", "alert", "reset"))


def s_client(house: House | Stack, *options: str, says: str = "Q\n") -> str:
    """What `openssl s_client` prints, as the front door."""
    files = house.data_dir / "devices" / "front-door"
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{house.mtls_port}", *options]
    command += ["-servername", "localhost", "-CAfile", str(house.data_dir / "pki" / "ca.crt")]
    command += ["-cert", f"{files}.crt", "-key", f"{files}.key"]
    done = subprocess.run(
        command, input=says, capture_output=True, text=True, check=False, timeout=20
    )
    return done.stdout + done.stderr


# -- Revoked -------------------------------------------------------------------------------------


def test_a_revoked_certificate_loses_every_connection_it_has(ending):
    name = "garage"
    ending.enrol(name, "door")
    url = ending.device_url.replace("https", "wss") + "/ws"
    resumable = ending.tls(name)
    session = one_session(ending, resumable)
    with (
        ending.device(name) as kept,
        connect(url, ssl=socket_tls(ending, name), proxy=None) as sock,
    ):
        assert kept.post(CHECK[0], json=CHECK[1]).json()["granted"] is True
        sock.send('{"type": "door_event", "event": "closed"}')
        assert json.loads(sock.recv(timeout=10))["type"] == "ack"

        ending.beside.command("revoke_device", name)

        assert kept.post(CHECK[0], json=CHECK[1]).status_code == 403
        assert kept.post(INGEST[0], json=INGEST[1]).status_code == 403
        sock.send('{"type": "door_event", "event": "closed"}')
        assert json.loads(sock.recv(timeout=10))["type"] == "error"
        with pytest.raises(ConnectionClosed) as closed:
            sock.recv(timeout=10)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403
    assert curl(ending, name, *CHECK).status == 403  # a connection of its own
    assert resumed_check(ending, resumable, session) == (True, 403)
    with connect(url, ssl=socket_tls(ending, name), proxy=None) as again:
        assert json.loads(again.recv(timeout=10))["error"]["code"] == "AUTHORIZATION_ERROR"


def one_session(house: House | Stack, context: ssl.SSLContext) -> ssl.SSLSession:
    """A TLS session that can be resumed."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", house.mtls_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while sock.recv(65536):
            pass
        assert sock.session is not None
        return sock.session


def resumed_check(
    house: House | Stack, context: ssl.SSLContext, session: ssl.SSLSession
) -> tuple[bool, int]:
    """Whether the session was resumed, and the status of a check over it."""
    body = json.dumps(CHECK[1]).encode()
    head = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", house.mtls_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as sock,
    ):
        sock.sendall(head % (CHECK[0].encode(), len(body)) + body)
        return bool(sock.session_reused), int(sock.recv(65536).split(b" ", 2)[1])


def test_a_device_that_was_disabled_is_refused_too(ending):
    ending.enrol("shed", "sensor")
    disable = "from policies.models import Device; d = Device.objects.get(pk='shed')"
    with ending.device("shed") as kept:
        assert kept.post(INGEST[0], json=INGEST[1]).status_code == 202
        ending.beside.run(f"{disable}; d.enabled = False; d.save()")

        assert kept.post(INGEST[0], json=INGEST[1]).status_code == 403
    assert isinstance(kept, httpx.Client)
