"""How far the clocks of devices are off, as their newest readings tell."""

import datetime as dt

from policies.moments import parse_moment
from sensors.history import newest_of_all
from sensors.models import SensorReading


def skews() -> dict[str, dt.timedelta]:
    """By how much each device's clock is ahead of ours (below zero: behind, or its newest reading
    is one that it kept). What has no clock is not in it."""
    rows = newest_of_all().values_list(
        "device_id", "time", "time_source", "device_time", "received_at"
    )
    found = {}
    for device_id, time, source, sent, received_at in rows:
        if source == SensorReading.TimeSource.SERVER:
            time = _as_time(sent)
        if time:
            found[device_id] = time - received_at
    return found


def _as_time(sent: str | None) -> dt.datetime | None:
    """The time that was not believed; None where it was none, such as `T+00h00m12s`."""
    try:
        return parse_moment(sent or "")
    except ValueError:
        return None
