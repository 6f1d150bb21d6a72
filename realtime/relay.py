"""From the workers to the processes that hold the sockets: one message a batch.

The channel layer drops messages silently when a receiver is slow or Redis is away. Every message
therefore says which numbers it covers; who finds a hole reads the events from the database.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

from channels.layers import get_channel_layer
from redis import RedisError

from realtime.feed import READING, Frame

logger = logging.getLogger(__name__)

GROUP = "feed"
SEND_SECONDS = 2.0
MOST_WAITING = 5  # messages; a frozen Redis would have a connection for each


class Relay:
    """The worker's end. Its event loop lives on a thread of its own: `async_to_sync` would open
    a new connection for every message."""

    def __init__(self) -> None:
        self.layer: Any = get_channel_layer()
        self.waiting = 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="relay", daemon=True).start()

    def send(self, frames: Sequence[Frame]) -> None:
        """Hand over a committed group of frames; what fails is found as a hole later."""
        message = {
            "type": "feed.frames",
            "from": frames[0]["seq"],
            "to": frames[-1]["seq"],
            "frames": coalesced(frames),
        }
        asyncio.run_coroutine_threadsafe(self._send(message), self.loop)

    async def _send(self, message: dict[str, Any]) -> None:
        if self.waiting >= MOST_WAITING:
            return  # whoever comes through next shows the hole
        self.waiting += 1
        try:
            await asyncio.wait_for(self.layer.group_send(GROUP, message), SEND_SECONDS)
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("viewers will hear of %s later: %s", message["to"], error)
        finally:
            self.waiting -= 1


def coalesced(frames: Sequence[Frame]) -> list[Frame]:
    """Every event, and of readings the newest per device, in order."""
    readings = {one["device_id"]: one for one in frames if one["type"] == READING}
    events = [one for one in frames if one["type"] != READING]
    return sorted([*events, *readings.values()], key=lambda one: one["seq"])
