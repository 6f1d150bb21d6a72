"""The live process's end of the relay: every frame once and in order, holes filled."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from channels.layers import get_channel_layer
from django.db import DatabaseError
from redis import RedisError

from realtime import feed
from realtime.consumers.snapshot import missed
from realtime.consumers.threads import run_on
from realtime.feed import Frame
from realtime.hub import Hub
from realtime.relay import GROUP

logger = logging.getLogger(__name__)

# The layer forgets members after a day; a group that Redis has lost is joined again as soon.
RENEW_SECONDS = 10.0
QUIET_SECONDS = 1.0  # without a message: ask the database whether one was lost


class Receiver:
    """One per process; shows frames to the hub's viewers, on the event loop."""

    def __init__(self, hub: Hub, executor: ThreadPoolExecutor) -> None:
        self.hub, self.executor = hub, executor
        self.layer: Any = get_channel_layer()
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.feed_id, self.seq = "", 0  # the feed, and up to where everything was shown

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
        if not self.feed_id:
            where = await self._ask(feed.position)
            self.feed_id, self.seq = where.feed_id, where.seq
        try:
            message = await asyncio.wait_for(self.messages.get(), QUIET_SECONDS)
        except TimeoutError:
            where = await self._ask(feed.position)
            if (where.feed_id, where.seq) != (self.feed_id, self.seq):
                await self._fill()
            return
        if message["from"] > self.seq + 1:
            await self._fill()
        self._pass_on([one for one in message["frames"] if one["seq"] > self.seq], message["to"])

    async def _fill(self) -> None:
        """A message was lost: read from the database what it said."""
        page = None
        while not (page and page.is_last):
            page = await self._ask(missed, self.feed_id, self.seq)
            if page is None:  # forgotten, or another database: viewers find out when they resume
                self.feed_id = ""
                self.hub.end_all()
                return
            self._pass_on(page.frames, page.seq)

    def _pass_on(self, frames: Sequence[Frame], up_to: int) -> None:
        if frames:
            self.hub.take(frames)
        self.seq = max(self.seq, up_to)

    async def _listen(self) -> None:
        """Bring messages into the queue, whatever happens to Redis."""
        while True:
            try:
                channel = await self.layer.new_channel()
                await self._receive(channel)
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("the channel layer is away: %s", error)
                await asyncio.sleep(QUIET_SECONDS)

    async def _receive(self, channel: str) -> None:
        renewed_at = float("-inf")
        while True:
            if time.monotonic() - renewed_at > RENEW_SECONDS:
                await asyncio.wait_for(self.layer.group_add(GROUP, channel), RENEW_SECONDS)
                renewed_at = time.monotonic()
            try:
                message = await asyncio.wait_for(self.layer.receive(channel), RENEW_SECONDS)
            except TimeoutError:
                continue
            self.messages.put_nowait(message)

    async def _ask(self, work: Callable[..., Any], *about: Any) -> Any:
        return await run_on(self.executor, lambda: work(*about))
