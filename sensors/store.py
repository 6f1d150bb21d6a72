"""The sink of readings: embedded inside the request's transaction, in production a batch."""

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection

from policies import presence
from policies.moments import parse_moment
from realtime import feed
from realtime.streams import Entry
from sensors import postgres, rollups, timescale
from sensors.models import AcceptedReading, SensorReading

RAW_KEPT = dt.timedelta(days=90)
IDS_KEPT = dt.timedelta(days=8)
RAW_FIELDS = ("temperature", "humidity", "pressure", "metrics", "time_source", "flags")
IDS_A_STATEMENT = 400  # × 2 columns: below 999, the lowest limit of variables in use
IDS_A_BITE = 5000


def write(entries: Sequence[Entry]) -> None:
    """Store readings and add them to the sums. The same id is the same row: the first wins."""
    new = _new(entries)
    if new:
        _add(new)
    feed.announce(_newest(new))
    presence.seen(_last_received(entries))


def forget_old_ids(now: dt.datetime) -> int:
    """Drop ids older than 8 days from the ledger, some at a time so that locks stay short."""
    old = AcceptedReading.objects.filter(accepted_at__lt=now - IDS_KEPT)
    forgotten = 0
    while count := AcceptedReading.objects.filter(pk__in=old.values("pk")[:IDS_A_BITE]).delete()[0]:
        forgotten += count
    return forgotten


def _new(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that are not stored yet, one an id."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry["id"], entry)
    known = {id for id, entry in first.items() if _is_for_ledger(entry)}
    known -= _enter(known, parse_moment(max(entry["received_at"] for entry in entries)))
    if timescale.readings_have_key():
        # The ledger forgets; the rows must not be summed twice even so.
        known |= _stored([id for id in first if id not in known])
    return [entry for id, entry in first.items() if id not in known]


def _add(new: Sequence[Entry]) -> None:
    if connection.vendor == "postgresql":
        postgres.copy(new)
    else:
        SensorReading.objects.bulk_create(map(_row, new), ignore_conflicts=True)
    if not timescale.keeps_sums():
        rollups.add(new)


def _is_for_ledger(entry: Entry) -> bool:
    """Whether an entry may come again: a device's own may, and with workers all may.

    SQLite is written by requests alone, which do not repeat what the house itself numbered.
    """
    return connection.vendor == "postgresql" or bool(entry["device_made_id"])


def _enter(ids: Collection[str], accepted_at: dt.datetime) -> set[str]:
    """Enter ids into the ledger; those that were not in it.

    Whether an id is new is the answer of the INSERT itself, so that of two workers with the same
    reading only one stores it. Sorted, so that they lock in the same order.
    """
    if connection.vendor == "postgresql":
        return postgres.enter(ids, accepted_at)
    fields = AcceptedReading._meta.concrete_fields  # id, accepted_at
    new: set[str] = set()
    for part in _parts(sorted(ids)):
        values = [
            field.get_db_prep_save(value, connection)
            for id in part
            for field, value in zip(fields, (id, accepted_at), strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.execute(_enter_sql(len(part)), values)
            new |= {str(uuid.UUID(id)) for (id,) in cursor.fetchall()}
    return new


def _enter_sql(rows: int) -> str:
    table = AcceptedReading._meta.db_table
    marks = ", ".join(["(%s, %s)"] * rows)
    return (
        f"INSERT INTO {table} (id, accepted_at) VALUES {marks} "  # noqa: S608  # our own name
        "ON CONFLICT DO NOTHING RETURNING id"
    )


def _stored(ids: list[str]) -> set[str]:
    found: set[str] = set()
    for part in _parts(ids):
        rows = SensorReading.objects.filter(pk__in=part).order_by()
        found |= set(map(str, rows.values_list("pk", flat=True)))
    return found


def _parts(items: list[Any]) -> list[list[Any]]:
    return [items[i : i + IDS_A_STATEMENT] for i in range(0, len(items), IDS_A_STATEMENT)]


def _row(entry: Entry) -> SensorReading:
    return SensorReading(
        id=uuid.UUID(entry["id"]),
        time=parse_moment(entry["time"]),
        device_id=entry["device_id"],
        temperature=entry["temperature"],
        humidity=entry["humidity"],
        pressure=entry["pressure"],
        metrics=entry["metrics"],
        time_source=entry["time_source"],
        device_time=entry["device_time"],
        received_at=parse_moment(entry["received_at"]),
        flags=entry["flags"],
    )


def _newest(entries: Sequence[Entry]) -> list[feed.Frame]:
    """A frame per device, of its newest reading: a batch of old ones is history, not news."""
    newest: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry["time"]):
        newest[entry["device_id"]] = entry
    return [
        feed.frame(feed.READING, device_id, entry["time"], _raw(entry))
        for device_id, entry in newest.items()
    ]


def _raw(entry: Entry) -> dict[str, Any]:
    """A reading in the raw shape, as it will be read back."""
    return {"timestamp": entry["time"]} | {name: entry[name] for name in RAW_FIELDS}


def _last_received(entries: Sequence[Entry]) -> dict[str, dt.datetime]:
    """When each device was last heard, by the server's clock."""
    last: dict[str, str] = {}
    for entry in entries:
        device_id = entry["device_id"]
        last[device_id] = max(last.get(device_id, ""), entry["received_at"])
    return {device_id: parse_moment(at) for device_id, at in last.items()}
