"""A device's socket: readings and door events in, acknowledged only when durable.

Every frame is checked as a request would be: certificate, rate, fields.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError
from django.utils import timezone
from rest_framework.exceptions import (
    AuthenticationFailed,
    PermissionDenied,
    Throttled,
    ValidationError,
)

from access.door_events import record as record_door_event
from policies.authentication import CERTIFICATE_KEY, admit, identify
from policies.models import Device
from realtime.consumers.frames import parsed
from realtime.consumers.identity import NOT_ALLOWED, NOT_SIGNED_IN
from realtime.consumers.patience import PatientConsumer
from realtime.consumers.threads import on_thread
from sensors.ingest import AcceptedBatch, ingest

SUBPROTOCOL = "arduino"

# An exception as the contract's error, {"error": {...}}.
Describe = Callable[[Exception], dict[str, Any]]


class DeviceConsumer(PatientConsumer):
    """One device's socket."""

    def __init__(self, describe: Describe) -> None:
        super().__init__()
        self.describe = describe

    async def connect(self) -> None:
        offered = self.scope.get("subprotocols", [])
        await self.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            await on_thread(self.scope, self._identify)
        except (AuthenticationFailed, PermissionDenied) as error:
            await self._refuse(error)
        except DatabaseError as error:  # it is asked again with every frame
            await self.say({"type": "error", **self.describe(error)})

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            reply = await on_thread(self.scope, self._handle, text_data)
        except (AuthenticationFailed, PermissionDenied) as error:
            await self._refuse(error)
        except Exception as error:  # noqa: BLE001  # described and, when unknown, logged
            await self.say({"type": "error", **self.describe(error)})
        else:
            await self.say(reply)

    def _identify(self) -> Device:
        return identify(self.scope[CERTIFICATE_KEY], timezone.now())

    def _handle(self, text: str | None) -> dict[str, Any]:
        device, verdict = admit(self.scope[CERTIFICATE_KEY], timezone.now(), "ingest")
        if verdict and not verdict.allowed:
            raise Throttled(wait=verdict.retry_after)
        frame = parsed(text)
        kind = frame.get("type", "sensor_reading")
        if kind == "sensor_reading":
            return _acknowledge_reading(device, frame)
        if kind == "door_event":
            return {"type": "ack", "message_id": record_door_event(device, frame)}
        raise ValidationError({"type": ["Must be sensor_reading or door_event."]})

    async def _refuse(self, error: AuthenticationFailed | PermissionDenied) -> None:
        """Say why; when it is the certificate that is refused, there is nothing more to say."""
        await self.say({"type": "error", **self.describe(error)})
        try:
            with suppress(DatabaseError):
                await on_thread(self.scope, self._identify)
        except AuthenticationFailed:
            await self.close(NOT_SIGNED_IN)
        except PermissionDenied:
            await self.close(NOT_ALLOWED)


def _acknowledge_reading(device: Device, frame: dict[str, Any]) -> dict[str, Any]:
    accepted = ingest(device, frame)
    ack = {"type": "ack", "message_id": accepted.message_id}
    if isinstance(accepted, AcceptedBatch):
        reply = accepted.as_reply()
        return ack | {"accepted": reply["accepted"], "rejected": reply["rejected"]}
    return ack
