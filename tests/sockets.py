"""WebSocket clients for tests: a device's and a viewer's, speaking as the contract says."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.house import House

PATIENCE = 30  # seconds; only a hang takes that long
Frame = dict[str, Any]


@contextmanager
def device_socket(house: House, device_id: str, **options: Any) -> Iterator[ClientConnection]:
    """`/ws` on the device face, as the field's firmware opens it."""
    options = {"origin": "file://", "subprotocols": ["arduino"], "open_timeout": PATIENCE} | options
    url = house.device_url.replace("https", "wss") + "/ws"
    context = house.tls(device_id)
    # As the field's mbed TLS. With 1.3, tickets arrive while websockets 17 reads on one thread and
    # writes on another, and now and then both wait for ever.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(url, ssl=context, proxy=None, **options) as socket:
        yield socket


@contextmanager
def viewer_socket(house: House, path: str = "/ws", **options: Any) -> Iterator[ClientConnection]:
    """`/ws` on the people face."""
    url = house.url.replace("http", "ws") + path
    with connect(url, proxy=None, **({"open_timeout": PATIENCE} | options)) as socket:
        yield socket


def send(socket: ClientConnection, **frame: Any) -> None:
    socket.send(json.dumps(frame))


def receive(socket: ClientConnection, timeout: float = PATIENCE) -> Frame:
    frame: Frame = json.loads(socket.recv(timeout=timeout))
    return frame


def ask(socket: ClientConnection, **frame: Any) -> Frame:
    """Send a frame and wait for the next one."""
    send(socket, **frame)
    return receive(socket)


def wait_for(socket: ClientConnection, kind: str, timeout: float = PATIENCE) -> Frame:
    """The next frame of a type; others are passed over."""
    while (frame := receive(socket, timeout))["type"] != kind:
        pass
    return frame


def sign_in(socket: ClientConnection, token: str, **more: Any) -> tuple[Frame, Frame]:
    """Authenticate by token; the `hello` and the `snapshot`."""
    send(socket, type="auth", token=token, **more)
    return wait_for(socket, "hello"), wait_for(socket, "snapshot")
