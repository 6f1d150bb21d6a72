"""Accept readings from a device: check, stamp with a time, make durable, in that order.

Used by HTTP requests and by WebSocket frames alike. ValidationError and PermissionDenied say what
is wrong with a reading, streams.NotRecorded that nobody took it.
"""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError

from policies.ids import uuid7
from policies.models import Device
from policies.moments import parse_moment, to_milliseconds, utc_text
from realtime import streams
from sensors.models import METRICS, SensorReading
from sensors.serializers import BatchSerializer, ReadingSerializer
from sensors.store import RAW_KEPT

# How far a device's clock may be from ours to be believed.
BEHIND = dt.timedelta(days=7)
AHEAD = dt.timedelta(minutes=5)

RANGES = {"temperature": (-40, 85), "humidity": (0, 100), "pressure": (300, 1100)}
MAX_DEVICE_TIME = 100  # characters

# Building a serializer costs more than running it, and a batch runs it 500 times. It keeps no
# state between runs.
READING = ReadingSerializer()
BATCH = BatchSerializer()

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Accepted:
    """One reading that is on the disk."""

    device_id: str
    timestamp: str
    message_id: str

    def as_reply(self) -> dict[str, Any]:
        return {
            "status": "accepted",
            "device_id": self.device_id,
            "timestamp": self.timestamp,
            "message_id": self.message_id,
        }


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """The readings of a batch that are on the disk, and those that were refused, by index."""

    accepted: int
    rejected: dict[int, APIException]
    message_id: str

    def as_reply(self) -> dict[str, Any]:
        return {
            "status": "accepted",
            "accepted": self.accepted,
            "rejected": [
                {"index": index, "code": _code(error), "message": _words(error.detail)}
                for index, error in self.rejected.items()
            ],
            "message_id": self.message_id,
        }


def ingest(device: Device, body: Any) -> Accepted | AcceptedBatch:
    """One reading, or a batch of them under `readings`."""
    if body.get("readings") is None:
        return accept(device, body)
    return accept_batch(device, body)


def accept(device: Device, body: Any) -> Accepted:
    """Accept one reading; when this returns, it is durable."""
    at = to_milliseconds(timezone.now())
    reading = _checked(device, body)
    own = _own_time(reading)
    entry = _entry(device, reading, own if _believable(own, at) else None, at)
    streams.publish("sensors", [entry])
    return Accepted(device.device_id, entry["time"], entry["id"])


def accept_batch(device: Device, body: Any) -> AcceptedBatch:
    """Accept what is right in a batch; ValidationError when nothing is."""
    at = to_milliseconds(timezone.now())
    batch = BATCH.run_validation(body)
    _refuse_other_identity(device, batch)
    readings, rejected = _sorted_out(device, batch["readings"])
    if not readings:
        raise ValidationError({"readings": {str(i): e.detail for i, e in rejected.items()}})
    entries = [
        _entry(device, reading, own, at)
        for reading, own in zip(readings, _batch_times(readings, at), strict=True)
    ]
    streams.publish("sensors", entries)
    return AcceptedBatch(len(entries), rejected, entries[0]["id"])


def reading_id(device_id: str, reading: Fields) -> uuid.UUID | None:
    """The same claim of a device is the same id; None when it makes no claim."""
    if "reading_id" in reading:
        claim = f"{device_id}/{reading['reading_id']}"
    elif "boot_id" in reading:
        claim = f"{device_id}/{reading['boot_id']}/{reading['seq']}"
    else:
        return None
    return uuid.uuid5(uuid.NAMESPACE_URL, claim)


def flags_of(reading: Fields) -> list[str]:
    """What is odd about a reading. It is kept all the same."""
    flags = [
        f"{metric}_out_of_range"
        for metric, (least, greatest) in RANGES.items()
        if metric in reading and not least <= reading[metric] <= greatest
    ]
    if all(reading.get(metric) == 0 for metric in METRICS):
        flags.append("sensor_missing")
    return flags


def _sorted_out(
    device: Device, readings: Sequence[Any]
) -> tuple[list[Fields], dict[int, APIException]]:
    """The readings that are right, and by index what is wrong with the others."""
    right, wrong = [], {}
    for index, raw in enumerate(readings):
        try:
            right.append(_checked(device, raw))
        except APIException as error:
            wrong[index] = error
    return right, wrong


def _checked(device: Device, raw: Any) -> Fields:
    reading: Fields = READING.run_validation(raw)
    _refuse_other_identity(device, reading)
    return reading


def _refuse_other_identity(device: Device, fields: Fields) -> None:
    if fields.get("device_id", device.device_id) != device.device_id:
        raise PermissionDenied("device_id is not the certificate's device.")


def _own_time(reading: Fields) -> dt.datetime | None:
    """The time a device gave, if it can be read at all."""
    text = reading.get("timestamp")
    try:
        return parse_moment(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _believable(own: dt.datetime | None, at: dt.datetime) -> bool:
    return own is not None and at - BEHIND <= own <= at + AHEAD


def _batch_times(readings: list[Fields], at: dt.datetime) -> list[dt.datetime | None]:
    """The readings' own times; None where the server's stands in.

    A batch whose newest time is believable comes from a clock that is right, so its older times
    are believed as far back as raw readings are kept.
    """
    own = [_own_time(reading) for reading in readings]
    newest = max((time for time in own if time), default=None)
    if not _believable(newest, at):
        return [None] * len(readings)
    return [time if time and time >= at - RAW_KEPT else None for time in own]


def _entry(
    device: Device, reading: Fields, own: dt.datetime | None, at: dt.datetime
) -> streams.Entry:
    """What is published: plain values. `own` is the device's time if it is believed."""
    claimed = reading_id(device.device_id, reading)
    return {
        "id": str(claimed or uuid7(at)),
        "device_made_id": claimed is not None,
        "time": utc_text(own or at),
        "device_id": device.device_id,
        "temperature": reading.get("temperature"),
        "humidity": reading.get("humidity"),
        "pressure": reading.get("pressure"),
        "metrics": reading.get("metrics", {}),
        "time_source": str(
            SensorReading.TimeSource.DEVICE if own else SensorReading.TimeSource.SERVER
        ),
        "device_time": None if own else _as_sent(reading.get("timestamp")),
        "received_at": utc_text(at),
        "flags": flags_of(reading),
    }


def _as_sent(timestamp: Any) -> str | None:
    """A time that was not believed, as a text that any database takes."""
    if timestamp is None:
        return None
    text = timestamp if isinstance(timestamp, str) else json.dumps(timestamp)
    return text[:MAX_DEVICE_TIME].replace("\0", "?").encode(errors="replace").decode()


def _code(error: APIException) -> str:
    return "AUTHORIZATION_ERROR" if isinstance(error, PermissionDenied) else "VALIDATION_ERROR"


def _words(detail: Any) -> str:
    if isinstance(detail, dict):
        return " ".join(f"{name}: {_words(inner)}" for name, inner in detail.items())
    return " ".join(map(str, detail)) if isinstance(detail, list) else str(detail)
