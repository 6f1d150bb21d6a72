"""`serve` for real: two listeners, mutual TLS, limits, `kill -9`."""

import json
import signal
import socket
import sqlite3
import ssl
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.house import House, free_port, house_in, open_house

UID = "04:A3:2B:F2:1C:80"
DEVICES = {"front-door": "door", "kitchen": "sensor"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Made by the commands themselves, in the order of the README."""
    folder = tmp_path_factory.mktemp("house")
    house = House(folder, free_port(), free_port(), {"RATE_LIMIT_CHECK": "0"})
    house.manage("bootstrap")
    for device_id, kind in DEVICES.items():
        house.manage("enrol_device", device_id, "--kind", kind, "--out", str(folder / "devices"))
    house.manage("add_card", UID, "--holder", "Anna")
    try:
        house.start()
        yield house
    finally:
        house.leave()
        house.stop()


def check(client: httpx.Client, uid: str = UID) -> httpx.Response:
    return client.post("/api/access/check", json={"card_uid": uid})


def test_a_door_is_answered_over_mutual_tls(house):
    with house.device("front-door") as door:
        answer = check(door)

    assert answer.status_code == 200
    assert answer.json()["granted"] is True
    assert answer.headers["connection"] == "keep-alive"
    assert answer.headers["content-length"] == str(len(answer.content))


def test_a_client_without_a_certificate_gets_no_answer(house):
    with (
        httpx.Client(base_url=house.device_url, verify=house.tls()) as stranger,
        pytest.raises(httpx.TransportError),
    ):
        stranger.get("/health")


def test_the_servers_certificate_is_not_a_clients(house):
    context = house.tls()
    pki = house.data_dir / "pki"
    context.load_cert_chain(pki / "server.crt", pki / "server.key")

    with (
        httpx.Client(base_url=house.device_url, verify=context) as impostor,
        pytest.raises(httpx.TransportError),
    ):
        impostor.get("/health")


def test_tls_1_1_is_refused(house):
    context = house.tls("front-door")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        socket.create_connection(("localhost", house.mtls_port)) as sock,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(sock, server_hostname="localhost")


def test_tls_sessions_resume(house):
    context = house.tls("front-door")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect(session: ssl.SSLSession | None) -> ssl.SSLSocket:
        sock = socket.create_connection(("localhost", house.mtls_port))
        return context.wrap_socket(sock, server_hostname="localhost", session=session)

    with connect(None) as first:
        session = first.session
    with connect(session) as second:
        assert second.session_reused is True


def test_the_device_face_has_no_pages_for_people(house):
    with house.device("front-door") as door:
        statuses = {
            path: door.get(path).status_code
            for path in ("/admin/", "/api/access/logs", "/docs", "/metrics", "/", "/health")
        }

    assert statuses == {
        "/admin/": 404,
        "/api/access/logs": 404,
        "/docs": 404,
        "/metrics": 404,
        "/": 404,
        "/health": 200,
    }


def test_a_device_endpoint_on_the_people_face_is_401(house):
    answer = httpx.post(
        f"{house.url}/api/access/check",
        json={"card_uid": UID},
        headers={"X-SSL-Client-Cert": "forged", "smarthome.client_certificate": "forged"},
    )

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "AUTHENTICATION_ERROR"


def test_a_revoked_device_loses_its_open_connection(house):
    house.enrol("back-door", "door")
    with house.device("back-door") as door:
        before = check(door).status_code
        house.manage("revoke_device", "back-door")
        after = check(door)

    assert before == 200
    assert after.status_code == 403
    assert after.json()["error"]["code"] == "AUTHORIZATION_ERROR"


def test_a_card_revoked_by_a_command_is_refused_on_the_next_check(house):
    uid = "04:11:22:33:44:55"
    house.furnish({}, {uid: "Ben"})
    with house.device("front-door") as door:
        before = check(door, uid).json()
        house.manage("revoke_card", uid)
        after = check(door, uid).json()

    assert (before["granted"], before["reason"]) == (True, "granted")
    assert (after["granted"], after["reason"]) == (False, "card_inactive")


def test_a_name_with_accents_arrives_whole(house):
    uid = "04:11:22:33:44:66"
    house.furnish({}, {uid: "Zoë Müller"})
    with house.device("front-door") as door:
        assert check(door, uid).json()["user_name"] == "Zoë Müller"


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/api/access/check", 2 * 1024 + 1),
        ("/api/sensors/ingest", 256 * 1024 + 1),
        ("/api/auth/token", 256 * 1024 + 1),
        ("/admin/login/", 10 * 1024 * 1024 + 1),
    ],
)
def test_a_large_body_is_refused_before_it_is_read(house, path, length):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"

    status, headers, body = house.raw(head.encode())

    assert status == 413
    assert headers["connection"] == "close"
    assert body["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_a_large_chunked_body_is_refused_too(house):
    head = (
        b"POST /api/access/check HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"

    status, headers, body = house.raw(head + chunk * 3)

    assert status == 413
    assert headers["connection"] == "close"
    assert body["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_who_still_sends_a_refused_body_reads_the_answer(house):
    answer = httpx.post(
        f"{house.url}/api/auth/token",
        content=b" " * (300 * 1024),
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "request_line",
    [b"GET /api\x00 HTTP/1.1", b"nonsense", b"GET /api/\xff HTTP/1.1", b"GET /health HTTP/9"],
)
def test_what_is_no_http_is_400_in_our_shape(house, request_line):
    status, _, body = house.raw(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert status == 400
    assert body["error"]["code"] == "MALFORMED_REQUEST"


def test_a_foreign_host_is_400_in_our_shape(house):
    answer = httpx.get(f"{house.url}/api/devices", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "MALFORMED_REQUEST"


def test_a_door_may_call_the_house_by_any_name(house):
    with house.device("front-door") as door:
        answer = door.post(
            "/api/access/check", json={"card_uid": UID}, headers={"Host": "house.example:8443"}
        )

    assert answer.status_code == 200


def test_everything_that_was_answered_survives_kill_9(tmp_path):
    cast = DEVICES, {UID: "Anna"}
    with open_house(tmp_path, *cast, RATE_LIMIT_CHECK="0", RATE_LIMIT_INGEST="0") as house:
        acknowledged, granted = [], []
        with house.device("front-door") as door, house.device("kitchen") as sensor:
            for _ in range(25):
                reading = {"reading_id": str(uuid.uuid4()), "temperature": 21.5}
                accepted = sensor.post("/api/sensors/ingest", json=reading)
                acknowledged.append(accepted.json()["message_id"])
                granted.append(check(door).json()["access_log_id"])
            house.stop(signal.SIGKILL)
        house.start()

    database = sqlite3.connect(tmp_path / "house.sqlite3")
    stored = {str(uuid.UUID(row[0])) for row in database.execute("SELECT id FROM sensor_readings")}
    logged = {str(uuid.UUID(row[0])) for row in database.execute("SELECT id FROM access_logs")}
    assert stored == set(acknowledged)
    assert logged == set(granted)
    assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    database.close()


def test_a_busy_port_is_one_sentence(house, tmp_path):
    other = house_in(tmp_path)

    busy_devices = other.manage(
        "serve",
        f"--http=127.0.0.1:{other.http_port}",
        f"--mtls=127.0.0.1:{house.mtls_port}",
        check=False,
    )
    busy_people = other.manage(
        "serve",
        f"--http=127.0.0.1:{house.http_port}",
        f"--mtls=127.0.0.1:{other.http_port}",
        check=False,
    )

    assert busy_devices.returncode == busy_people.returncode == 1
    assert f"{house.mtls_port} is in use by another program" in busy_devices.stderr
    assert f"{house.http_port} is in use by another program" in busy_people.stderr
    assert "Traceback" not in busy_devices.stderr + busy_people.stderr


def test_serve_asks_for_bootstrap_first(tmp_path):
    house = House(tmp_path, free_port(), free_port())

    refused = house.manage("serve", check=False)

    assert refused.returncode == 1
    assert "manage.py bootstrap" in refused.stderr


def test_openapi_and_its_pages_come_from_here(house):
    schema = httpx.get(f"{house.url}/api/schema").json()
    pages = [httpx.get(f"{house.url}{path}").text for path in ("/docs", "/redoc")]

    assert schema["openapi"].startswith("3.")
    assert "/api/access/check" in schema["paths"]
    assert not any("https://" in page or "//cdn" in page for page in pages)


def test_metrics_count_checks(house):
    with house.device("front-door") as door:
        check(door)

    text = httpx.get(f"{house.url}/metrics").text

    assert 'smarthome_access_checks_total{reason="granted"}' in text


def test_a_body_that_never_ends_holds_up_nobody(house):
    head = b"POST /api/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", house.http_port)) as slow:
        slow.sendall(head)
        begun = time.monotonic()
        status = httpx.get(f"{house.url}/health").status_code

    assert status == 200
    assert time.monotonic() - begun < 5


def test_logs_are_json_lines(house):
    lines = house.log.read_text().splitlines()

    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_bootstrap_twice_changes_nothing(tmp_path):
    house = House(tmp_path, free_port(), free_port(), {"ADMIN_PASSWORD": ""})

    first, second = house.manage("bootstrap").stdout, house.manage("bootstrap").stdout

    assert "Sign in as admin with the password " in first
    assert "Sign in" not in second
    assert "Europe/Berlin" in second


def test_a_folder_without_permission_is_one_sentence(tmp_path):
    locked = tmp_path / "file"
    locked.write_text("in the way")
    house = House(tmp_path, free_port(), free_port(), {"DATA_DIR": str(locked / "house")})

    refused = house.manage("bootstrap", check=False)

    assert refused.returncode == 1
    assert "cannot keep the secret key" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_sigterm_ends_it_cleanly(house):
    """The last one: nobody serves after it."""
    assert house.stop(signal.SIGTERM) == 0
