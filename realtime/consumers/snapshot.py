"""What a viewer needs to know before live frames mean anything to it. Runs on a thread."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from access.models import AccessLog
from access.serializers import LogRowSerializer
from policies.models import Device
from policies.serializers.devices import DeviceSerializer
from realtime import feed
from realtime.feed import READING, Frame
from realtime.subscription import EVERYTHING, Subscription
from sensors import history

LAST_EVENTS = 50
PAGE = 100  # events; an hour of a busy house in one piece would hold up its doors


def snapshot(about: Subscription = EVERYTHING, *, with_uid: bool) -> dict[str, Any]:
    """The `snapshot` frame. Its number is read first: what happens meanwhile comes live again.

    Of devices that it is not about it says nothing; what kinds of frames are wanted changes it not.
    """
    seq = feed.position().seq
    devices, events = Device.objects.with_status(), AccessLog.objects.all()
    latest = history.latest_of_all()
    if about.ids is not None:
        devices, events = devices.filter(pk__in=about.ids), events.filter(device_id__in=about.ids)
        latest = {key: reading for key, reading in latest.items() if key in about.ids}
    return {
        "type": "snapshot",
        "seq": seq,
        "devices": DeviceSerializer(devices, many=True, context={"now": timezone.now()}).data,
        "latest": latest,
        "events": LogRowSerializer(
            events[:LAST_EVENTS], many=True, context={"with_uid": with_uid}
        ).data,
    }


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what was missed, up to `seq`; the last one brings the newest readings, too."""

    frames: list[Frame]
    seq: int
    is_last: bool


def missed(feed_id: str, after: int) -> Page | None:
    """What comes after a number, a page of it; None when the feed does not know that any more."""
    where = feed.position()
    if feed_id != where.feed_id or not where.pruned_to <= after <= where.seq:
        return None
    events = feed.events_between(after, where.seq, PAGE)
    if len(events) == PAGE:
        return Page(events, events[-1]["seq"], is_last=False)
    readings = [
        feed.frame(READING, device_id, reading["timestamp"], reading) | {"seq": where.seq}
        for device_id, reading in history.latest_of_all().items()
    ]
    return Page([*events, *readings], where.seq, is_last=True)
