"""The viewers of `benchmarks.live`, in a process of their own: they must not slow its load down.

Told by lines on stdin: the token, then `pause`, `wake`, `settle` and `end`. Says `ready`, `settled`
when all who watch have seen what there was, and at the end one JSON object: for each viewer when it
first saw what, by the clock that all processes share.
"""

import asyncio
import contextlib
import gc
import json
import socket
import sys
import time
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

RETRY_SECONDS = 0.2
CUT_EVERY_SECONDS = 10
QUIET_SECONDS, SETTLE_SECONDS = 2.0, 60.0  # nothing came for so long; waited for at most
# As over a radio. On loopback alone the kernel would swallow megabytes before a pause was felt.
SMALL_BUFFER, SMALL_SEGMENT = 4096, 536

# How a replay ends, when nothing or something is missing.
REPLAYED = '{"type":"resumed"', '{"type":"gap"'

Frame = dict[str, Any]


class Viewer:
    """A dashboard in batch mode that comes back and resumes when it was cut off."""

    def __init__(self, url: str, token: str, *, narrow: bool = False) -> None:
        self.url, self.token, self.narrow = url, token, narrow
        self.received: list[tuple[float, str]] = []
        self.codes: list[int | None] = []  # why it was cut off
        self.feed, self.seq = "", 0  # up to where nothing is missing
        self.is_complete = False
        self.ready, self.awake = asyncio.Event(), asyncio.Event()
        self.awake.set()
        self.connection: ClientConnection | None = None

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._watch_once()
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else None)
            except (OSError, WebSocketException):
                pass  # the house is away
            self.is_complete = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _watch_once(self) -> None:
        sock = small_socket(self.url) if self.narrow else None
        options: Frame = {"compression": None, "ping_interval": None, "max_size": None}
        async with connect(self.url, sock=sock, proxy=None, **options) as self.connection:
            await self._send(type="auth", token=self.token, batch=True)
            hello = await self._next("hello")
            snapshot = await self._next("snapshot")
            self.is_complete = not self.seq
            if self.is_complete:
                self.feed, self.seq = hello["feed"], snapshot["seq"]
            else:
                await self._send(type="resume", feed=self.feed, seq=self.seq)
            self.ready.set()
            while True:
                await self.awake.wait()
                text = str(await self.connection.recv())
                # Hundreds are sent the same, and together it is a gigabyte.
                self.received.append((time.perf_counter(), texts.setdefault(text, text)))
                # Until all is replayed, a new number says nothing about those before it.
                self.is_complete = self.is_complete or text.startswith(REPLAYED)
                if self.is_complete:
                    self.seq = int(json.loads(text).get("seq", self.seq))

    async def _send(self, **frame: Any) -> None:
        assert self.connection
        await self.connection.send(json.dumps(frame))

    async def _next(self, kind: str) -> Frame:
        assert self.connection
        frame: Frame = {}
        while frame.get("type") != kind:
            frame = json.loads(await self.connection.recv())
        return frame

    def cut(self) -> None:
        """Lose the connection, as a phone in a lift does."""
        if self.connection:
            self.connection.transport.abort()

    def seen(self) -> dict[str, float]:
        """When each event and reading first came; gaps count as what they are: `gap`."""
        first: dict[str, float] = {}
        for at, text in self.received:
            for name in told_by(text):
                first.setdefault(name, at)
        return first


texts: dict[str, str] = {}


@cache
def told_by(text: str) -> list[str]:
    """The keys of what a text from the house tells of."""
    frame = json.loads(text)
    return [key(one) for one in (frame["frames"] if frame["type"] == "batch" else [frame])]


def key(frame: Frame) -> str:
    """What a frame tells of: an access event by its id, a reading by its device and value."""
    if frame["type"] == "access_event":
        return str(frame["data"]["id"])
    if frame["type"] == "sensor_reading":
        return f"{frame['device_id']} {frame['data']['temperature']}"
    return str(frame["type"])


def small_socket(url: str) -> socket.socket:
    """A connection whose buffers hold next to nothing."""
    address = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
    sock.connect((address.hostname, address.port))
    sock.setblocking(False)
    return sock


async def cut_again_and_again(viewer: Viewer) -> None:
    while True:
        await asyncio.sleep(CUT_EVERY_SECONDS)
        viewer.cut()


async def settle(viewers: Iterable[Viewer]) -> None:
    """Until everybody is back and nothing more comes, or it takes too long."""
    until = time.perf_counter() + SETTLE_SECONDS
    begun = time.perf_counter()
    while (now := time.perf_counter()) < until:
        last = max([begun, *(v.received[-1][0] for v in viewers if v.received)])
        if now - last > QUIET_SECONDS and all(viewer.is_complete for viewer in viewers):
            return
        await asyncio.sleep(0.1)


async def main(url: str, count: int, *, slow: bool) -> None:
    token = (await told()).strip()
    viewers = {f"viewer {n}": Viewer(url, token) for n in range(1, count + 1)}
    cutting = None
    if slow:
        viewers["paused"] = Viewer(url, token, narrow=True)
        viewers["cut off"] = Viewer(url, token)
        cutting = asyncio.create_task(cut_again_and_again(viewers["cut off"]))
    tasks = [asyncio.create_task(viewer.watch()) for viewer in viewers.values()]
    for viewer in viewers.values():
        await asyncio.wait_for(viewer.ready.wait(), 60)
    gc.freeze()
    print("ready", flush=True)
    while (word := (await told()).strip()) not in ("end", ""):
        if word == "settle":
            if cutting:
                cutting.cancel()
            await settle(viewers.values())
            print("settled", flush=True)
            continue
        awake = viewers["paused"].awake
        awake.clear() if word == "pause" else awake.set()
    if cutting:
        tasks.append(cutting)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    result = {name: {"seen": v.seen(), "codes": v.codes} for name, v in viewers.items()}
    print(json.dumps(result), flush=True)


async def told() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), slow=sys.argv[3:] == ["slow"]))
