"""Reading readings back: raw rows, buckets of time, the newest."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from rest_framework.exceptions import ValidationError

from policies.models import Device
from policies.moments import utc_text
from sensors import rollups
from sensors.models import DayRollUp, HourRollUp, MinuteRollUp, RollUp, SensorReading

MAX_POINTS = 5000
DAY = "1d"

RAW = ("time", "temperature", "humidity", "pressure", "metrics", "time_source", "flags")
# The index is by device and time; rows of one moment stand in the order they came.
OLDEST_FIRST = ("time", "received_at", "id")
NEWEST_FIRST = ("-time", "-received_at", "-id")

Point = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Interval:
    """A width of buckets, the roll-up it is read from and how many rows of it a bucket has."""

    width: dt.timedelta
    floor: rollups.Floor
    source: type[RollUp]
    rows: int = 1


def _steps(minutes: int, source: type[RollUp], rows: int = 1) -> Interval:
    width = dt.timedelta(minutes=minutes)
    return Interval(width, lambda moment: rollups.floor_to(moment, width), source, rows)


# From fine to coarse. 5 minutes have no table: they are merged from minutes when asked for.
INTERVALS = {
    "1m": _steps(1, MinuteRollUp),
    "5m": _steps(5, MinuteRollUp, rows=5),
    "1h": _steps(60, HourRollUp),
    DAY: Interval(dt.timedelta(days=1), rollups.house_day_start, DayRollUp),
}


def readings(
    device_id: str, start: dt.datetime, end: dt.datetime, interval: str | None
) -> list[Point]:
    """The points from `start` (included) to `end` (not included), oldest first.

    Without an interval the raw rows, else every bucket that overlaps the range, whole.
    ValidationError when there are more than 5000 points; it names the interval to use.
    """
    if interval is None:
        points = _raw(device_id, start, end)
    else:
        points = _buckets(device_id, start, end, INTERVALS[interval])
    if len(points) > MAX_POINTS:
        better = interval_for(end - start)
        raise ValidationError(
            {"interval": [f"This range has more than {MAX_POINTS} points: use {better}."]}
        )
    return points


def latest(device_id: str) -> Point | None:
    """A device's newest reading by its own time, in the raw shape."""
    rows = SensorReading.objects.filter(device_id=device_id)
    # First by time alone, which the index holds: a whole chunk would be sorted for the rest.
    newest = rows.filter(time=rows.order_by("-time").values("time")[:1])
    row = newest.order_by(*NEWEST_FIRST).values_list(*RAW).first()
    return _raw_point(*row) if row else None


def latest_of_all() -> dict[str, Point]:
    """The newest reading of every device on record that has one, in the raw shape."""
    page = newest_of_all().values_list("device_id", *RAW)
    return {device: _raw_point(*row) for device, *row in page}


def newest_of_all() -> QuerySet[SensorReading]:
    """The newest readings of every device on record; of one moment the last to come is last."""
    newest = SensorReading.objects.filter(device_id=OuterRef("pk")).order_by("-time")
    times = dict(Device.objects.values_list("pk", Subquery(newest.values("time")[:1])))
    # By time, which tells a hypertable where to look.
    rows = SensorReading.objects.filter(
        device_id__in=times, time__in={time for time in times.values() if time}
    )
    return rows.order_by(*OLDEST_FIRST)


def minutes_of_all(start: dt.datetime, end: dt.datetime) -> dict[str, list[Point]]:
    """The minutes that overlap the range, oldest first, of every device on record that has any."""
    rows = MinuteRollUp.objects.filter(
        device_id__in=Device.objects.values("pk"),
        start__gte=rollups.floor_to(start, rollups.MINUTE),
        start__lt=end,
    )
    found: dict[str, list[Point]] = {}
    for (device_id, at), figures in rollups.keyed(rows.order_by("start").values_list(*rollups.ROW)):
        found.setdefault(device_id, []).append(_bucket_point(at, figures))
    return found


def is_known(device_id: str) -> bool:
    """Whether a device is on record, or was and has left readings."""
    return (
        Device.objects.filter(pk=device_id).exists()
        or DayRollUp.objects.filter(device_id=device_id).exists()
    )


def interval_for(length: dt.timedelta, most: int = MAX_POINTS) -> str:
    """The finest interval in which a range of this length always fits into so many points."""
    # A range that begins and ends within a bucket overlaps one more than its length has.
    fits = (name for name, i in INTERVALS.items() if length / i.width + 2 <= most)
    return next(fits, DAY)


def _raw(device_id: str, start: dt.datetime, end: dt.datetime) -> list[Point]:
    rows = SensorReading.objects.filter(device_id=device_id, time__gte=start, time__lt=end)
    page = rows.order_by(*OLDEST_FIRST).values_list(*RAW)[: MAX_POINTS + 1]
    return [_raw_point(*row) for row in page]


def _raw_point(time: dt.datetime, *values: Any) -> Point:
    return {"timestamp": utc_text(time), **dict(zip(RAW[1:], values, strict=True))}


def _buckets(
    device_id: str, start: dt.datetime, end: dt.datetime, interval: Interval
) -> list[Point]:
    if start == end:
        return []  # no bucket overlaps nothing
    last = interval.floor(end - dt.timedelta.resolution)
    rows = interval.source._default_manager.filter(
        device_id=device_id,
        start__gte=interval.floor(start),
        start__lte=last + (interval.rows - 1) * rollups.MINUTE,
    )
    most = (MAX_POINTS + 1) * interval.rows
    buckets = rollups.keyed(rows.order_by("start").values_list(*rollups.ROW)[:most])
    if interval.rows > 1:
        buckets = iter(rollups.merged(buckets, interval.floor).items())
    return [_bucket_point(at, figures) for (_, at), figures in buckets]


def _bucket_point(start: dt.datetime, figures: rollups.Figures) -> Point:
    count, tn, tsum, tmin, tmax, hn, hsum, hmin, hmax, pn, psum, pmin, pmax = figures
    return {
        "timestamp": utc_text(start),
        "count": count,
        "temperature_avg": tsum / tn if tn else None,
        "temperature_min": tmin,
        "temperature_max": tmax,
        "humidity_avg": hsum / hn if hn else None,
        "humidity_min": hmin,
        "humidity_max": hmax,
        "pressure_avg": psum / pn if pn else None,
        "pressure_min": pmin,
        "pressure_max": pmax,
    }
