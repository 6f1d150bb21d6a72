"""How PostgreSQL takes many readings at once: ids in one statement, rows by COPY."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection

from realtime.streams import Entry
from sensors.models import AcceptedReading, SensorReading

COLUMNS = (
    "id, time, device_id, temperature, humidity, pressure,"
    " time_source, device_time, received_at, metrics, flags"
)
COPY = f"COPY {SensorReading._meta.db_table} ({COLUMNS}) FROM STDIN"
NULL = r"\N"
# What would end a value or a row.
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
# Nearly always all are new, so it answers with those that were not.
ENTER = (
    "WITH ids AS (SELECT unnest(%s::uuid[]) AS id), new AS ("  # noqa: S608  # our own name
    f"INSERT INTO {AcceptedReading._meta.db_table} (id, accepted_at)"
    " SELECT id, %s FROM ids ON CONFLICT DO NOTHING RETURNING id)"
    " SELECT id::text FROM ids WHERE id NOT IN (SELECT id FROM new)"
)


def enter(ids: Collection[str], accepted_at: dt.datetime) -> set[str]:
    """Enter ids into the ledger; those that were not in it."""
    with connection.cursor() as cursor:
        cursor.execute(ENTER, [f"{{{','.join(sorted(ids))}}}", accepted_at])
        return {*ids} - {id for (id,) in cursor.fetchall()}


def copy(entries: Sequence[Entry]) -> None:
    """Add readings whose ids are new."""
    lines = "".join(map(_line, entries))
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(COPY) as rows,
    ):
        rows.write(lines)


def _line(entry: Entry) -> str:
    """A row as COPY reads it, at a third of what psycopg takes for one. Ids, times and the words
    of our own have nothing to escape."""
    return (
        f"{entry['id']}\t{entry['time']}\t{entry['device_id']}"
        f"\t{_number(entry['temperature'])}\t{_number(entry['humidity'])}"
        f"\t{_number(entry['pressure'])}\t{entry['time_source']}\t{_text(entry['device_time'])}"
        f"\t{entry['received_at']}\t{_json(entry['metrics'])}\t{_json(entry['flags'])}\n"
    )


def _number(value: float | None) -> float | str:
    return NULL if value is None else value


def _text(value: str | None) -> str:
    return NULL if value is None else value.translate(ESCAPES)


def _json(value: Any) -> str:
    """Nearly all are empty, and then Python's text is JSON, at a tenth of the cost."""
    return json.dumps(value).translate(ESCAPES) if value else str(value)
