"""Who watches in this process, and what each is sent.

Lives on the event loop; the feed's frames arrive from other threads. A frame is encoded once and
shared by all sockets that want the same. Viewers in batch mode get at most ten batches a second;
what a slow viewer cannot take is held back for it alone, of readings only the newest per device:
that one says as `coalesced` for how many older ones it stands.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Protocol

from realtime.feed import READING, Frame
from realtime.subscription import EVERYTHING, Subscription

BATCH_SECONDS = 0.1
# Events held for one slow viewer before it is given up (4408); readings are bounded by devices.
MOST_HELD_EVENTS = 1000
TOO_SLOW = 4408


class Outlet(Protocol):
    """The sending side of a socket: whether anybody is there, whether its buffer has room, and a
    call when it has again."""

    on_room: Callable[[], None] | None

    @property
    def is_open(self) -> bool: ...

    @property
    def has_room(self) -> bool: ...

    async def room(self) -> None:
        """Wait until there is room, or nobody there any more."""


class Viewer:
    """One watching socket."""

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int], Awaitable[None]],
        outlet: Outlet | None,
        identity: Hashable,
    ) -> None:
        self.send, self.close, self.outlet = send, close, outlet
        self.identity = identity
        self.masked = True  # sees no UIDs
        self.batch = False
        self.subscription = EVERYTHING
        self.held = True  # while it is being brought up to date
        self.seq = 0  # the newest number it was sent
        self.let_go_to = 0  # the newest event that was held and let go while it was replayed
        self._events: list[Frame] = []
        self._readings: dict[str, Frame] = {}

    @property
    def must_hold(self) -> bool:
        """Whether frames wait: it is being brought up to date, or its socket is full."""
        return (
            self.held
            or bool(self._events or self._readings)
            or bool(self.outlet and not self.outlet.has_room)
        )

    def hold_from_now(self) -> None:
        """It is about to be brought up to date: what happens meanwhile comes afterwards."""
        self.held, self.let_go_to = True, 0

    def hold(self, frames: Sequence[Frame]) -> bool:
        """Keep frames for later; False when it is too many.

        While the past is being replayed nothing is lost by letting events go: the replay comes to
        them.
        """
        for one in frames:
            if one["type"] == READING:
                older = self._readings.get(one["device_id"])
                # While it is brought up to date, the newest is all that it asked for.
                count = older.get("coalesced", 0) + 1 if older and not self.held else 0
                self._readings[one["device_id"]] = one | {"coalesced": count} if count else one
            else:
                self._events.append(one)
        if len(self._events) <= MOST_HELD_EVENTS:
            return True
        if self.held:
            self.let_go_to = self._events[-1]["seq"]
            self._events = []
        return self.held

    def take_held(self) -> list[Frame]:
        """What was held and is news to this viewer, in order."""
        frames = [f for f in (*self._events, *self._readings.values()) if f["seq"] > self.seq]
        self._events, self._readings = [], {}
        return sorted(frames, key=lambda f: f["seq"])


class Hub:
    """The viewers of one process."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self._waiting: list[Frame] = []  # for the next batch
        self._flush_at: asyncio.TimerHandle | None = None
        self._last_flush = 0.0

    def add(self, viewer: Viewer) -> None:
        """Hold frames for a new viewer until it is released."""
        self.viewers.add(viewer)
        if viewer.outlet:
            viewer.outlet.on_room = lambda: self.has_room(viewer)

    def take(self, frames: Sequence[Frame]) -> None:
        """Frames of the feed, on the event loop."""
        encoded = Encoded(frames)
        for viewer in [v for v in self.viewers if not v.batch]:
            _offer(self, viewer, encoded)
        self._waiting += frames
        if self._flush_at is None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._last_flush + BATCH_SECONDS - loop.time())
            self._flush_at = loop.call_later(wait, self._flush)

    def release(self, viewer: Viewer, after: int) -> None:
        """The viewer is up to date to `after`: send what it was not sent meanwhile."""
        viewer.held = False
        viewer.seq = after
        self._send_held(viewer)

    def give_up(self, viewer: Viewer) -> None:
        """End a viewer; when it comes back and resumes it hears what it missed."""
        self.viewers.discard(viewer)  # its close frame may wait long to be read
        _start(viewer.close(TOO_SLOW))

    def end_all(self) -> None:
        """Nobody knows any more what these viewers were not told."""
        for viewer in list(self.viewers):
            self.give_up(viewer)

    def has_room(self, viewer: Viewer) -> None:
        """A full socket has room again."""
        if not viewer.held:
            self._send_held(viewer)

    @staticmethod
    def _send_held(viewer: Viewer) -> None:
        held = viewer.take_held()
        if held:
            _send(viewer, Encoded(held))

    def _flush(self) -> None:
        self._flush_at = None
        self._last_flush = asyncio.get_running_loop().time()
        encoded = Encoded(self._waiting)
        self._waiting = []
        for viewer in [v for v in self.viewers if v.batch]:
            _offer(self, viewer, encoded)


EncodeAll = Callable[[bool], list[str]]  # masked or not


class Encoded:
    """Frames as text, each made once for those who see UIDs and once for those who do not."""

    def __init__(self, frames: Sequence[Frame], encode_all: EncodeAll | None = None) -> None:
        self.frames = frames
        self._encode_all = encode_all or self._encode
        self._texts: dict[bool, list[str]] = {}
        self._batches: dict[bool, str] = {}
        self._parts: dict[Subscription, Encoded] = {EVERYTHING: self}

    def texts(self, *, masked: bool) -> list[str]:
        """One text a frame."""
        if masked not in self._texts:
            self._texts[masked] = self._encode_all(masked)
        return self._texts[masked]

    def _encode(self, masked: bool) -> list[str]:
        return [encode(mask(f) if masked else f) for f in self.frames]

    def part(self, subscription: Subscription) -> "Encoded":
        """Those that such viewers want."""
        if subscription not in self._parts:
            wanted = [n for n, one in enumerate(self.frames) if subscription.wants(one)]

            def of_whole(masked: bool) -> list[str]:
                texts = self.texts(masked=masked)
                return [texts[n] for n in wanted]

            self._parts[subscription] = Encoded([self.frames[n] for n in wanted], of_whole)
        return self._parts[subscription]

    def batch(self, *, masked: bool) -> str:
        """All frames in one `batch` frame."""
        if masked not in self._batches:
            joined = ",".join(self.texts(masked=masked))
            seq = self.frames[-1]["seq"]
            self._batches[masked] = f'{{"type":"batch","seq":{seq},"frames":[{joined}]}}'
        return self._batches[masked]

    def for_viewer(self, viewer: Viewer) -> list[str]:
        """As the viewer wants them."""
        masked = viewer.masked
        return [self.batch(masked=masked)] if viewer.batch else self.texts(masked=masked)


def encode(value: Any) -> str:
    """JSON as it goes over the wire."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def mask(one: Frame) -> Frame:
    """The frame as somebody sees it who may not see UIDs."""
    if one["type"] != "access_event":
        return one
    return one | {"data": one["data"] | {"card_uid": None}}


def _offer(hub: Hub, viewer: Viewer, encoded: Encoded) -> None:
    """Send frames to a viewer, or hold them for it; give up on one that is too far behind."""
    whole, encoded = encoded, encoded.part(viewer.subscription)
    if not encoded.frames:
        if not viewer.must_hold:
            viewer.seq = max(viewer.seq, whole.frames[-1]["seq"])
        return
    if viewer.must_hold:
        if not viewer.hold(encoded.frames):
            hub.give_up(viewer)
        return
    if encoded.frames[0]["seq"] <= viewer.seq:  # it came while these were waiting for the batch
        encoded = Encoded([one for one in encoded.frames if one["seq"] > viewer.seq])
    if encoded.frames:
        _send(viewer, encoded)


def _send(viewer: Viewer, encoded: Encoded) -> None:
    viewer.seq = encoded.frames[-1]["seq"]
    _start(_send_all(viewer, encoded.for_viewer(viewer)))


async def _send_all(viewer: Viewer, texts: list[str]) -> None:
    for text in texts:
        await viewer.send(text)


_running: set["asyncio.Future[None]"] = set()


def _start(step: Awaitable[None]) -> None:
    """Run a coroutine; the loop alone keeps only a weak reference to it."""
    task = asyncio.ensure_future(step)
    _running.add(task)
    task.add_done_callback(_running.discard)
