"""Doors and sensors that speak with the house as the field's firmware does. No database."""

import datetime as dt
import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from access.decision import WORDS, Reason
from policies.moments import utc_text
from realtime.management.demo_house import DemoCard, Identity
from realtime.management.rooms import Room, weather

# What an ESP32's HTTPClient and WebSocketsClient send, and how long they wait for an answer
# (seconds).
FIRMWARE_HEADERS = {
    "User-Agent": "ESP32HTTPClient",
    "Connection": "keep-alive",
    "Accept-Encoding": "identity;q=1,chunked;q=0.1,*;q=0",
    "Content-Type": "application/json",
}
FIRMWARE_SOCKET: dict[str, Any] = {
    "origin": "file://",
    "subprotocols": ["arduino"],
    "user_agent_header": "arduino-WebSocket-Client",
    "compression": None,
    "ping_interval": None,
}
TIMEOUT_SECONDS = 5
HANG_UP_SECONDS = 1
# The field's doors send one constant for ever.
DOOR_TIMESTAMP = "2024-01-01T00:00:00Z"
SAME_CARD_SECONDS = 3
BADGE_SECONDS = (2, 10)
READING_SECONDS = 1
HISTORY_STEP = dt.timedelta(seconds=5)
BATCH_SIZE = 500
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 10
REFUSED_SECONDS = 5
# Answers to a batch that will be the same next time.
HOPELESS = (400, 413, 415, 422)
OUTCOMES = {str(reason): words for reason, words in WORDS.items()}

Reading = dict[str, Any]
Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """What all simulated devices share: where they speak, where they warn, when they end."""

    say: Callable[[str], None]
    warn: Callable[[str], None]
    stop: threading.Event


class Away(Exception):
    """The house did not answer; the text says how."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The house's answer: an HTTP status, a JSON object and, with 429 and 503, a wait."""

    status: int
    body: dict[str, Any]
    retry_after: float

    @property
    def complaint(self) -> str:
        return f"{self.status} {message(self.body)}".strip()


def message(body: dict[str, Any]) -> str:
    """What an answer in the house's error shape says in words."""
    error = body.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def mutual_tls(device: Identity) -> ssl.SSLContext:
    """Trust the house's CA alone and show the device's certificate.

    The field's mbed TLS speaks 1.2. So must we: the tickets that 1.3 sends after its handshake
    let websockets 17 wait without end for a house that froze before it answered the upgrade.
    """
    context = ssl.create_default_context(cafile=str(device.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(device.certificate, device.key)
    return context


class Line:
    """One HTTPS connection, kept alive, opened again when it is needed."""

    def __init__(self, url: str, device: Identity) -> None:
        address = urlsplit(url)
        self.connection = http.client.HTTPSConnection(
            address.hostname or "",
            address.port,
            timeout=TIMEOUT_SECONDS,
            context=mutual_tls(device),
        )

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """Ask the house; Away when there is no whole answer in time."""
        try:
            self.connection.request("POST", path, json.dumps(body).encode(), FIRMWARE_HEADERS)
            response = self.connection.getresponse()
            answer = json.loads(response.read() or b"{}")
            wait = float(response.headers.get("Retry-After", 0))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.connection.close()
            raise Away(str(error) or type(error).__name__) from error
        return Reply(response.status, answer if isinstance(answer, dict) else {}, wait)

    def close(self) -> None:
        self.connection.close()


class Socket:
    """One WebSocket, kept open, opened again when it is needed."""

    def __init__(self, url: str, device: Identity) -> None:
        self.url = f"{url.replace('https', 'wss', 1)}/ws"
        self.tls = mutual_tls(device)
        self.connection: ClientConnection | None = None
        self._open = ExitStack()

    def ask(self, frame: Frame) -> Frame:
        """Send a frame and wait for its answer; Away when there is none in time."""
        try:
            connection = self._opened()
            # Who is refused with its certificate is told so at once and cut off: read what it says.
            with suppress(ConnectionClosed):
                connection.send(json.dumps(frame))
            answer = json.loads(connection.recv(timeout=TIMEOUT_SECONDS))
        except (OSError, WebSocketException, ValueError) as error:
            # An answer that comes late must not pass for the next frame's.
            self.close()
            raise Away(str(error) or type(error).__name__) from error
        return answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        self._open.close()
        self.connection = None

    def _opened(self) -> ClientConnection:
        if self.connection is None or self.connection.state is not State.OPEN:
            self.close()
            self.connection = self._open.enter_context(
                connect(
                    self.url,
                    ssl=self.tls,
                    proxy=None,
                    open_timeout=TIMEOUT_SECONDS,
                    close_timeout=HANG_UP_SECONDS,
                    **FIRMWARE_SOCKET,
                )
            )
        return self.connection


class SimulatedDevice(threading.Thread):
    """A device that takes one step after the other until it is told to stop.

    When the house is away it tries again, after longer and longer pauses that differ between
    devices, so that a house that comes back is not met by all of them at once.
    """

    def __init__(self, identity: Identity, line: Line, stage: Stage) -> None:
        super().__init__(name=identity.device_id, daemon=True)
        self.identity = identity
        self.line = line
        self.told = 0  # answers that were taken
        self.stage = stage
        self._trouble = ""
        self._retry_seconds: float = FIRST_RETRY_SECONDS

    def step(self) -> float:
        """One exchange with the house; returns the seconds until the next."""
        raise NotImplementedError

    def run(self) -> None:
        stop = self.stage.stop
        stop.wait(random.random())  # noqa: S311  # spreads the first requests
        while not stop.is_set():
            stop.wait(self.attempt())
        self.hang_up()

    def attempt(self) -> float:
        """A step, or the pause before the next attempt when the house is away."""
        try:
            pause = self.step()
        except Away as error:
            self.worry(f"the house does not answer ({error}), trying again")
            pause = self._retry_seconds * random.uniform(0.5, 1.5)  # noqa: S311
            self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)
        else:
            self._retry_seconds = FIRST_RETRY_SECONDS
        return pause

    def hang_up(self) -> None:
        """Close what is open."""
        self.line.close()

    def worry(self, trouble: str) -> None:
        """Tell a trouble once, however long it lasts, and its end."""
        if trouble and not self._trouble:
            self.stage.warn(f"{self.identity.name}: {trouble}")
        if self._trouble and not trouble:
            self.stage.warn(f"{self.identity.name}: the house answers again")
        self._trouble = trouble


class SimulatedDoor(SimulatedDevice):
    """Somebody badges every few seconds."""

    def __init__(self, *args: Any, cards: Sequence[DemoCard]) -> None:
        super().__init__(*args)
        self.cards = cards
        # Mostly people who may pass, as at any door.
        self.weights = [3 if card.reason is Reason.GRANTED else 1 for card in cards]
        self._last_uid, self._last_at = "", 0.0

    def step(self) -> float:
        (card,) = random.choices(self.cards, self.weights)  # noqa: S311
        self.badge(card, time.monotonic())
        return random.uniform(*BADGE_SECONDS)  # noqa: S311

    def badge(self, card: DemoCard, now: float) -> None:
        """Ask for a card, unless it is still being held to the reader. `now` is in seconds."""
        if card.uid == self._last_uid and now - self._last_at < SAME_CARD_SECONDS:
            return
        self._last_uid, self._last_at = card.uid, now
        reply = self.line.post(
            "/api/access/check",
            {
                "device_id": self.identity.device_id,
                "card_uid": card.uid,
                "timestamp": DOOR_TIMESTAMP,
            },
        )
        self.worry("")
        if reply.status == 200:
            self.told += 1
            outcome = OUTCOMES.get(str(reply.body.get("reason")), "stays shut")
        else:
            outcome = f"stays shut ({reply.complaint})"
        self.stage.say(f"{self.identity.name}: {card.holder}, {outcome}")


class SimulatedSensor(SimulatedDevice):
    """Tells first what it measured while the house did not hear it, over HTTPS in batches; then
    a reading a second over its WebSocket."""

    def __init__(
        self,
        *args: Any,
        socket: Socket,
        room: Room,
        history: Iterator[list[Reading]],
        progress: Callable[[int], None],
    ) -> None:
        super().__init__(*args)
        self.socket = socket
        self.room = room
        self.history = history
        self.batch = next(history, None)
        self.progress = progress
        self._due = 0.0

    def step(self) -> float:
        return self.tell_history(self.batch) if self.batch else self.tell_now()

    def hang_up(self) -> None:
        super().hang_up()
        self.socket.close()

    def tell_history(self, batch: list[Reading]) -> float:
        """The next batch; it is kept until the house took it or never will."""
        reply = self.line.post("/api/sensors/ingest", {"readings": batch})
        taken = reply.status == 202
        if taken or reply.status in HOPELESS:
            self.batch = next(self.history, None)
            self.progress(len(batch))
        if self.batch is None:
            self.line.close()
        self.note(taken, reply.complaint)
        return 0.0 if taken else max(reply.retry_after, 1)

    def tell_now(self) -> float:
        """A reading of this moment. One that is not taken is lost, as in the field."""
        answer = self.socket.ask(self.reading(dt.datetime.now(dt.UTC)))
        taken = answer.get("type") == "ack"
        self.note(taken, message(answer))
        return self.until_due() if taken else REFUSED_SECONDS

    def note(self, taken: bool, complaint: str) -> None:
        """Count what was taken, report what was not."""
        self.told += taken
        self.worry("" if taken else f"refused ({complaint})")

    def reading(self, at: dt.datetime) -> Reading:
        head = {"device_id": self.identity.device_id, "timestamp": utc_text(at)}
        return head | weather(self.room, at)

    def until_due(self) -> float:
        """Seconds to the next full period, without drift and without catching up."""
        now = time.monotonic()
        self._due += READING_SECONDS
        if self._due < now:
            self._due = now + READING_SECONDS
        return self._due - now


def history(
    device: Identity, room: Room, since: dt.datetime, until: dt.datetime
) -> Iterator[list[Reading]]:
    """A reading every five seconds of that time, in batches, with ids for safe retries."""
    boot_id = random.getrandbits(31)
    count = (until - since) // HISTORY_STEP
    for start in range(0, count, BATCH_SIZE):
        batch = []
        for seq in range(start, min(start + BATCH_SIZE, count)):
            at = until - (count - seq) * HISTORY_STEP
            head = {"device_id": device.device_id, "timestamp": utc_text(at)}
            batch.append(head | {"boot_id": boot_id, "seq": seq} | weather(room, at))
        yield batch
