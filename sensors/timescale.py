"""What TimescaleDB does for readings by itself, and the SQL that tells it to.

It compresses readings, drops old ones and keeps the running sums: minutes from the readings,
quarter hours from the minutes, hours and days from the quarter hours. Only the minutes ever look
at readings, so only their window has to end before what was dropped: refreshing a bucket whose
readings are gone would delete it.

Without its community licence, on old versions and on plain PostgreSQL all of this is left out,
and the sums stay in tables that the sink keeps, as on SQLite.
"""

# ruff: noqa: S608  # names and words of our own, never somebody's text

import zoneinfo
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection

from sensors.models import METRICS

READINGS = "sensor_readings"
MINUTES, QUARTERS, HOURS, DAYS = (f"{READINGS}_{name}" for name in ("1m", "15m", "1h", "1d"))
# A building's day lies in two or three days of UTC: its parts, which `DAYS` puts together.
PARTS_OF_DAYS = f"{DAYS}_parts"

LEAST_VERSION = (2, 14)
COLUMNSTORE_SINCE = (2, 18)  # before that it was called compression

# From how far back to how recent buckets are repaired every five minutes; what is newer than
# that is summed up when it is asked for. Readings are believed for 90 days, and dropped by whole
# days when the youngest of the day is older than that. The hour between is longer than any job
# takes: none meets a reading that is being dropped.
WINDOWS = {
    MINUTES: ("89 days 23 hours", "5 minutes"),
    QUARTERS: ("100 days", "15 minutes"),  # minutes are kept for 400 days
    HOURS: (None, "1 hour"),  # quarter hours for ever
    PARTS_OF_DAYS: (None, "1 hour"),
}
REFRESHED_EVERY = "5 minutes"
# Oldest first: what is newer than the newest that is done is summed up when asked for, so a job
# that began with the newest would hide what it has yet to do. A day of minutes in one go.
HOW_TO_REFRESH = '{"refresh_newest_first": false, "buckets_per_batch": 1440}'
# Tried again after 15 seconds, then 30, at last every five minutes; the default goes on to 25.
# PostgreSQL 15.20 calls every job of TimescaleDB 2.28 failed when it has done its work.
RETRIED_AFTER = "15 seconds"


@cache
def keeps_sums() -> bool:
    """Whether the database keeps the running sums itself. Asked once a process."""
    return _keeps_sums(connection)


@cache
def readings_have_key() -> bool:
    """Whether the id is a key of the readings: not in a hypertable. Asked once a process."""
    return connection.vendor != "postgresql" or _has_rows(
        connection,
        f"SELECT FROM pg_index WHERE indisprimary AND indrelid = to_regclass('{READINGS}')",
    )


def remake_days(zone: zoneinfo.ZoneInfo) -> None:
    """Make the days for another zone. They are summed up when asked for until a job has done it."""
    with connection.cursor() as cursor:
        _drop_days(cursor)
        _make_days(cursor, zone.key)


def keep_readings(apps: Any, schema_editor: Any) -> None:
    """Compress readings after 7 days, drop them after 90."""
    if version := _usable_version(schema_editor.connection):
        with schema_editor.connection.cursor() as cursor:
            for statement in _columnstore(version):
                cursor.execute(statement)
            _drop_after(cursor, READINGS, "90 days")


def stop_keeping_readings(apps: Any, schema_editor: Any) -> None:
    if version := _usable_version(schema_editor.connection):
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(f"SELECT remove_retention_policy('{READINGS}')")
            for statement in _no_columnstore(version):
                cursor.execute(statement)


def keep_sums(apps: Any, schema_editor: Any) -> None:
    """Continuous aggregates in place of the tables.

    A house whose sums go further back than its readings keeps the tables: aggregates could not
    be made of what is gone.
    """
    if not _usable_version(schema_editor.connection):
        return
    with schema_editor.connection.cursor() as cursor:
        if _has_long_history(cursor):
            return
        for table in (MINUTES, QUARTERS, HOURS, DAYS):
            cursor.execute(f"DROP TABLE {table}")
        _make_aggregate(cursor, MINUTES, READINGS, _of_readings(), "1 minute", "time")
        _make_aggregate(cursor, QUARTERS, MINUTES, _of_sums(), "15 minutes")
        _make_aggregate(cursor, HOURS, QUARTERS, _of_sums(), "1 hour")
        made_for = apps.get_model("sensors", "DayZone").objects.first()
        _make_days(cursor, made_for.name if made_for else settings.TIME_ZONE)
        _drop_after(cursor, MINUTES, "400 days")


def stop_keeping_sums(apps: Any, schema_editor: Any) -> None:
    """Tables in place of the aggregates, with what they held."""
    if not _keeps_sums(schema_editor.connection):
        return
    models = [
        apps.get_model("sensors", name)
        for name in ("MinuteRollUp", "QuarterHourRollUp", "HourRollUp", "DayRollUp")
    ]
    with schema_editor.connection.cursor() as cursor:
        for model in models:
            table = model._meta.db_table
            cursor.execute(f"CREATE TEMPORARY TABLE {table}_kept AS SELECT * FROM {table}")
        _drop_days(cursor)
        for view in (HOURS, QUARTERS, MINUTES):
            cursor.execute(f"DROP MATERIALIZED VIEW {view}")
        for model in models:
            table = model._meta.db_table
            columns = ", ".join(field.column for field in model._meta.concrete_fields)
            schema_editor.create_model(model)
            cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_kept")
            cursor.execute(f"DROP TABLE {table}_kept")


def _keeps_sums(connection: Any) -> bool:
    return connection.vendor == "postgresql" and _has_rows(
        connection,
        f"SELECT FROM pg_class WHERE relkind = 'v' AND oid = to_regclass('{MINUTES}')",
    )


def _usable_version(connection: Any) -> tuple[int, ...] | None:
    """The version of TimescaleDB where readings are a hypertable and its licence is whole."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
            " AND current_setting('timescaledb.license', true) = 'timescale'"
        )
        row = cursor.fetchone()
    if not row or not _has_rows(
        connection,
        f"SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = '{READINGS}'",
    ):
        return None
    version = tuple(int(part) for part in row[0].split("-")[0].split("."))
    return version if version >= LEAST_VERSION else None


def _has_rows(connection: Any, question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.rowcount)


def _has_long_history(cursor: Any) -> bool:
    cursor.execute(f"SELECT min(start) < now() - interval '89 days' FROM {DAYS}")
    return bool(cursor.fetchone()[0])


def _columnstore(version: tuple[int, ...]) -> tuple[str, str]:
    if version < COLUMNSTORE_SINCE:
        return (
            f"ALTER TABLE {READINGS} SET (timescaledb.compress,"
            " timescaledb.compress_segmentby = 'device_id',"
            " timescaledb.compress_orderby = 'time DESC')",
            f"SELECT add_compression_policy('{READINGS}', interval '7 days')",
        )
    return (
        f"ALTER TABLE {READINGS} SET (timescaledb.enable_columnstore,"
        " timescaledb.segmentby = 'device_id', timescaledb.orderby = 'time DESC')",
        f"CALL add_columnstore_policy('{READINGS}', after => interval '7 days')",
    )


def _no_columnstore(version: tuple[int, ...]) -> tuple[str, str, str]:
    """Compressed chunks have to be opened before it can be switched off."""
    if version < COLUMNSTORE_SINCE:
        return (
            f"SELECT remove_compression_policy('{READINGS}')",
            f"SELECT decompress_chunk(chunk, true) FROM show_chunks('{READINGS}') AS chunk",
            f"ALTER TABLE {READINGS} SET (timescaledb.compress = false)",
        )
    return (
        f"CALL remove_columnstore_policy('{READINGS}')",
        f"SELECT decompress_chunk(chunk, true) FROM show_chunks('{READINGS}') AS chunk",
        f"ALTER TABLE {READINGS} SET (timescaledb.enable_columnstore = false)",
    )


def _drop_after(cursor: Any, table: str, age: str) -> None:
    cursor.execute(f"SELECT add_retention_policy('{table}', drop_after => interval '{age}')")


def _make_aggregate(
    cursor: Any, name: str, source: str, sums: str, width: str, time: str = "start"
) -> None:
    bucket = f"time_bucket('{width}', {time})"
    cursor.execute(_aggregate_sql(name, f"device_id, {bucket} AS start, {sums}", source, bucket))
    _refresh(cursor, name)


def _make_days(cursor: Any, zone: str) -> None:
    # A zone that PostgreSQL does not know must fail here, not whenever somebody looks.
    cursor.execute("SELECT timezone(%s, now())", [zone])
    bucket, start = "time_bucket('1 day', start)", day_start_sql("start", zone)
    columns = f"device_id, {bucket} AS utc_day, {start} AS day, {_of_sums()}"
    cursor.execute(_aggregate_sql(PARTS_OF_DAYS, columns, QUARTERS, f"{bucket}, {start}"))
    _refresh(cursor, PARTS_OF_DAYS)
    cursor.execute(
        f"CREATE VIEW {DAYS} AS SELECT device_id, day AS start, {_of_sums()}"
        f" FROM {PARTS_OF_DAYS} GROUP BY device_id, day"
    )


def _drop_days(cursor: Any) -> None:
    cursor.execute(f"DROP VIEW {DAYS}")
    cursor.execute(f"DROP MATERIALIZED VIEW {PARTS_OF_DAYS}")


def day_start_sql(moment: str, zone: str) -> str:
    """As rollups.day_start: the first moment of the moment's day in a zone.

    Of a midnight that comes twice PostgreSQL means the second, so the first is sought from eleven
    o'clock on. TimescaleDB's own time_bucket counts that hour to the day before.
    """
    midnight = f"date_trunc('day', timezone('{zone}', {moment}))"
    return (
        f"least(timezone('{zone}', {midnight}),"
        f" timezone('{zone}', {midnight} - interval '1 hour') + interval '1 hour')"
    )


def _aggregate_sql(name: str, columns: str, source: str, groups: str) -> str:
    return (
        f"CREATE MATERIALIZED VIEW {name}"
        " WITH (timescaledb.continuous, timescaledb.materialized_only = false)"
        f" AS SELECT {columns} FROM {source} GROUP BY device_id, {groups} WITH NO DATA"
    )


def _refresh(cursor: Any, name: str) -> None:
    start, end = WINDOWS[name]
    cursor.execute(
        f"SELECT add_continuous_aggregate_policy('{name}', start_offset => %s::interval,"
        f" end_offset => %s::interval, schedule_interval => interval '{REFRESHED_EVERY}')",
        [start, end],
    )
    cursor.execute(
        "SELECT alter_job(job_id, config => config || %s::jsonb, retry_period => %s::interval)"
        " FROM timescaledb_information.jobs WHERE job_id = %s",
        [HOW_TO_REFRESH, RETRIED_AFTER, *cursor.fetchone()],
    )


def _of_readings() -> str:
    """The columns of a roll-up, from readings. What cannot be summed is left out: see rollups."""
    columns = ["count(*)::int AS count"]
    for m in METRICS:
        summed = f"FILTER (WHERE abs({m}) <= 1e100)"
        columns += [
            f"(count({m}) {summed})::int AS {m}_n",
            f"coalesce(sum({m}) {summed}, 0) AS {m}_sum",
            f"min({m}) {summed} AS {m}_min",
            f"max({m}) {summed} AS {m}_max",
        ]
    return ", ".join(columns)


def _of_sums() -> str:
    """The columns of a roll-up, from a finer one."""
    columns = ["sum(count)::int AS count"]
    for m in METRICS:
        columns += [
            f"sum({m}_n)::int AS {m}_n",
            f"sum({m}_sum) AS {m}_sum",
            f"min({m}_min) AS {m}_min",
            f"max({m}_max) AS {m}_max",
        ]
    return ", ".join(columns)
