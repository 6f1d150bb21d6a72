"""`make stack` for real: nginx, certificates, forged headers, limits, kills, the end.

One stack for the whole file. What it claims about nginx holds for compose and systemd too, which
render the same templates.
"""

import datetime as dt
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import redis
from cryptography.x509.oid import ExtendedKeyUsageOID
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from policies import pki
from smarthome import database_server
from tests.sockets import ask, receive, send, sign_in, wait_for
from tests.stack import Answer, Stack, open_stack

UID = "04:A3:2B:F2:1C:80"
CARDS = {UID: "Zoë Müller"}
PROCESSES = ("nginx", "web", "live", "worker", "redis", "cache", "postgres")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    and not (
        shutil.which("nginx", path="/usr/sbin:/usr/bin")
        and shutil.which("redis-server")
        and database_server.programs()
    ),
    reason="nginx, redis-server or postgresql is missing, and only root may install them",
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    folder.chmod(0o700)
    with open_stack(folder, RATE_LIMIT_CHECK="0", RATE_LIMIT_INGEST="0") as stack:
        stack.furnish({"front-door": "door", "back-door": "door", "hall": "sensor"}, CARDS)
        stack.asks_again = True
        yield stack


def check(client: httpx.Client, **more: str) -> httpx.Response:
    return client.post("/api/access/check", json={"card_uid": UID} | more)


def escaped(stack: Stack, device_id: str) -> str:
    """A device's certificate as nginx would hand it on."""
    pem = (stack.data_dir / "devices" / f"{device_id}.crt").read_bytes()
    return quote(pem, safe="")


# -- What works ----------------------------------------------------------------------------------


def test_a_door_is_answered_as_its_firmware_needs_it(stack):
    odd = {"Accept-Encoding": "gzip, identity;q=1", "Host": "house.example:8443"}
    with stack.device("front-door") as door:
        answer = door.post("/api/access/check", json={"card_uid": UID}, headers=odd)

    assert answer.status_code == 200
    assert answer.json()["user_name"] == "Zoë Müller"
    assert answer.headers["connection"] == "keep-alive"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "content-encoding" not in answer.headers


def test_people_get_pages_with_strict_transport_security(stack):
    with stack.people() as nobody:
        page = nobody.get("/admin/login/")

    assert page.status_code == 200
    assert "csrftoken" in page.cookies
    assert "Secure" in page.headers["set-cookie"]
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


def test_a_sign_in_form_passes_the_csrf_check_behind_nginx(stack):
    with stack.people() as nobody:
        page = nobody.get("/admin/login/")
        form = {"username": "admin", "password": "wrong"}
        headers = {"Origin": stack.url, "X-CSRFToken": page.cookies["csrftoken"]}
        answer = nobody.post("/admin/login/", data=form, headers=headers)

    assert answer.status_code == 200


def test_a_reading_over_a_socket_reaches_a_viewer(stack):
    url = f"wss://localhost:{stack.mtls_port}/ws"
    people, token = f"wss://localhost:{stack.https_port}/ws", stack.token()
    with (
        connect(people, ssl=stack.socket_tls(), proxy=None) as viewer,
        connect(
            url,
            ssl=stack.socket_tls("hall"),
            proxy=None,
            origin="file://",
            subprotocols=["arduino"],
        ) as sensor,
    ):
        sign_in(viewer, token)
        acknowledged = ask(sensor, temperature=21.5)
        frame = wait_for(viewer, "sensor_reading")

    assert acknowledged["type"] == "ack"
    assert frame["device_id"] == "hall"
    assert frame["data"]["temperature"] == 21.5


def test_health_names_every_service(stack):
    until = time.monotonic() + 30  # the worker comes last, and later on a busy machine
    with stack.people() as nobody:
        while (health := nobody.get("/health")).json()["status"] != "healthy":
            assert time.monotonic() < until
            time.sleep(0.1)

    assert health.status_code == 200
    assert health.json()["services"] == {
        "database": "connected",
        "redis": "connected",
        "worker": "connected",
    }


def test_without_its_cache_the_house_is_degraded_and_doors_are_answered(stack):
    with stack.without("cache"), stack.people() as nobody, stack.device("front-door") as door:
        health = nobody.get("/health")
        granted = check(door).json()["granted"]

    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    assert granted is True


def test_metrics_add_up_all_processes_for_who_is_signed_in(stack):
    bearer = {"Authorization": f"Bearer {stack.token()}"}
    with stack.device("front-door") as door:
        check(door)
    with stack.people() as client:
        refused = client.get("/metrics")
        text = client.get("/metrics", headers=bearer).text

    assert refused.status_code == 401
    assert 'smarthome_access_checks_total{reason="granted"}' in text
    assert text.count("# TYPE smarthome_access_checks_total") == 1
    assert 'smarthome_stream_lag{stream="sensors"} ' in text


def test_sessions_resume_across_workers_and_keep_the_certificate(stack):
    context = stack.tls("front-door")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    body = b'{"card_uid": "04:A3:2B:F2:1C:80"}'
    request = (
        b"POST /api/access/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )

    def ask_once(session: ssl.SSLSession | None) -> tuple[Answer, bool, ssl.SSLSession]:
        with (
            socket.create_connection(("127.0.0.1", stack.mtls_port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as sock,
        ):
            sock.sendall(request)
            return Answer.read(sock), bool(sock.session_reused), sock.session

    _, _, session = ask_once(None)
    later = [ask_once(session) for _ in range(6)]

    assert all(reused for _, reused, _ in later)
    assert [answer.status for answer, _, _ in later] == [200] * 6


# -- Certificates --------------------------------------------------------------------------------


def forged_by_time(stack: Stack, name: str, begin: dt.datetime, folder: Path) -> None:
    """A certificate of our own CA that is good for one day from `begin`."""
    ca = pki._load_ca(stack.data_dir / "pki")
    ca_key = pki._load_ca_key(stack.data_dir / "pki", ca)
    key = pki.ec.generate_private_key(pki.ec.SECP256R1())
    names, day = [pki.x509.DNSName(name)], dt.timedelta(days=1)
    certificate = pki._leaf(
        ca, ca_key, key, name, names, begin, day, ExtendedKeyUsageOID.CLIENT_AUTH
    )
    pki.write_file(folder / f"{name}.crt", pki._pem(certificate), 0o600)
    pki.write_file(folder / f"{name}.key", pki._key_pem(key), 0o600)


@pytest.fixture(scope="module")
def strangers(stack: Stack) -> Path:
    """Certificates that must not open anything."""
    folder = stack.data_dir / "devices"
    now = dt.datetime.now(dt.UTC)
    forged_by_time(stack, "expired", now - dt.timedelta(days=9), folder)
    forged_by_time(stack, "not-yet-valid", now + dt.timedelta(days=9), folder)
    forged_by_time(stack, "unknown", now, folder)
    shutil.copy(stack.data_dir / "pki" / "server.crt", folder / "the-server.crt")
    shutil.copy(stack.data_dir / "pki" / "server.key", folder / "the-server.key")
    other = stack.data_dir / "other-pki"
    pki.create_ca(other)
    issued = pki.issue_device(other, "front-door")
    (folder / "of-another-house.crt").write_text(issued.certificate_pem)
    (folder / "of-another-house.key").write_text(issued.key_pem)
    return folder


@pytest.mark.parametrize(
    "certificate",
    [None, "of-another-house", "expired", "not-yet-valid", "the-server", "unknown"],
)
def test_who_shows_no_good_certificate_is_401(stack, strangers, certificate):
    with stack.device(certificate) as stranger:
        answer = check(stranger)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "AUTHENTICATION_ERROR"


def test_tls_1_1_is_refused(stack):
    context = stack.tls("front-door")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    for port in (stack.https_port, stack.mtls_port):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as sock,
            pytest.raises((ssl.SSLError, ConnectionResetError)),
        ):
            context.wrap_socket(sock, server_hostname="localhost")


def test_a_certificate_is_only_its_own_device(stack):
    with stack.device("front-door") as door:
        answer = check(door, device_id="back-door")

    assert answer.status_code == 403


def test_a_revoked_device_loses_its_open_connection_and_its_socket(stack):
    stack.enrol("garage", "door")
    url = f"wss://localhost:{stack.mtls_port}/ws"
    with (
        stack.device("garage") as door,
        connect(url, ssl=stack.socket_tls("garage"), proxy=None) as sock,
    ):
        before = check(door).status_code
        stack.beside.command("revoke_device", "garage")
        after = check(door).status_code
        send(sock, type="door_event", event="closed")
        receive(sock)  # why
        with pytest.raises(ConnectionClosed) as closed:
            receive(sock)

    assert (before, after) == (200, 403)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_devices_have_no_pages_for_people(stack):
    with stack.device("front-door") as door:
        statuses = [door.get(path).status_code for path in ("/admin/", "/docs", "/metrics", "/")]

    assert statuses == [404, 404, 404, 404]


# -- Forged headers ------------------------------------------------------------------------------

# Every location of deploy/nginx, and how a request there shows whom the house took it for.
LOCATIONS = {
    "/api/access/check": b'{"card_uid": "04:A3:2B:F2:1C:80"}',
    "/api/sensors/ingest": b'{"temperature": 21.5}',
    "/health": b"",
    "/metrics": b"",
    "/admin/login/": b"",
}


def with_headers(path: str, headers: list[str]) -> bytes:
    body = LOCATIONS.get(path, b"")
    lines = [
        f"{'POST' if body else 'GET'} {path} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def forgeries(certificate: str) -> list[list[str]]:
    """The house's headers, as a client might spell them."""
    names = ("X-House-{}", "x-house-{}", "X_House_{}", "X-House_{}", "X_HOUSE_{}", "X-HOUSE-{}")
    said = {"Face": "device", "Certificate": certificate, "Metrics": "open"}

    def line(name: str, what: str) -> str:
        return f"{name.format(what)}: {said[what]}"

    plain = [[line(name, what) for what in said] for name in names]
    twice = [[*plain[0], *plain[0]], [*plain[0], *plain[2]], [*plain[2], *plain[0]]]
    odd = [
        [f"X-House-Face:\tdevice\t, X-House-Certificate: {certificate}"],
        [f"X-House-Face : device\r\nX-House-Certificate : {certificate}"],
        [f"X-House-Face\x00: device\r\nX-House-Certificate\x01: {certificate}"],
        [f"X-Filler: \x01\r\nX-House-Face: device\r\nX-House-Certificate: {certificate}"],
        ["Connection: X-House-Face, X-House-Certificate\r\nX-Forwarded-For: 127.0.0.1"],
        ["smarthome.face: device", f"smarthome.client_certificate: {certificate}"],
        [f"SSL_CLIENT_CERT: {certificate}", "X-SSL-Client-Verify: SUCCESS"],
    ]
    return plain + twice + odd


@pytest.mark.parametrize("path", LOCATIONS)
def test_no_header_makes_a_person_a_device(stack, path):
    expected = {"/health": {200, 400}, "/admin/login/": {200, 400}}.get(path, {400, 401})
    for headers in forgeries(escaped(stack, "front-door")):
        answer = stack.raw(with_headers(path, headers))

        assert answer.status in expected, headers
        assert b"granted" not in answer.body
        assert b"accepted" not in answer.body


@pytest.mark.parametrize(("path", "status"), [("/api/access/check", 403), ("/admin/login/", 404)])
def test_no_header_makes_a_sensor_a_door_or_a_person(stack, path, status):
    for headers in forgeries(escaped(stack, "front-door")):
        answer = stack.raw(with_headers(path, [*headers, "X-House-Face: people"]), "hall")

        assert answer.status in (status, 400), headers
        assert b"granted" not in answer.body


@pytest.mark.parametrize("path", ["/ws", "/ws/client"])
def test_no_header_makes_a_viewers_socket_a_devices(stack, path):
    forged = {"X-House-Face": "device", "X-House-Certificate": escaped(stack, "hall")}
    url = f"wss://localhost:{stack.https_port}{path}"
    with connect(url, ssl=stack.socket_tls(), proxy=None, additional_headers=forged) as sock:
        send(sock, temperature=21.5)
        with pytest.raises(ConnectionClosed) as closed:
            receive(sock)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as somebody else")
def test_the_house_works_under_roles_that_cannot_remove_evidence(stack):
    removed = "from access.models import AccessLog; AccessLog.objects.all().delete()"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        stack.manage("shell", "-v0", "-c", removed)

    assert "permission denied for table access_logs" in refused.value.stderr


@pytest.mark.parametrize("name", ["REDIS_URL", "CACHE_REDIS_URL"])
@pytest.mark.parametrize(
    "command", ["FLUSHALL", "CONFIG SET maxmemory 1", "SHUTDOWN NOSAVE", "KEYS *", "ACL LIST"]
)
def test_the_house_cannot_empty_or_stop_its_redis(stack, name, command):
    lines = (stack.data_dir / "stack.env").read_text().splitlines()
    url = dict(line.split("=", 1) for line in lines)[name]

    with redis.Redis.from_url(url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


def test_the_keeper_may_do_everything_in_redis(stack):
    password = (stack.data_dir / "redis_keeper").read_text()
    path = str(stack.data_dir / "run" / "cache.sock")

    with redis.Redis(unix_socket_path=path, username="keeper", password=password) as keeper:
        assert keeper.config_set("maxmemory-samples", 5)


@pytest.mark.parametrize("name", ["web", "live", "redis", "cache"])
def test_the_sockets_are_closed_to_others_on_the_machine(stack, name):
    stack.data_dir.chmod(0o711)  # as where DATA_DIR is open to all
    (stack.data_dir / "run").chmod(0o711)
    path = stack.data_dir / "run" / f"{name}.sock"
    try:
        tried = subprocess.run(
            ["/usr/bin/python3", "-c", "import socket, sys; socket.socket(1).connect(sys.argv[1])",
             str(path)],
            user="nobody", group="nogroup", extra_groups=[], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    finally:
        (stack.data_dir / "run").chmod(0o700)
        stack.data_dir.chmod(0o700)

    assert "PermissionError" in tried.stderr


def test_what_nginx_would_not_say_is_401_at_the_sockets(stack):
    certificate = escaped(stack, "front-door")
    lies = [
        [],
        ["X-House-Face: device"],
        [f"X-House-Face: people\r\nX-House-Certificate: {certificate}"],
        [f"X-House-Face: Device\r\nX-House-Certificate: {certificate}"],
        ["X-House-Face: device\r\nX-House-Certificate: -----BEGIN%20CERTIFICATE-----"],
        ["X-House-Face: device\r\nX-House-Certificate: \xff\xfe"],
        [f"X-House-Face: device\r\nX-House-Certificate: {certificate}%0A"],
        [f"X-House-Face: device\r\nX-House-Certificate: {certificate}{certificate}"],
        [f"X-House-Face: device\r\nX-House-Certificate: {certificate[:-90]}"],
    ]
    for headers in lies:
        for name in ("web", "live"):
            answer = stack.straight(name, with_headers("/api/access/check", headers))

            assert (answer.status, answer.code) == (401, "AUTHENTICATION_ERROR"), (name, headers)


# -- Limits and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/api/access/check", 2 * 1024),
        ("/api/sensors/ingest", 256 * 1024),
        ("/health", 2 * 1024),
        ("/admin/login/", 10 * 1024 * 1024),
    ],
)
def test_a_large_body_is_refused_before_it_is_read(stack, path, most):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {most + 1}\r\n\r\n"

    answer = stack.raw(head.encode())

    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.headers["connection"] == "close"


def test_a_large_chunked_body_is_refused_too(stack):
    head = (
        b"POST /api/access/check HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    answer = stack.raw(head + (b"400\r\n" + b" " * 1024 + b"\r\n") * 3, "front-door")

    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (b"nonsense", 400, "MALFORMED_REQUEST"),
        (b"GET /api\x00 HTTP/1.1", 400, "MALFORMED_REQUEST"),
        (b"GET /api/\xff HTTP/1.1", 400, "MALFORMED_REQUEST"),
        (b"GET /health HTTP/9.0", 400, "MALFORMED_REQUEST"),
        (b"GET /api/" + b"a" * 9000 + b" HTTP/1.1", 400, "MALFORMED_REQUEST"),
        (b"GET /api/x HTTP/1.1\r\nX-Long: " + b"a" * 9000, 400, "MALFORMED_REQUEST"),
        (b"POST /api/x HTTP/1.1\r\nTransfer-Encoding: gzip", 400, "MALFORMED_REQUEST"),
        (b"TRACE /api/devices HTTP/1.1", 405, "METHOD_NOT_ALLOWED"),
        (b"GET /api/nowhere HTTP/1.1", 404, "NOT_FOUND"),
        (b"GET /errors/500 HTTP/1.1", 404, "NOT_FOUND"),
    ],
)
def test_errors_of_nginx_have_our_shape(stack, request_line, status, code):
    answer = stack.raw(request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert (answer.status, answer.code) == (status, code)


def test_plain_http_on_a_tls_port_is_400_in_our_shape(stack):
    for port in (stack.https_port, stack.mtls_port):
        answer = httpx.get(f"http://localhost:{port}/health")

        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "MALFORMED_REQUEST"


def test_while_web_is_away_devices_and_people_are_told(stack):
    with stack.without("web"), stack.people() as nobody, stack.device("front-door") as door:
        refused, page = check(door), nobody.get("/")
    settle(stack)

    assert refused.status_code == page.status_code == 503
    assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert refused.headers["retry-after"] == "1"
    assert "tries again by itself" in page.text


def test_an_unknown_socket_closes_with_4404_and_other_paths_are_no_sockets(stack):
    url = f"wss://localhost:{stack.https_port}"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"{url}/ws/nowhere", ssl=stack.socket_tls(), proxy=None),
    ):
        pass

    assert refused.value.response.status_code == 404


# -- Kills and the end ---------------------------------------------------------------------------


def settle(stack: Stack, seconds: float = 30) -> None:
    """Wait until the house is ready again and a door is answered."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with stack.people() as nobody, stack.device("front-door") as door:
            try:
                if nobody.get("/health/ready").status_code == check(door).status_code == 200:
                    return
            except httpx.TransportError:
                pass
        time.sleep(0.1)
    raise TimeoutError("the house did not come back")


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_is_started_again_within_two_seconds(stack, name):
    for _ in range(2):
        before = stack.pid(name)
        begun = time.monotonic()
        os.kill(before, signal.SIGKILL)
        while stack.pid(name) in (before, 0) and time.monotonic() - begun < 10:
            time.sleep(0.02)
        took = time.monotonic() - begun

        assert took < 2
    settle(stack)


def test_who_answers_doors_goes_first(stack):
    nice = {name: os.getpriority(os.PRIO_PROCESS, stack.pid(name)) for name in PROCESSES}
    own = os.getpriority(os.PRIO_PROCESS, 0)

    assert nice == dict.fromkeys(PROCESSES, own) | {"worker": own + 5}


def test_a_new_server_certificate_is_brought_to_nginx(stack):
    def serial() -> str:
        return ssl.get_server_certificate(("localhost", stack.https_port))

    before = serial()
    (stack.data_dir / "pki" / "server.crt").unlink()
    stack.manage("bootstrap")
    until = time.monotonic() + 10
    while serial() == before and time.monotonic() < until:
        time.sleep(0.1)

    assert serial() != before


def test_a_second_stack_over_the_same_folder_is_refused(stack):
    second = Stack(stack.data_dir)

    tried = subprocess.run(
        [sys.executable, "-m", "smarthome.stack"],
        env=second.environment,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert tried.returncode == 1
    assert tried.stderr == f"a stack is already running in {stack.data_dir}.\n"


def test_it_ends_with_every_process_it_started(stack):
    mine = str(stack.data_dir)
    children = [stack.pid(name) for name in PROCESSES]

    status = stack.stop(signal.SIGINT)

    commands = [
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)
    ]
    assert status == 0
    assert not [command for command in commands if mine.encode() in command]
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert sorted(path.name for path in (stack.data_dir / "run").iterdir()) == ["stack.lock"]


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
