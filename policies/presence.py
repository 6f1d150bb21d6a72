"""When devices were last heard, and whether they count as online."""

import datetime as dt
from collections.abc import Mapping

from policies.models import Presence

ONLINE_FOR = dt.timedelta(minutes=5)


def seen(devices: Mapping[str, dt.datetime]) -> None:
    """Note when devices were heard. Runs inside the caller's transaction."""
    Presence.objects.bulk_create(
        [Presence(device_id=device, last_seen=at) for device, at in sorted(devices.items())],
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["last_seen"],
    )


def is_online(last_seen: dt.datetime | None, now: dt.datetime) -> bool:
    """Heard within the last five minutes."""
    return last_seen is not None and now - last_seen < ONLINE_FOR
