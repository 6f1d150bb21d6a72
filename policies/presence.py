"""Whether devices are there: each by its own rhythm.

A sensor that speaks every second is missed after ten, one that speaks every ten minutes after
half an hour, a door that nobody uses at night not before morning. One event says that a device
went, one that it came back.
"""

import datetime as dt
import threading
from collections.abc import Mapping, Sequence

from django.utils import timezone

from policies.models import Device, Presence
from policies.moments import parse_moment, to_milliseconds, utc_text
from realtime import feed, streams

# A longer pause than usual raises the rhythm quickly (five of them by two thirds), a shorter one
# lowers it slowly: a late message is no outage, and after an outage the rhythm comes back.
GROWS, SHRINKS = 0.2, 0.05
MISSED = 3  # so many rhythms of silence, and a little
GRACE = dt.timedelta(seconds=5)
LEAST, MOST = dt.timedelta(seconds=10), dt.timedelta(hours=26)
FIRST_RHYTHM = {Device.Kind.SENSOR: 60.0, Device.Kind.DOOR: 8 * 3600.0}  # seconds


class Heard:
    """When devices were heard since they were last noted. One per process, used by its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, dt.datetime] = {}

    def add(self, devices: Mapping[str, dt.datetime]) -> None:
        """Devices spoke at these moments."""
        with self._lock:
            for device_id, at in devices.items():
                self._last[device_id] = max(at, self._last.get(device_id, at))

    def take(self) -> dict[str, dt.datetime]:
        """What was added since the last time."""
        with self._lock:
            last, self._last = self._last, {}
        return last


heard = Heard()


def seen(devices: Mapping[str, dt.datetime]) -> None:
    """Devices were heard. Costs nothing: `keep` writes it down within a second, for all at once."""
    heard.add(devices)


def keep(now: dt.datetime) -> None:
    """Write down who was heard, then find who is silent. The server calls it every second."""
    entries = [{"device_id": pk, "heard_at": utc_text(at)} for pk, at in heard.take().items()]
    silent = Presence.objects.filter(online=True, silent_after__lt=now).exclude(
        pk__in=[entry["device_id"] for entry in entries]
    )
    entries += [
        {"device_id": pk, "silent_at": utc_text(now)} for pk in silent.values_list("pk", flat=True)
    ]
    if entries:
        streams.record("presence", entries)


def write(entries: Sequence[streams.Entry]) -> None:
    """The sink: note who was heard and who is silent; announce who came back and who went.

    Devices that are no longer on record are passed over.
    """
    spoke = {e["device_id"]: parse_moment(e["heard_at"]) for e in entries if "heard_at" in e}
    known = {p.device_id: p for p in Presence.objects.filter(device_id__in=spoke)}
    for device in Device.objects.filter(pk__in=set(spoke) - set(known)):
        known[device.pk] = Presence(
            device=device,
            last_seen=spoke[device.pk],
            rhythm_seconds=FIRST_RHYTHM[Device.Kind(device.kind)],
            online=False,
        )
    back = [device_id for device_id, presence in known.items() if not presence.online]
    for device_id, presence in known.items():
        hear(presence, spoke[device_id])
    Presence.objects.bulk_create(
        [known[device_id] for device_id in sorted(known)],
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["last_seen", "rhythm_seconds", "silent_after", "online"],
    )
    announce([*back, *_went_silent(entries)])


def hear(presence: Presence, at: dt.datetime) -> None:
    """The device spoke at that moment: follow its rhythm and say until when silence is normal."""
    pause = (at - presence.last_seen).total_seconds()
    if pause > 0:
        weight = GROWS if pause > presence.rhythm_seconds else SHRINKS
        presence.rhythm_seconds += weight * (pause - presence.rhythm_seconds)
        presence.last_seen = at
    silence = dt.timedelta(seconds=MISSED * presence.rhythm_seconds) + GRACE
    presence.silent_after = presence.last_seen + min(max(silence, LEAST), MOST)
    presence.online = True


def _went_silent(entries: Sequence[streams.Entry]) -> list[str]:
    """Mark the silent devices, unless they spoke since they were found silent."""
    return [
        entry["device_id"]
        for entry in entries
        if "silent_at" in entry
        and Presence.objects.filter(
            pk=entry["device_id"], online=True, silent_after__lt=entry["silent_at"]
        ).update(online=False)
    ]


def announce(device_ids: Sequence[str]) -> None:
    """Show the state of devices to who watches."""
    if not device_ids:
        return
    from policies.serializers.devices import DeviceSerializer  # it shows what this module keeps

    now = utc_text(to_milliseconds(timezone.now()))
    devices = Device.objects.with_status().filter(pk__in=device_ids)
    rows = DeviceSerializer(devices, many=True).data
    feed.announce([feed.frame("device_status", row["device_id"], now, dict(row)) for row in rows])
