"""The live process's end of the relay: every frame once and in order, holes filled."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from channels.layers import get_channel_layer
from django.db import DatabaseError

from realtime import feed
from realtime.consumers.snapshot import replay
from realtime.feed import Frame
from realtime.relay import GROUP

logger = logging.getLogger(__name__)

# The layer forgets members after a day; a group that Redis has lost is joined again as soon.
RENEW_SECONDS = 10.0
QUIET_SECONDS = 1.0  # without a message: ask the database whether one was lost


class Receiver:
    """One per process; `show` takes frames on the event loop."""

    def __init__(
        self, show: Callable[[Sequence[Frame]], None], executor: ThreadPoolExecutor
    ) -> None:
        self.show, self.executor = show, executor
        self.layer: Any = get_channel_layer()
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.seq: int | None = None  # up to where everything was shown

    async def run(self) -> None:
        """Receive until cancelled."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                try:
                    await self._step()
                except DatabaseError as error:
                    logger.warning("the feed waits for the database: %s", error)
                    await asyncio.sleep(QUIET_SECONDS)
        finally:
            listening.cancel()

    async def _step(self) -> None:
        if self.seq is None:
            self.seq = (await self._ask(feed.position)).seq
        try:
            message = await asyncio.wait_for(self.messages.get(), QUIET_SECONDS)
        except TimeoutError:
            where = await self._ask(feed.position)
            if where.seq > self.seq:
                await self._fill(where.seq)
            return
        if message["from"] > self.seq + 1:
            await self._fill(message["from"] - 1)
        self._pass_on([one for one in message["frames"] if one["seq"] > self.seq], message["to"])

    async def _fill(self, up_to: int) -> None:
        """A message was lost: read from the database what it said."""
        missed = await self._ask(replay, self.seq, up_to)
        self._pass_on(missed, up_to)

    def _pass_on(self, frames: Sequence[Frame], up_to: int) -> None:
        if frames:
            self.show(frames)
        self.seq = max(self.seq or 0, up_to)

    async def _listen(self) -> None:
        """Bring messages into the queue, whatever happens to Redis."""
        while True:
            try:
                channel = await self.layer.new_channel()
                await self._receive(channel)
            except (OSError, TimeoutError) as error:
                logger.warning("the channel layer is away: %s", error)
                await asyncio.sleep(QUIET_SECONDS)

    async def _receive(self, channel: str) -> None:
        renewed_at = float("-inf")
        while True:
            if time.monotonic() - renewed_at > RENEW_SECONDS:
                await self.layer.group_add(GROUP, channel)
                renewed_at = time.monotonic()
            try:
                message = await asyncio.wait_for(self.layer.receive(channel), RENEW_SECONDS)
            except TimeoutError:
                continue
            self.messages.put_nowait(message)

    async def _ask(self, work: Callable[..., Any], *about: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, work, *about)
