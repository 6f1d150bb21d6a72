"""Whether devices are there: each by its own rhythm.

A sensor that speaks every second is missed after ten, one that speaks every ten minutes after
half an hour, a door that nobody uses at night not before morning. One event says that a device
went, one that it came back.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

from django.utils import timezone

from policies.models import Device, Presence
from policies.moments import to_milliseconds, utc_text
from realtime import feed, streams

# A longer pause than usual raises the rhythm quickly (five of them by two thirds), a shorter one
# lowers it slowly: a late message is no outage, and after an outage the rhythm comes back.
GROWS, SHRINKS = 0.2, 0.05
MISSED = 3  # so many rhythms of silence, and a little
GRACE = dt.timedelta(seconds=5)
LEAST, MOST = dt.timedelta(seconds=10), dt.timedelta(hours=26)
FIRST_RHYTHM = {Device.Kind.SENSOR: 60.0, Device.Kind.DOOR: 8 * 3600.0}  # seconds


def seen(devices: Mapping[str, dt.datetime]) -> None:
    """Note when devices were heard; announce those that came back.

    Runs inside the caller's transaction. Devices that are no longer on record are passed over.
    """
    known = {p.device_id: p for p in Presence.objects.filter(device_id__in=devices)}
    missing = set(devices) - set(known)
    for device in Device.objects.filter(pk__in=missing) if missing else ():
        known[device.pk] = Presence(
            device=device,
            last_seen=devices[device.pk],
            rhythm_seconds=FIRST_RHYTHM[Device.Kind(device.kind)],
            online=False,
        )
    back = [device_id for device_id, presence in known.items() if not presence.online]
    for device_id, presence in known.items():
        hear(presence, devices[device_id])
    Presence.objects.bulk_create(
        [known[device_id] for device_id in sorted(known)],
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["last_seen", "rhythm_seconds", "silent_after", "online"],
    )
    announce(back)


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


def notice_silence(now: dt.datetime) -> None:
    """Find the devices that have been silent for too long. Asked every second by the server."""
    silent = Presence.objects.filter(online=True, silent_after__lt=now)
    entries = [{"device_id": pk, "at": utc_text(now)} for pk in silent.values_list("pk", flat=True)]
    if entries:
        streams.publish("presence", entries)


def mark_silent(entries: Sequence[streams.Entry]) -> None:
    """The sink: devices are offline, unless they spoke since."""
    gone = []
    for entry in entries:
        still = Presence.objects.filter(
            pk=entry["device_id"], online=True, silent_after__lt=entry["at"]
        )
        if still.update(online=False):
            gone.append(entry["device_id"])
    announce(gone)


def announce(device_ids: Sequence[str]) -> None:
    """Show the state of devices to who watches."""
    if not device_ids:
        return
    from policies.serializers import DeviceSerializer  # it shows what this module keeps

    now = utc_text(to_milliseconds(timezone.now()))
    devices = Device.objects.with_status().filter(pk__in=device_ids)
    rows = DeviceSerializer(devices, many=True).data
    feed.announce([feed.frame("device_status", row["device_id"], now, dict(row)) for row in rows])
