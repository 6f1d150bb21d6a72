"""How PostgreSQL takes many readings at once: ids in one statement, rows by COPY."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection

from realtime.streams import Entry
from sensors.models import AcceptedReading, SensorReading

# An entry's values are texts and numbers that PostgreSQL reads as they are.
PLAIN = (
    "id",
    "time",
    "device_id",
    "temperature",
    "humidity",
    "pressure",
    "time_source",
    "device_time",
    "received_at",
)
JSON = ("metrics", "flags")
COPY = f"COPY {SensorReading._meta.db_table} ({', '.join(PLAIN + JSON)}) FROM STDIN"
ENTER = (
    f"INSERT INTO {AcceptedReading._meta.db_table} (id, accepted_at)"  # noqa: S608  # our own name
    " SELECT id, %s FROM unnest(%s::uuid[]) AS id ON CONFLICT DO NOTHING RETURNING id::text"
)


def enter(ids: Collection[str], accepted_at: dt.datetime) -> set[str]:
    """Enter ids into the ledger; those that were not in it."""
    with connection.cursor() as cursor:
        cursor.execute(ENTER, [accepted_at, f"{{{','.join(sorted(ids))}}}"])
        return {id for (id,) in cursor.fetchall()}


def copy(entries: Sequence[Entry]) -> None:
    """Add readings whose ids are new."""
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(COPY) as rows,
    ):
        for entry in entries:
            row = [entry[name] for name in PLAIN]
            rows.write_row(row + [_json(entry[name]) for name in JSON])


def _json(value: Any) -> str:
    """Nearly all are empty, and then Python's text is JSON, at a tenth of the cost."""
    return json.dumps(value) if value else str(value)
