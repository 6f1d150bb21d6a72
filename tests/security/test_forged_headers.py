"""Nobody is believed who only says who he is: forged headers at every nginx location, and at serve.

What reaches the house is looked at itself: our nginx runs before one that repeats what it got.
"""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from smarthome import faces
from tests.house import House
from tests.security.conftest import UID, some
from tests.security.echo import EchoHouse, echo_house
from tests.servers import private_folder
from tests.stack import Answer

# A request at every location that asks the house. A new location needs one here.
PROBES = {
    "= /api/access/check": "POST /api/access/check",
    "/api/": "POST /api/sensors/ingest",
    "~ ^/ws(/client)?$": "GET /ws",
    "/health": "GET /health",
    "/metrics": "GET /metrics",
    "/": "GET /admin/",
}
NAMES = (faces.FACE_HEADER, faces.CERTIFICATE_HEADER, faces.METRICS_HEADER)
# What else a proxy is asked about a client, and ours does not hand on.
ABOUT = (
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded",
)  # fmt: skip
CONTROLS = [bytes([code]) for code in (*range(9), *range(11, 13), *range(14, 32), 127)]


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoHouse]:
    with private_folder() as folder, echo_house(folder) as house:
        yield house


def forgeries(certificate: str) -> Iterator[bytes]:
    """Header lines that say what only nginx may say, as a client might write them."""
    lies = dict(zip(NAMES, ("device", certificate, "open"), strict=True))
    for spell in SPELLINGS:
        yield b"".join(line(spell(name), value) for name, value in lies.items())
    plain = b"".join(line(name.encode(), value) for name, value in lies.items())
    underscores = plain.replace(b"X-House-", b"X_House_")
    yield plain + plain
    yield plain + underscores
    yield underscores + plain
    yield plain.replace(b": ", b":\t")
    yield plain.replace(b": ", b":")
    yield plain.replace(b"\r\n", b"\n")
    yield b"X-Filler: 1\r\n " + plain  # a folded line
    yield b"X-Filler: 1\r" + plain
    yield b"Connection: close, X-House-Face, X-House-Certificate, X-House-Metrics\r\n"
    yield b"Connection: X-House-Face\r\n" + plain
    yield plain.replace(b"device", b"people, device")
    yield plain.replace(b"device", b"")
    for control in CONTROLS:
        yield line(b"X-House-Face" + control, "device") + plain
        yield line(control + b"X-House-Face", "device")
        yield line(b"X-House-Face", "device", control)
        yield line(b"X-Filler", "a", control) + plain
    for name in ABOUT:
        yield line(name.encode(), "203.0.113.9") + line(name.encode(), "127.0.0.1")


SPELLINGS = (
    lambda name: name.encode(),
    lambda name: name.lower().encode(),
    lambda name: name.upper().encode(),
    lambda name: name.swapcase().encode(),
    lambda name: name.replace("-", "_").encode(),
    lambda name: name.replace("-", "_", 1).encode(),
    lambda name: name.replace("X-House-", "X-House_").encode(),
    lambda name: name.upper().replace("-", "_").encode(),
    lambda name: b"HTTP_" + name.upper().replace("-", "_").encode(),
    lambda name: name.encode() + b" ",
    lambda name: name.encode() + b"\t",
    lambda name: b" " + name.encode(),
    lambda name: name.replace("-", ".").encode(),
    lambda name: name.replace("-", "\u2010").encode(),
    lambda name: name.replace("-", "\xad").encode("latin-1"),
    lambda name: name.replace("-", "--").encode(),
    lambda name: name.encode() + b"-",
    lambda name: name.encode() + b"_",
)


def line(name: bytes, value: str, after: bytes = b"") -> bytes:
    return name + b": " + value.encode() + after + b"\r\n"


def request(probe: str, lines: bytes) -> bytes:
    body = b'{"card_uid": "%s"}' % UID.encode() if probe.startswith("POST") else b""
    return (
        f"{probe} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
    ).encode() + (lines + b"Connection: close\r\n\r\n" + body)


def test_every_location_has_a_probe_or_answers_by_itself(echo):
    for location, text in echo.locations().items():
        if "proxy_pass" in text:
            assert location in PROBES, location
        else:
            assert "internal;" in text, location
            status, reached = echo.ask(
                request(f"GET {location.removeprefix('= ')}", b""), as_device=False
            )
            assert reached is not None or status == 404

    assert set(PROBES) <= set(echo.locations())


@pytest.mark.parametrize("as_device", [False, True], ids=["people", "device"])
@pytest.mark.parametrize("location", PROBES)
def test_what_reaches_the_house_is_only_what_nginx_says(echo, location, as_device):
    own = quote((echo.folder / "device.crt").read_text(), safe="")
    said = {"x-house-face": "device" if as_device else "people", "x-forwarded-for": "127.0.0.1"}
    if as_device:
        said["x-house-certificate"] = own
    statuses = set()

    for lines in [b"", *some(forgeries("forged"), 5)]:
        status, reached = echo.ask(request(PROBES[location], lines), as_device=as_device)

        statuses.add(status)
        if reached is None:
            assert status == 400, lines
        else:
            assert believed(reached) == sorted(said.items()), lines
    assert {200, 400} == statuses


def test_a_location_that_forgot_the_headers_would_be_found():
    with private_folder() as folder, echo_house(folder, forgetful="/metrics") as house:
        _, forgotten = house.ask(
            request("GET /metrics", b"X-House-Face: device\r\n"), as_device=False
        )
        _, other = house.ask(request("GET /health", b"X-House-Face: device\r\n"), as_device=False)

    assert forgotten is not None
    assert other is not None
    assert ("x-house-face", "device") in believed(forgotten)
    assert ("x-house-face", "device") not in believed(other)


def believed(reached: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that the house, or a server under it, might take for nginx's word."""
    plain = [(name.lower().replace("_", "-"), value) for name, value in reached]
    ours = {name.lower() for name in (*NAMES, *ABOUT)}
    return sorted((name, value) for name, value in plain if name.strip() in ours)


def test_the_certificate_that_reaches_the_house_is_the_connections(echo):
    _, reached = echo.ask(request("GET /health", b""), as_device=True)

    face, der = faces.said_by_nginx(
        *([value for name, value in reached if name == wanted] for wanted in NAMES[:2])
    )

    assert face == "device"
    pem = (echo.folder / "device.crt").read_text()
    assert der == ssl.PEM_cert_to_DER_cert(pem)


# -- serve, which believes no header at all ------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/access/check", "/api/sensors/ingest"])
def test_no_header_makes_a_person_a_device_at_serve(house: House, path):
    files = house.data_dir / "devices"
    certificate = quote((files / "front-door.crt").read_text(), safe="")

    for lines in some(forgeries(certificate), 5):
        with socket.create_connection(("127.0.0.1", house.http_port), timeout=10) as sock:
            sock.sendall(request(f"POST {path}", lines))
            answer = Answer.read(sock)

        assert answer.status in (400, 401), lines
        assert answer.code in ("MALFORMED_REQUEST", "AUTHENTICATION_ERROR")


def test_no_header_makes_a_sensor_a_door_at_serve(house: House):
    files = house.data_dir / "devices"
    certificate = quote((files / "front-door.crt").read_text(), safe="")

    for lines in some(forgeries(certificate), 5):
        with (
            socket.create_connection(("127.0.0.1", house.mtls_port), timeout=10) as plain,
            house.tls("kitchen").wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(request("POST /api/access/check", lines))
            answer = Answer.read(sock)

        assert answer.status in (400, 403), lines
        assert b"granted" not in answer.body
