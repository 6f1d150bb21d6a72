"""A device's socket: readings and door events in, acknowledged only when durable.

Every frame is checked as a request would be: certificate, rate, fields. A door whose schedule keeps
it open is told so again and again, each time for a while: one that hears nothing more shuts.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from channels.exceptions import StopConsumer
from django.db import DatabaseError
from django.utils import timezone
from rest_framework.exceptions import (
    AuthenticationFailed,
    PermissionDenied,
    Throttled,
    ValidationError,
)

from access import clock
from access.door_events import record as record_door_event
from policies.authentication import CERTIFICATE_KEY, admit, identify
from policies.ids import uuid7
from policies.models import Device
from realtime.consumers.frames import parsed
from realtime.consumers.identity import NOT_ALLOWED, NOT_SIGNED_IN
from realtime.consumers.patience import PatientConsumer
from realtime.consumers.threads import on_thread
from sensors.ingest import AcceptedBatch, ingest

logger = logging.getLogger(__name__)

SUBPROTOCOL = "arduino"
# Seconds. How often it is looked whether a door stays open, and how long it does when it was told.
TELL_EVERY, OPEN_FOR = 10, 25

# An exception as the contract's error, {"error": {...}}.
Describe = Callable[[Exception], dict[str, Any]]


class DeviceConsumer(PatientConsumer):
    """One device's socket."""

    def __init__(self, describe: Describe) -> None:
        super().__init__()
        self.describe = describe
        self._telling: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        offered = self.scope.get("subprotocols", [])
        await self.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        device = None
        try:
            device = await on_thread(self.scope, self._identify)
        except (AuthenticationFailed, PermissionDenied) as error:
            if await self._refuse(error):
                return
        except DatabaseError as error:  # it is asked again with every frame
            await self.say({"type": "error", **self.describe(error)})
        if device is None or device.kind == Device.Kind.DOOR:
            self._telling = asyncio.create_task(self._tell())

    async def __call__(self, *arguments: Any) -> None:
        """Whatever ends the socket ends the telling."""
        try:
            await super().__call__(*arguments)
        finally:
            if self._telling:
                self._telling.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            reply = await on_thread(self.scope, self._handle, text_data)
        except (AuthenticationFailed, PermissionDenied) as error:
            await self._refuse(error)
        except Exception as error:  # noqa: BLE001  # described and, when unknown, logged
            await self.say({"type": "error", **self.describe(error)})
        else:
            if reply:
                await self.say(reply)

    async def _tell(self) -> None:
        """Unlock a door for as long as its schedule keeps it open; lock it when that ends early."""
        was_open = False
        with suppress(StopConsumer):
            while True:
                try:
                    is_open = await on_thread(self.scope, self._stays_open)
                except (AuthenticationFailed, PermissionDenied) as error:
                    if await self._refuse(error):
                        return
                except DatabaseError:
                    pass  # nothing is said, and a door that was open soon shuts
                except Exception:
                    logger.exception("a door could not be told whether it stays open")
                else:
                    if is_open:
                        await self.say(_command("unlock", seconds=OPEN_FOR))
                    elif was_open:
                        await self.say(_command("lock"))
                    was_open = is_open
                # Not all together: those that lost their line at once come back at once.
                await asyncio.sleep(TELL_EVERY * random.uniform(0.8, 1))  # noqa: S311  # no secret

    def _stays_open(self) -> bool:
        door, now = self._identify().door_state, timezone.now()
        if door is None or not door.unlocked_windows:
            return False
        return door.stays_open(timezone.localtime(now), clock_trusted=clock.is_right(now))

    def _identify(self) -> Device:
        return identify(self.scope[CERTIFICATE_KEY], timezone.now())

    def _handle(self, text: str | None) -> dict[str, Any] | None:
        """The answer to a frame; the result of a command has none."""
        device, verdict = admit(self.scope[CERTIFICATE_KEY], timezone.now(), "ingest")
        if verdict and not verdict.allowed:
            raise Throttled(wait=verdict.retry_after)
        frame = parsed(text)
        kind = frame.get("type", "sensor_reading")
        if kind == "sensor_reading":
            return _acknowledge_reading(device, frame)
        if kind == "door_event":
            return {"type": "ack", "message_id": record_door_event(device, frame)}
        if kind == "command_result":
            return None
        raise ValidationError({"type": ["Must be sensor_reading, door_event or command_result."]})

    async def _refuse(self, error: AuthenticationFailed | PermissionDenied) -> bool:
        """Say why; when it is the certificate that is refused, there is nothing more to say: then
        it is closed, and True."""
        await self.say({"type": "error", **self.describe(error)})
        try:
            with suppress(DatabaseError):
                await on_thread(self.scope, self._identify)
        except AuthenticationFailed:
            await self.close(NOT_SIGNED_IN)
        except PermissionDenied:
            await self.close(NOT_ALLOWED)
        else:
            return False
        return True


def _command(command: str, **more: Any) -> dict[str, Any]:
    return {"type": "command", "id": str(uuid7(timezone.now())), "command": command, **more}


def _acknowledge_reading(device: Device, frame: dict[str, Any]) -> dict[str, Any]:
    accepted = ingest(device, frame)
    ack = {"type": "ack", "message_id": accepted.message_id}
    if isinstance(accepted, AcceptedBatch):
        reply = accepted.as_reply()
        return ack | {"accepted": reply["accepted"], "rejected": reply["rejected"]}
    return ack
