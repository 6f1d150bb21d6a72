"""What a door reports of itself: forced, held open, closed, tampered with, a request to exit."""

import math
import uuid
from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.serializers import ChoiceField

from access.models import DoorEvent
from policies import presence
from policies.fields import StrictSerializer, Text, Uuid
from policies.ids import uuid7
from policies.models import Device
from policies.moments import parse_moment, to_milliseconds, utc_text
from realtime import feed, streams
from realtime.insert import insert_new

ABOUT_THE_FRAME = ("type", "device_id", "timestamp", "event_id")
MOST_FIELDS = 16
LONGEST_TEXT = 200


class DoorEventSerializer(StrictSerializer):
    """A door event as a device sends it; its own further fields are kept beside it."""

    device_id = Text(required=False)
    event = ChoiceField(choices=DoorEvent.Event.choices)
    event_id = Uuid(required=False)


FIELDS = DoorEventSerializer()


def record(device: Device, body: dict[str, Any]) -> str:
    """Make a door's event durable; its id. The same `event_id` is the same row."""
    event = FIELDS.run_validation(body)
    if event.get("device_id", device.device_id) != device.device_id:
        raise PermissionDenied("device_id is not the certificate's device.")
    if device.kind != Device.Kind.DOOR:
        raise PermissionDenied("Only a door has door events.")
    at = to_milliseconds(timezone.now())
    claim = event.get("event_id")
    own = uuid.uuid5(uuid.NAMESPACE_URL, f"{device.device_id}/{claim}") if claim else uuid7(at)
    entry = {
        "id": str(own),
        "timestamp": utc_text(at),
        "device_id": device.device_id,
        "device_name": device.name,
        "event": event["event"],
        "fields": own_fields(body),
    }
    streams.publish("door_events", [entry])
    return str(own)


def own_fields(body: dict[str, Any]) -> dict[str, Any]:
    """The device's own fields: short texts, finite numbers and flags; at most 16."""
    kept = {k: v for k, v in body.items() if k not in ABOUT_THE_FRAME and _is_plain(k, v)}
    return dict(list(kept.items())[:MOST_FIELDS])


def write(entries: Sequence[streams.Entry]) -> None:
    """The sink: store door events and show the new ones."""
    by_id = {entry["id"]: entry for entry in entries}
    rows = [
        DoorEvent(
            log_id=entry["id"],
            timestamp=parse_moment(entry["timestamp"]),
            device_id=entry["device_id"],
            device_name=entry["device_name"],
            event=entry["event"],
            fields=entry["fields"],
        )
        for entry in by_id.values()
    ]
    new = insert_new(rows, "log_id")
    feed.announce(
        [
            feed.frame("door_event", entry["device_id"], entry["timestamp"], entry["fields"])
            for id, entry in by_id.items()
            if id in new
        ]
    )
    presence.seen({e["device_id"]: parse_moment(e["timestamp"]) for e in entries})


def _is_plain(name: str, value: Any) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    texts = [name, value] if isinstance(value, str) else [name]
    return isinstance(value, str | int | float | bool) and all(map(_is_clean, texts))


def _is_clean(text: str) -> bool:
    """Short, without NUL, without half surrogates: every database takes it."""
    return (
        len(text) <= LONGEST_TEXT
        and "\0" not in text
        and not any("\ud800" <= character <= "\udfff" for character in text)
    )
