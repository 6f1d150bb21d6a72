"""What the house kept: rows of readings and of the access log, as plain values."""

import json
import sqlite3
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

READINGS = "SELECT metrics, device_id, temperature, humidity, pressure FROM sensor_readings"
LOG = "SELECT id, device_id, card_uid, granted, reason FROM access_logs"


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A row of `sensor_readings`; the mark is None when the load never gave it one."""

    mark: int | None
    device_id: str
    temperature: float | None
    humidity: float | None
    pressure: float | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of `access_logs`."""

    log_id: str
    device_id: str
    card_uid: str
    granted: bool
    reason: str


@dataclass
class Stored:
    """All rows there are, counted: the same one twice is two."""

    readings: Counter[StoredReading]
    log: Counter[LogRow]

    def since(self, before: "Stored") -> "Stored":
        """What was added."""
        return Stored(self.readings - before.readings, self.log - before.log)

    def vanished(self, before: "Stored") -> int:
        """Rows that were there before and are not any more."""
        return (before.readings - self.readings).total() + (before.log - self.log).total()


def in_postgres(connection: psycopg.Connection[Any]) -> Stored:
    """What PostgreSQL holds."""
    return _stored(connection.execute(READINGS).fetchall(), connection.execute(LOG).fetchall())


def in_sqlite(file: Path) -> Stored:
    """What the embedded house's file holds."""
    connection = sqlite3.connect(file, timeout=10)
    try:
        return _stored(connection.execute(READINGS).fetchall(), connection.execute(LOG).fetchall())
    finally:
        connection.close()


def _stored(readings: list[Any], log: list[Any]) -> Stored:
    return Stored(
        Counter(StoredReading(_mark(metrics), *rest) for metrics, *rest in readings),
        Counter(
            LogRow(str(uuid.UUID(str(log_id))), device, uid, bool(granted), reason)
            for log_id, device, uid, granted, reason in log
        ),
    )


def _mark(metrics: Any) -> int | None:
    values = json.loads(metrics) if isinstance(metrics, str) else metrics
    mark = values.get("mark")
    return int(mark) if isinstance(mark, int | float) else None
