"""`/ws`: a device's socket on the device face, a viewer's on the people face."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from policies import presence
from realtime import feed
from realtime.consumers.device import DeviceConsumer
from realtime.consumers.identity import ended
from realtime.consumers.receiver import Receiver
from realtime.consumers.threads import run_on
from realtime.consumers.viewer import CHECK_SECONDS, ViewerConsumer
from realtime.feed import Frame
from realtime.hub import Hub
from realtime.streams import NotRecorded
from realtime.subscription import zones_now
from smarthome import faces
from smarthome.errors import describe
from smarthome.threads import Receive, Scope, Send

T = TypeVar("T")
logger = logging.getLogger(__name__)

PATHS = ("/ws", "/ws/client")
NO_SUCH_PATH = 4404
ZONES_CHANGED = 4409
SILENCE_SECONDS = 1  # how often silent devices are looked for


class Sockets:
    """The ASGI application of `websocket` scopes, and the watch over who is connected."""

    def __init__(self, devices: ThreadPoolExecutor) -> None:
        self.hub = Hub()
        self.executors = {
            # A device's frames share the one thread, and so the connection, of its requests.
            faces.DEVICE: devices,
            faces.PEOPLE: ThreadPoolExecutor(1, thread_name_prefix="live"),
        }
        self.applications = {
            faces.DEVICE: DeviceConsumer.as_asgi(describe=describe),
            faces.PEOPLE: ViewerConsumer.as_asgi(describe=describe, hub=self.hub),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in PATHS:
            # Channels' router would raise, and the browser would see a 500.
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": NO_SUCH_PATH})
            return
        face = scope["smarthome.face"]
        scope["smarthome.executor"] = self.executors[face]
        await self.applications[face](scope, receive, send)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to the feed and keep watch, from now until the loop ends."""
        self.tasks = [loop.create_task(self._end_lost_identities())]
        if settings.EMBEDDED:

            def show(frames: Sequence[Frame]) -> None:
                loop.call_soon_threadsafe(self.hub.take, frames)

            feed.listen(show)
            self.tasks.append(loop.create_task(self._notice_silence()))
        else:  # the worker announces frames, and notices silence
            receiver = Receiver(self.hub, self.executors[faces.PEOPLE])
            self.tasks.append(loop.create_task(receiver.run()))

    async def _end_lost_identities(self) -> None:
        """Expiry, another role, a deactivated user: the socket closes within a second."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if not self.hub.viewers:
                continue
            with _logged():
                codes = await self._ask(ended, {viewer.identity for viewer in self.hub.viewers})
                for viewer in list(self.hub.viewers):
                    if viewer.identity in codes:
                        await viewer.close(codes[viewer.identity])
                await self._follow_zones()

    async def _follow_zones(self) -> None:
        """Who hears of a zone to which a device has come, or from which one has gone, is ended: it
        comes back, subscribes and is told all of it."""
        zoned = [viewer for viewer in self.hub.viewers if viewer.subscription.zones]
        if not zoned:
            return
        zones = await self._ask(lambda _: zones_now(), None)
        for viewer in zoned:
            if viewer.subscription.resolved(zones) != viewer.subscription:
                await viewer.close(ZONES_CHANGED)

    async def _notice_silence(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            with _logged():
                # What the doors' thread commits itself does not make it forget what it has read.
                await self._ask(presence.keep, timezone.now(), faces.DEVICE)

    async def _ask(self, work: Callable[[Any], T], about: Any, face: str = faces.PEOPLE) -> T:
        return await run_on(self.executors[face], lambda: work(about))


@contextmanager
def _logged() -> Iterator[None]:
    """A database that is away for a moment must not end the watch."""
    try:
        yield
    except (DatabaseError, NotRecorded):
        logger.exception("the watch over sockets missed a round")
