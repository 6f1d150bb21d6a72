"""A TCP proxy between devices and nginx: cuts an answer after its request went through, or swallows
everything without closing. It sees only TLS, so it counts: what a client sends after the handshake
is a request, what comes next from the house is the beginning of an answer.
"""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

HANDSHAKE = 2  # pieces that a client sends before its first request
PIECE = 65536


@dataclass
class Proxy:
    """Passes connections on to `target`, a port of this machine."""

    target: int
    chance: random.Random
    share: float = 0.0  # of answers that are cut
    cuts: int = 0
    port: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: a black hole

    @contextmanager
    def running(self) -> Iterator[None]:
        """In a thread of its own for as long as the block lasts."""
        started = threading.Event()
        self.loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self.loop.run_until_complete, args=[self._serve(started)], name="proxy"
        )
        thread.start()
        started.wait(10)
        try:
            yield
        finally:
            self.loop.call_soon_threadsafe(self._ended.set)
            thread.join()
            self.loop.close()

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Nothing passes, and nobody is told."""
        self.loop.call_soon_threadsafe(self.open.clear)
        try:
            yield
        finally:
            self.loop.call_soon_threadsafe(self.open.set)

    async def _serve(self, started: threading.Event) -> None:
        self._ended = asyncio.Event()
        self.open.set()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._ended.wait()
        server.close()
        lines = asyncio.all_tasks() - {asyncio.current_task()}
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, out = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, writer, out)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(line.requests(reader), line.answers(there))
        writer.transport.abort()
        out.transport.abort()


@dataclass
class _Line:
    """One connection in both directions."""

    proxy: Proxy
    to_client: asyncio.StreamWriter
    to_house: asyncio.StreamWriter
    pieces: int = 0
    doomed: bool = False

    async def requests(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                await self.proxy.open.wait()
                self.pieces += 1
                if self.pieces > HANDSHAKE and self.proxy.chance.random() < self.proxy.share:
                    self.doomed = True
                self.to_house.write(piece)
                await self.to_house.drain()
        self.to_house.close()

    async def answers(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                await self.proxy.open.wait()
                if self.doomed:
                    self.proxy.cuts += 1
                    self.to_client.transport.abort()
                    self.to_house.transport.abort()
                    return
                self.to_client.write(piece)
                await self.to_client.drain()
        self.to_client.close()
