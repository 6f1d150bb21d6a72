"""What sockets of devices and viewers have in common: they do not write to who does not read."""

import asyncio
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from realtime.hub import TOO_SLOW, encode

ROOM_SECONDS = 60  # for what was sent before to be read


class PatientConsumer(AsyncWebsocketConsumer):
    """A socket that waits for room before it says more."""

    # None: a process has one receiver for all its sockets, and with the cache Redis away a sensor
    # can still tell what it measures.
    channel_layer_alias = "none"

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels does, without its look after old database connections on yet another thread
        for every frame: ours are used on threads that keep theirs."""
        await getattr(self, get_handler_name(message))(message)

    async def say(self, frame: dict[str, Any]) -> None:
        """Send a frame when there is room for it."""
        await self.say_text(encode(frame))

    async def say_text(self, text: str) -> None:
        """Send an encoded frame when there is room; end with 4408 when none comes in a minute."""
        outlet = self.scope.get("smarthome.outlet")
        if outlet and not outlet.has_room:
            try:
                await asyncio.wait_for(outlet.room(), ROOM_SECONDS)
            except TimeoutError:
                await self.close(TOO_SLOW)
                raise StopConsumer from None
            if not outlet.is_open:
                raise StopConsumer
        await self.send(text)
