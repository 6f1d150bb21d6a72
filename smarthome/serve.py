"""The embedded house's server: Daphne with two listeners and mutual TLS of its own.

The people face is plain HTTP (on loopback unless told otherwise), the device face ends TLS
itself. What Daphne lacks is added by overriding: the client certificate in the scope, limits
before the body is read, errors in our shape, idle connections that live as long as a door badges
rarely. `smarthome.live` shares all of it but the listeners.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from typing import Any

import daphne.server  # first of all: it installs the asyncio reactor
from autobahn.exception import Disconnected
from autobahn.websocket.types import ConnectionDeny
from daphne.endpoints import build_endpoint_description_strings
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from twisted.internet import reactor, task
from twisted.internet.interfaces import IPushProducer
from twisted.web import http
from zope.interface import implementer

from policies import memory
from policies.authentication import CERTIFICATE_KEY
from smarthome import faces
from smarthome.care import EVERY, care
from smarthome.errors import envelope_bytes
from smarthome.sockets import Sockets
from smarthome.threads import Receive, Scope, Send, ThreadedWsgi
from smarthome.tls import DeviceTls, peer_certificate

# Seconds. A door badges every few minutes and a new handshake costs an ESP32 one second.
DEVICE_IDLE_SECONDS = 300
PEOPLE_IDLE_SECONDS = 75
# What a refused client may still send before it is cut off: it reads our answer only when it
# has finished writing, and a connection closed under it would lose the answer.
LINGER_BYTES = 1024 * 1024
LINGER_SECONDS = 2
MAX_FRAME_BYTES = 64 * 1024
# Frames that a socket's application has not read yet. Beyond it nothing more is read from the peer.
MOST_UNREAD_FRAMES = 64
READ_AGAIN_SECONDS = 0.05
# A peer that does not answer a ping so long is gone. A page that was asleep for a minute is not.
PING_TIMEOUT = 90
# How long a close frame may lie behind what a slow viewer has still to read.
CLOSE_SECONDS = 60
SWITCH_SECONDS = 0.0005


class Request(WebRequest):
    """Daphne's request, with limits before the body and errors in our shape."""

    refused = False
    received = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        # Forms are Django's to read; Twisted would do it, too, on the event loop.
        super().__init__(*args, parsePOSTFormSubmission=False, **options)

    def gotLength(self, length: int | None) -> None:  # noqa: N802  # Twisted's name
        """The headers are complete: refuse a body that is too large before reading it."""
        super().gotLength(length)
        self.most = most_body_bytes(self.channel._path)
        if length is not None and length > self.most:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802  # Twisted's name
        self.received += len(data)
        if self.refused:
            if self.received > LINGER_BYTES:
                self.channel.loseConnection()
            return
        if self.received > self.most:  # chunked: its length is known only now
            self._refuse()
            return
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        if self.refused:
            self.channel.loseConnection()
        else:
            super().requestReceived(command, path, version)

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Older ESP32 cores reuse a connection only if the response says so."""
        if message["type"] == "http.response.start" and self.channel and self.channel.persistent:
            self.setHeader(b"connection", b"keep-alive")
        super().handle_reply(message)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Daphne's own errors are HTML; everything of ours is JSON."""
        content = envelope_bytes(status)
        headers = [
            (b"Content-Type", b"application/json"),
            (b"Content-Length", str(len(content)).encode()),
        ]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": content})

    def _refuse(self) -> None:
        self.refused = True
        self.requestHeaders.removeHeader(b"Expect")  # or Twisted would still say 100 Continue
        self.channel.transport.write(error_response(413))
        reactor.callLater(LINGER_SECONDS, self.channel.loseConnection)


class Channel(http.HTTPChannel):
    """One HTTP/1.1 connection."""

    requestFactory = Request  # noqa: N815  # Twisted's name

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802  # Twisted's name
        """What Twisted cannot even parse; it would answer without a body."""
        self.transport.write(error_response(400))
        self.loseConnection()

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802  # Twisted's name
        """A line beyond 16 kB; Twisted would say nothing, and never close a TLS connection."""
        self._respondToBadRequestAndDisconnect()


class Factory(HTTPFactory):
    """Makes our channels; Daphne's factory would insist on its own request class."""

    protocol = Channel

    def buildProtocol(self, address: Any) -> Any:  # noqa: N802  # Twisted's name
        return http.HTTPFactory.buildProtocol(self, address)


class Socket(WebSocketProtocol):
    """Daphne's WebSocket. Its limit on messages is for what comes in; a snapshot may be larger."""

    maxMessagePayloadSize: int  # noqa: N815  # Autobahn's name
    is_reading = True

    def onMessage(self, payload: bytes, is_binary: bool) -> None:  # noqa: N802  # Autobahn's
        """Daphne's queue has no end; a peer that outruns us waits in its own buffers."""
        super().onMessage(payload, is_binary)
        if self.is_reading and self.application_queue.qsize() >= MOST_UNREAD_FRAMES:
            self.is_reading = False
            self.transport.pauseProducing()
            self._read_again()

    def _read_again(self) -> None:
        if self.application_queue.qsize() < MOST_UNREAD_FRAMES // 2:
            self.is_reading = True
            self.transport.resumeProducing()
        elif self.state != self.STATE_CLOSED:
            reactor.callLater(READ_AGAIN_SECONDS, self._read_again)

    def onConnect(self, request: Any) -> Any:  # noqa: N802  # Autobahn's name
        """Daphne reads this header as ASCII, and would answer 500 to anything else."""
        if not request.headers.get("sec-websocket-protocol", "").isascii():
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST)
        return super().onConnect(request)

    def sendMessage(self, payload: bytes, *args: Any, **kwargs: Any) -> Any:  # noqa: N802  # Autobahn's name
        limit, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            return super().sendMessage(payload, *args, **kwargs)
        except Disconnected:  # whoever it was for has gone; `disconnect` is on its way
            return None
        finally:
            self.maxMessagePayloadSize = limit


class SocketFactory(WebSocketFactory):
    """Makes our sockets, which say with a close code why they end instead of just dropping."""

    protocol = Socket

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.setProtocolOptions(failByDrop=False, closeHandshakeTimeout=CLOSE_SECONDS)


@implementer(IPushProducer)
class Outlet:
    """The sending side of a socket, as its transport reports it.

    Daphne writes without looking; a viewer that does not read would fill our memory.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.on_room: Callable[[], None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    @property
    def has_room(self) -> bool:
        return self.is_open and self._room.is_set()

    async def room(self) -> None:
        """Wait until there is room, or nobody there any more."""
        await self._room.wait()

    def pauseProducing(self) -> None:  # noqa: N802  # Twisted's name
        self._room.clear()

    def resumeProducing(self) -> None:  # noqa: N802  # Twisted's name
        self._room.set()
        if self.on_room:
            self.on_room()

    def stopProducing(self) -> None:  # noqa: N802  # Twisted's name
        self.is_open = False
        self._room.set()


class DaphneServer(daphne.server.Server):
    """What `serve` and `live` have in common: our protocols, one application, a clean end."""

    connections: dict[Any, dict[str, Any]]
    failure: Exception | None = None

    def __init__(self, house: "House", endpoints: Sequence[str], ready: Callable[[], None]) -> None:
        self.house = house
        super().__init__(
            house,
            endpoints=endpoints,
            ready_callable=ready,
            server_name="",
            websocket_max_message_size=MAX_FRAME_BYTES,
            websocket_max_frame_size=MAX_FRAME_BYTES,
            # Sessions and tokens end sockets here, not age.
            websocket_timeout=-1,
            ping_timeout=PING_TIMEOUT,
            verbosity=0,
        )

    def run(self) -> None:
        """Serve until a signal. Raises what kept a listener from opening."""
        # Server.run makes its factories by these names.
        daphne.server.HTTPFactory = Factory
        daphne.server.WebSocketFactory = SocketFactory
        super().run()
        if self.failure:
            raise self.failure

    def listen_error(self, failure: Any) -> None:
        self.failure = failure.value
        self.stop()

    def settle(self, certify: Callable[[], None]) -> None:
        """The first face listens: let the sockets live, see to the chores, then settle down.

        `certify` brings in a new server certificate.
        """
        self.http_factory.timeOut = PEOPLE_IDLE_SECONDS
        self.house.sockets.start(reactor._asyncioEventloop)
        task.LoopingCall(self.house.care, certify).start(EVERY.total_seconds())
        # What is alive now lives as long as the process. Without this, full collections were
        # every answer that took longer than 80 ms.
        gc.collect()
        gc.freeze()
        # The door's thread and the event loop take turns on one interpreter, and Python's turn of
        # 5 ms is long beside a check. The gain is small: a quiet pair of runs showed none.
        sys.setswitchinterval(SWITCH_SECONDS)

    def recognise(self, protocol: Any, scope: Scope) -> None:
        """Put into the scope which face it came through and what certificate was shown."""
        raise NotImplementedError

    def create_application(self, protocol: Any, scope: Scope) -> Any:
        self.recognise(protocol, scope)
        if scope["type"] == "websocket":
            scope["smarthome.outlet"] = outlet = Outlet()
            protocol.transport.unregisterProducer()  # the HTTP channel it was upgraded from
            protocol.transport.registerProducer(outlet, True)
        return super().create_application(protocol, scope)

    def kill_all_applications(self) -> Any:
        """Daphne's expects every connection to have a request under way."""
        self.connections = {
            protocol: details
            for protocol, details in self.connections.items()
            if "application_instance" in details
        }
        return super().kill_all_applications()


class Server(DaphneServer):
    """Both faces in one process."""

    def __init__(
        self,
        people: tuple[str, int],
        devices: tuple[str, int],
        tls: DeviceTls,
        up: Callable[[], None],
    ) -> None:
        self.devices, self.tls, self.up = devices, tls, up
        endpoints = build_endpoint_description_strings(host=people[0], port=people[1])
        super().__init__(House(), endpoints, self.ready)

    def ready(self) -> None:
        """The people face listens: open the device face."""
        device_factory = Factory(self)
        device_factory.timeOut = DEVICE_IDLE_SECONDS
        host, port = self.devices
        reactor.listenSSL(port, device_factory, self.tls, interface=host)
        self.settle(self.tls.reload)
        reactor.callWhenRunning(self.up)

    def recognise(self, protocol: Any, scope: Scope) -> None:
        der = peer_certificate(protocol.transport)
        scope[faces.FACE_KEY] = faces.DEVICE if der else faces.PEOPLE
        if der:
            scope[CERTIFICATE_KEY] = der


class House:
    """The ASGI application: each face's HTTP on its own threads, and sockets."""

    def __init__(self) -> None:
        handler = WSGIHandler()
        self.faces = {
            faces.DEVICE: ThreadedWsgi(handler, "device", threads=1, initializer=memory.enable),
            faces.PEOPLE: ThreadedWsgi(handler, "people", threads=2),
        }
        self.sockets = Sockets(self.faces[faces.DEVICE].executor)

    def care(self, certify: Callable[[], None]) -> None:
        """The hourly chores, off the event loop."""
        self.faces[faces.PEOPLE].executor.submit(care, certify)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.faces[scope[faces.FACE_KEY]](scope, receive, send)
        else:
            await self.sockets(scope, receive, send)


def most_body_bytes(path: bytes) -> int:
    """How large a body may be: a door's question is small, an admin's upload is not."""
    if path.partition(b"?")[0] == b"/api/access/check":
        return settings.MAX_CHECK_BYTES
    return settings.MAX_API_BYTES if path.startswith(b"/api/") else settings.MAX_BODY_BYTES


def error_response(status: int) -> bytes:
    """A whole HTTP response in our shape, for what never becomes a request."""
    body = envelope_bytes(status)
    head = (
        f"HTTP/1.1 {status} {http.RESPONSES[status].decode()}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
