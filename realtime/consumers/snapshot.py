"""What a viewer needs to know before live frames mean anything to it. Runs on a thread."""

from typing import Any

from django.utils import timezone

from access.models import AccessLog
from access.serializers import LogRowSerializer
from policies.models import Device
from policies.serializers import DeviceSerializer
from realtime import feed
from realtime.feed import READING, Frame
from sensors import history

LAST_EVENTS = 50


def snapshot(*, with_uid: bool) -> dict[str, Any]:
    """The `snapshot` frame. Its number is read first: what happens meanwhile comes live again."""
    seq = feed.position().seq
    devices = Device.objects.with_status()
    events = AccessLog.objects.all()[:LAST_EVENTS]
    return {
        "type": "snapshot",
        "seq": seq,
        "devices": DeviceSerializer(devices, many=True, context={"now": timezone.now()}).data,
        "latest": history.latest_of_all(),
        "events": LogRowSerializer(events, many=True, context={"with_uid": with_uid}).data,
    }


def replay(after: int, up_to: int) -> list[Frame]:
    """What a viewer missed: every event, and of readings the newest per device."""
    readings = [
        feed.frame(READING, device_id, reading["timestamp"], reading) | {"seq": up_to}
        for device_id, reading in history.latest_of_all().items()
    ]
    return [*feed.events_between(after, up_to), *readings]
