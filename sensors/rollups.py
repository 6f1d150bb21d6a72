"""Running sums per minute, quarter hour, hour and day, kept in the rows' own transaction.

A reading that comes late repairs its buckets by itself, and nothing is ever computed anew from
the raw rows: those are pruned, the sums stay. With TimescaleDB the database keeps them itself.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from policies.moments import parse_moment
from realtime.streams import Entry
from sensors import timescale
from sensors.models import (
    METRICS,
    DayRollUp,
    DayZone,
    HourRollUp,
    MinuteRollUp,
    QuarterHourRollUp,
    RollUp,
)

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MINUTE, QUARTER_HOUR, HOUR = (dt.timedelta(minutes=n) for n in (1, 15, 60))

# A bucket's figures: the count, then n, sum, min, max of each metric.
COLUMNS = ("count", *(f"{m}_{part}" for m in METRICS for part in ("n", "sum", "min", "max")))
ROW = ("device_id", "start", *COLUMNS)
Figures = list[Any]
Key = tuple[str, dt.datetime]
Buckets = dict[Key, Figures]
Floor = Callable[[dt.datetime], dt.datetime]

# Sums of greater values could leave a double. Such a value is kept (and flagged) in the raw row.
GREATEST_SUMMED = 1e100
ROWS_A_STATEMENT = 60  # × 15 columns: below 999, the lowest limit of variables in use


def floor_to(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """The start of the moment's bucket, in steps of UTC."""
    return moment - (moment - EPOCH) % step


def day_start(moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The first moment of the moment's day in a zone, in UTC.

    Where the clock skips midnight (Beirut, Cairo), `fold=0` means the moment of the change;
    where midnight comes twice (Havana), the first.
    """
    try:
        local = moment.astimezone(zone)
        midnight = dt.datetime(local.year, local.month, local.day, tzinfo=zone)
        return midnight.astimezone(dt.UTC)
    except OverflowError:  # the calendar's first and last day
        return moment


def house_day_start(moment: dt.datetime) -> dt.datetime:
    """The first moment of the moment's day in the building's zone, in UTC."""
    return day_start(moment, timezone.get_default_timezone())


def merged(buckets: Iterable[tuple[Key, Figures]], floor: Floor) -> Buckets:
    """Fine buckets merged into coarser ones."""
    found: Buckets = {}
    for (device_id, start), figures in buckets:
        key = (device_id, floor(start))
        if key in found:
            _merge(found[key], figures)
        else:
            found[key] = list(figures)
    return found


def add(entries: Iterable[Entry]) -> None:
    """Add new readings to all sums. Runs inside the caller's transaction."""
    samples = (((e["device_id"], parse_moment(e["time"])), _figures(e)) for e in entries)
    minutes = merged(samples, lambda at: floor_to(at, MINUTE))
    # Midnights of every zone in use lie on a quarter of an hour of UTC.
    quarters = merged(minutes.items(), lambda at: floor_to(at, QUARTER_HOUR))
    _upsert(MinuteRollUp, minutes)
    _upsert(QuarterHourRollUp, quarters)
    _upsert(HourRollUp, merged(quarters.items(), lambda at: floor_to(at, HOUR)))
    _upsert(DayRollUp, merged(quarters.items(), house_day_start))


def rebuild_days(zone: zoneinfo.ZoneInfo) -> None:
    """Remake the days from the quarter hours, for another zone, and remember which."""
    with transaction.atomic():
        if timescale.keeps_sums():
            timescale.remake_days(zone)
        else:
            _sum_up_days(zone)
        DayZone.objects.update_or_create(pk=1, defaults={"name": zone.key})


def follow_zone() -> bool:
    """Remake the days if they were made for another zone than `TIME_ZONE`. True if they were."""
    made_for = DayZone.objects.values_list("name", flat=True).first()
    if made_for == settings.TIME_ZONE:
        return False
    rebuild_days(zoneinfo.ZoneInfo(settings.TIME_ZONE))
    return True


def keyed(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Key, Figures]]:
    """Rows of a roll-up table (`values_list(*ROW)`) as merged() takes them."""
    for device_id, start, *figures in rows:
        yield (device_id, start), figures


def _sum_up_days(zone: zoneinfo.ZoneInfo) -> None:
    if connection.vendor == "postgresql":
        # A reading between the two steps would be counted twice. SQLite has one writer.
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {DayRollUp._meta.db_table} IN EXCLUSIVE MODE")
    DayRollUp.objects.all().delete()
    for device_id in QuarterHourRollUp.objects.values_list("device_id", flat=True).distinct():
        quarters = QuarterHourRollUp.objects.filter(device_id=device_id).values_list(*ROW)
        days = merged(keyed(quarters.iterator()), lambda at: day_start(at, zone))
        _upsert(DayRollUp, days)


def _figures(entry: Entry) -> Figures:
    figures: Figures = [1]
    for metric in METRICS:
        value = entry[metric]
        if value is None or abs(value) > GREATEST_SUMMED:
            figures += (0, 0.0, None, None)
        else:
            figures += (1, value, value, value)
    return figures


def _merge(into: Figures, other: Figures) -> None:
    into[0] += other[0]
    for i in range(1, len(into), 4):
        if not other[i]:
            continue
        if not into[i]:
            into[i : i + 4] = other[i : i + 4]
            continue
        into[i] += other[i]
        into[i + 1] += other[i + 1]
        into[i + 2] = min(into[i + 2], other[i + 2])
        into[i + 3] = max(into[i + 3], other[i + 3])


def _upsert(model: type[RollUp], buckets: Buckets) -> None:
    """Add figures to a roll-up table.

    Sorted, so that two workers lock rows in the same order.
    """
    adapt = model._meta.get_field("start").get_db_prep_save
    rows = iter(sorted(buckets.items()))
    with connection.cursor() as cursor:
        while part := list(islice(rows, ROWS_A_STATEMENT)):
            values: list[Any] = []
            for (device_id, start), figures in part:
                values += (device_id, adapt(start, connection), *figures)
            cursor.execute(_upsert_sql(model._meta.db_table, len(part)), values)


@cache
def _upsert_sql(table: str, rows: int) -> str:
    values = ", ".join([f"({', '.join(['%s'] * len(ROW))})"] * rows)
    return (
        f"INSERT INTO {table} AS kept ({', '.join(ROW)}) VALUES {values} "  # noqa: S608  # our own names
        f"ON CONFLICT (device_id, start) DO UPDATE SET {', '.join(map(_sum_sql, COLUMNS))}"
    )


def _sum_sql(column: str) -> str:
    """How a kept figure and a new one make one; a null is the figure of no value at all."""
    if column.endswith(("_min", "_max")):
        before = "<" if column.endswith("_min") else ">"
        return (
            f"{column} = CASE WHEN kept.{column} IS NULL OR excluded.{column} {before} "
            f"kept.{column} THEN excluded.{column} ELSE kept.{column} END"
        )
    return f"{column} = kept.{column} + excluded.{column}"
