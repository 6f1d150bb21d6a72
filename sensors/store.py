"""The sink of readings: embedded inside the request's transaction, in production a batch."""

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection

from policies import presence
from policies.moments import parse_moment
from realtime import feed
from realtime.insert import insert_new
from realtime.streams import Entry
from sensors import postgres, rollups, timescale
from sensors.models import AcceptedReading, SensorReading

RAW_KEPT = dt.timedelta(days=90)
IDS_KEPT = dt.timedelta(days=8)
RAW_FIELDS = ("temperature", "humidity", "pressure", "metrics", "time_source", "flags")
IDS_A_BITE = 5000


def write(entries: Sequence[Entry]) -> None:
    """Store readings and add them to the sums. The same id is the same row: the first wins."""
    new = _add(_not_in_ledger(entries))
    feed.announce(_newest(new))
    presence.seen(_last_received(entries))


def forget_old_ids(now: dt.datetime) -> int:
    """Drop ids older than 8 days from the ledger, some at a time so that locks stay short."""
    old = AcceptedReading.objects.filter(accepted_at__lt=now - IDS_KEPT)
    forgotten = 0
    while count := AcceptedReading.objects.filter(pk__in=old.values("pk")[:IDS_A_BITE]).delete()[0]:
        forgotten += count
    return forgotten


def _not_in_ledger(entries: Sequence[Entry]) -> list[Entry]:
    """The entries whose ids were not accepted before, one an id."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry["id"], entry)
    # With workers all may come again. SQLite is written by requests alone, which do not repeat what
    # the house itself numbered.
    all_may = connection.vendor == "postgresql"
    known = {id for id, entry in first.items() if all_may or entry["device_made_id"]}
    known -= _enter(known, parse_moment(max(entry["received_at"] for entry in entries)))
    return [entry for id, entry in first.items() if id not in known]


def _add(entries: list[Entry]) -> list[Entry]:
    """Store readings; those that were new. The ledger forgets, a table's key does not."""
    if not entries:
        return []
    if connection.vendor == "postgresql":
        known = _stored(entries) if timescale.readings_have_key() else set()
        new = [entry for entry in entries if entry["id"] not in known]
        postgres.copy(new)
    else:
        stored = insert_new([_row(entry) for entry in entries], "id")
        new = [entry for entry in entries if entry["id"] in stored]
    if new and not timescale.keeps_sums():
        rollups.add(new)
    return new


def _enter(ids: Collection[str], accepted_at: dt.datetime) -> set[str]:
    """Enter ids into the ledger; those that were not in it.

    Whether an id is new is the answer of the INSERT itself, so that of two workers with the same
    reading only one stores it. Sorted, so that they lock in the same order.
    """
    if connection.vendor == "postgresql":
        return postgres.enter(ids, accepted_at)
    return insert_new([AcceptedReading(id, accepted_at) for id in sorted(ids)], "id")


def _stored(entries: Sequence[Entry]) -> set[str]:
    rows = SensorReading.objects.filter(pk__in=[entry["id"] for entry in entries]).order_by()
    return set(map(str, rows.values_list("pk", flat=True)))


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
