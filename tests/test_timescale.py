"""On a real TimescaleDB, and on PostgreSQL without it: hypertable, aggregates, and their ways back.

Every test has a database of its own and commits: jobs and refreshes run outside transactions.
"""

import datetime as dt
import json
import threading
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import DataError, connection, connections, transaction
from django.db.utils import load_backend
from django.utils import timezone

from policies.models import Device
from policies.moments import parse_moment, utc_text
from sensors import history, rollups, store, timescale
from sensors.models import (
    AcceptedReading,
    DayRollUp,
    HourRollUp,
    MinuteRollUp,
    QuarterHourRollUp,
    SensorReading,
)
from tests.servers import PostgresServer, postgres_program, private_folder, running
from tests.test_sensors_rollups import MOMENTS_AND_DAYS, build_in, entry

pytestmark = pytest.mark.timescale

ENGINE = "smarthome.db.timescale"
# Jobs run when a test says so.
PRELOADED = ("shared_preload_libraries=timescaledb", "timescaledb.max_background_workers=0")
ROLL_UPS = (MinuteRollUp, QuarterHourRollUp, HourRollUp, DayRollUp)
DAY = dt.timedelta(days=1)


def forget_database():
    """What this process remembers of the database it looked at."""
    timescale.keeps_sums.cache_clear()
    timescale.readings_have_key.cache_clear()
    ContentType.objects.clear_cache()


@contextmanager
def using(server, database, user="house"):
    """Whatever asks Django for the database on this thread gets this one."""
    before = connections["default"]
    there = {"ENGINE": ENGINE, "NAME": database, "USER": user, "HOST": str(server.folder)}
    wrapper = load_backend(ENGINE).DatabaseWrapper(
        before.settings_dict | there | {"PASSWORD": "", "PORT": "", "OPTIONS": {}}, "default"
    )
    connections["default"] = wrapper
    forget_database()
    try:
        yield
    finally:
        wrapper.close()
        connections["default"] = before
        forget_database()


def migrate(*target):
    call_command("migrate", *target, interactive=False, verbosity=0)
    forget_database()


@pytest.fixture(scope="module")
def timescale_server(django_db_blocker) -> Iterator[PostgresServer]:
    """With a database `made` that has every migration."""
    library = Path(postgres_program("postgres")).parent.parent / "lib" / "timescaledb.so"
    if not library.exists():
        pytest.skip("TimescaleDB is not installed for the PostgreSQL of this machine")
    with private_folder() as folder, running(server := PostgresServer(folder / "pg", PRELOADED)):
        with server.connect() as control:
            control.execute("CREATE DATABASE made")
        with django_db_blocker.unblock(), using(server, "made"):
            migrate()
        yield server


@pytest.fixture
def on_timescale(timescale_server, django_db_blocker) -> Iterator[PostgresServer]:
    with timescale_server.connect() as control:
        control.execute("CREATE DATABASE one TEMPLATE made")
        with django_db_blocker.unblock(), using(timescale_server, "one"):
            Device.objects.create(device_id="kitchen", kind="sensor", name="kitchen")
            yield timescale_server
        control.execute("DROP DATABASE one")


def answers(question, *values):
    with connection.cursor() as cursor:
        cursor.execute(question, values)
        return cursor.fetchall()


def jobs():
    """What runs by itself, on what, and how."""
    rows = answers(
        """
        SELECT coalesce(view_name, job.hypertable_name), proc_name, config
        FROM timescaledb_information.jobs AS job
        LEFT JOIN timescaledb_information.continuous_aggregates
        ON job.hypertable_name IN (materialization_hypertable_name, view_name)
        WHERE job.hypertable_name IS NOT NULL
        """
    )
    return {(name, proc.removeprefix("policy_")): json.loads(how) for name, proc, how in rows}


def run_jobs(proc):
    """Run the jobs of a kind now, in the order they were made."""
    for (job,) in answers(
        "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = %s ORDER BY job_id", proc
    ):
        with connection.cursor() as cursor:
            cursor.execute("CALL run_job(%s)", [job])


def refresh():
    run_jobs("policy_refresh_continuous_aggregate")


def refresh_all():
    """Sum up everything there is: what no job ever does."""
    with connection.cursor() as cursor:
        for name in timescale.WINDOWS:
            cursor.execute(
                "CALL refresh_continuous_aggregate(%s, NULL, now(),"
                """ options => '{"buckets_per_batch": 0}')""",
                [name],
            )


def chunks():
    return answers("SELECT count(*) FROM show_chunks('sensor_readings')")[0][0]


def sums():
    """Every bucket of every width."""
    return {
        model: list(model.objects.order_by("device_id", "start").values_list(*rollups.ROW))
        for model in ROLL_UPS
    }


def materialized_only(model, how):
    view = timescale.PARTS_OF_DAYS if model is DayRollUp else model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER MATERIALIZED VIEW {view} SET (timescaledb.materialized_only = {how})"
        )


def readings_of(days, **values):
    """Two a day, at noon of UTC and a minute later, from so many days ago until yesterday."""
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    return [
        entry("kitchen", noon - n * DAY + minute, temperature=20 + n, **values)
        for n in range(1, days + 1)
        for minute in (dt.timedelta(), rollups.MINUTE)
    ]


def test_readings_are_a_hypertable_of_days_without_a_key(on_timescale):
    dimensions = answers(
        "SELECT column_name, time_interval FROM timescaledb_information.dimensions"
        " WHERE hypertable_name = 'sensor_readings'"
    )

    assert dimensions == [("time", DAY)]
    assert timescale.readings_have_key() is False
    assert timescale.keeps_sums() is True
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'sensor_readings' ORDER BY 1"
    assert answers(indexes) == [("readings_by_device",), ("readings_newest_first",)]


def test_the_database_compresses_drops_and_repairs_by_itself(on_timescale):
    found = jobs()

    windows = {
        (name, proc): (config["start_offset"], config["end_offset"])
        for (name, proc), config in found.items()
        if proc == "refresh_continuous_aggregate"
    }
    assert windows == {
        ("sensor_readings_1m", "refresh_continuous_aggregate"): ("89 days 23:00:00", "00:05:00"),
        ("sensor_readings_15m", "refresh_continuous_aggregate"): ("100 days", "00:15:00"),
        ("sensor_readings_1h", "refresh_continuous_aggregate"): (None, "01:00:00"),
        ("sensor_readings_1d_parts", "refresh_continuous_aggregate"): (None, "01:00:00"),
    }
    assert found["sensor_readings", "compression"]["compress_after"] == "7 days"
    assert found["sensor_readings", "retention"]["drop_after"] == "90 days"
    assert found["sensor_readings_1m", "retention"]["drop_after"] == "400 days"
    assert len(found) == 7


def test_history_outlives_the_readings(on_timescale, settings):
    build_in("Europe/Berlin", settings)
    store.write(readings_of(120))
    refresh_all()  # as the jobs did while the readings were young
    before = sums()

    run_jobs("policy_retention")
    refresh()
    refresh()
    after = sums()
    build_in("Asia/Kolkata", settings)
    refresh()

    assert len(before[DayRollUp]) == 120
    assert 178 <= SensorReading.objects.count() <= 182
    assert after == before
    assert [row[2:] for row in sums()[DayRollUp]] == [row[2:] for row in before[DayRollUp]]
    assert sums()[HourRollUp] == before[HourRollUp]


def test_the_refresh_never_reaches_a_dropped_chunk(on_timescale):
    """The worst moment: a chunk was dropped the instant its last reading was 90 days old."""
    now = timezone.now()
    edge = now - 90 * DAY
    times = [edge + n * dt.timedelta(hours=1) for n in range(-48, 48)]
    store.write([entry("kitchen", at, temperature=20) for at in times])
    refresh_all()
    before = sums()

    run_jobs("policy_retention")
    refresh()

    assert SensorReading.objects.count() < 96
    assert sums() == before


def test_a_refresh_that_reached_one_would_delete_history(on_timescale):
    """The control: this is why the jobs' windows end where they do."""
    store.write(readings_of(120))
    refresh_all()
    run_jobs("policy_retention")

    refresh_all()

    assert DayRollUp.objects.count() < 92


def test_a_late_batch_repairs_its_buckets(on_timescale):
    store.write(readings_of(20))
    refresh()
    late = timezone.now() - 89 * DAY

    store.write([entry("kitchen", late, temperature=50), *readings_of(3, humidity=40)])
    refresh()

    for model in ROLL_UPS:
        materialized_only(model, "true")  # what the jobs made, without what is summed when asked
    oldest = {model: model.objects.order_by("start").first() for model in ROLL_UPS}
    assert {m: (row.count, row.temperature_max) for m, row in oldest.items()} == dict.fromkeys(
        ROLL_UPS, (1, 50)
    )
    newest = HourRollUp.objects.order_by("-start").first()
    assert (newest.count, newest.humidity_n) == (4, 2)


def test_what_no_job_has_seen_yet_is_summed_up_when_asked(on_timescale):
    store.write(readings_of(3))
    refresh()
    store.write([entry("kitchen", timezone.now(), temperature=7)])

    assert [model.objects.filter(temperature_min=7).count() for model in ROLL_UPS] == [1] * 4


def test_gaps_stay_gaps(on_timescale):
    begin = parse_moment("2026-03-01T10:00:00Z")
    store.write([entry("kitchen", begin + dt.timedelta(hours=n), temperature=n) for n in (0, 5)])
    refresh()

    points = history.readings("kitchen", begin, begin + DAY, "1h")

    assert [point["timestamp"] for point in points] == [
        "2026-03-01T10:00:00.000Z",
        "2026-03-01T15:00:00.000Z",
    ]


def test_a_late_reading_goes_into_a_compressed_chunk(on_timescale):
    store.write(readings_of(20))
    run_jobs("policy_compression")
    compressed = answers(
        "SELECT count(*) FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'sensor_readings' AND is_compressed"
    )

    store.write(readings_of(20, humidity=40))

    assert compressed[0][0] >= 12
    assert SensorReading.objects.count() == 80
    assert SensorReading.objects.filter(humidity=40).count() == 40


@pytest.mark.parametrize(("zone", "moment", "start"), MOMENTS_AND_DAYS[:-1])  # not the year 1
def test_the_database_begins_a_day_where_we_do(on_timescale, zone, moment, start):
    sql = timescale.day_start_sql("%s::timestamptz", zone)

    [(begin,)] = answers(f"SELECT {sql}", moment, moment)

    assert utc_text(begin) == start


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", [24, 23, 24]),
        ("Europe/Berlin", "2026-10-25", [24, 25, 24]),
        ("Atlantic/Azores", "2026-10-25", [24, 25, 24]),  # its midnight comes twice
        ("Africa/Cairo", "2026-04-24", [24, 23, 24]),  # its midnight does not come
        ("Australia/Lord_Howe", "2026-10-04", [24, 23.5, 24]),
        ("Asia/Kolkata", "2026-03-29", [24, 24, 24]),
    ],
)
def test_days_have_the_hours_they_have(on_timescale, settings, zone, day, hours):
    build_in(zone, settings)
    noon = dt.datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=zoneinfo.ZoneInfo(zone))
    begin = rollups.day_start(noon - DAY, zoneinfo.ZoneInfo(zone))
    half = dt.timedelta(minutes=30)
    store.write(
        [entry("kitchen", begin + n * half, temperature=1) for n in range(round(sum(hours) * 2))]
    )

    asked = [row.count / 2 for row in DayRollUp.objects.order_by("start")]
    refresh()

    assert asked == hours
    assert [row.count / 2 for row in DayRollUp.objects.order_by("start")] == hours
    points = history.readings("kitchen", begin, begin + 4 * DAY, "1d")
    assert [point["count"] / 2 for point in points] == hours


def test_two_workers_with_the_same_entries_store_them_once(on_timescale):
    entries = [*readings_of(10), *readings_of(10, device_made_id=True)]
    begun, go_on = threading.Event(), threading.Event()

    def first_worker():
        with using(on_timescale, "one"), transaction.atomic():
            store.write(entries)
            begun.set()
            go_on.wait(10)

    thread = threading.Thread(target=first_worker)
    thread.start()
    begun.wait(10)
    threading.Timer(0.3, go_on.set).start()  # meanwhile the second one waits
    with transaction.atomic():
        store.write(list(reversed(entries)))
    thread.join()

    assert go_on.is_set()
    assert SensorReading.objects.count() == AcceptedReading.objects.count() == 40


@pytest.mark.parametrize(
    "poison",
    [
        {"temperature": "warm"},
        {"time": "some day"},
        {"device_time": "a\0b"},
        {"time_source": "somebody"},
        {"id": "not an id"},
        {"metrics": {1, 2}},
    ],
)
def test_an_entry_that_no_table_takes_is_a_data_error(on_timescale, poison):
    good, bad = readings_of(1)

    with pytest.raises((DataError, TypeError)), transaction.atomic():
        store.write([good, bad | poison])

    assert not SensorReading.objects.exists()
    assert not AcceptedReading.objects.exists()


def test_texts_come_back_as_they_were_sent(on_timescale):
    odd = 'tab\t, line\n, back\\slash, \\N, quote" and é'

    store.write(
        [readings_of(1)[0] | {"device_time": odd, "metrics": {"lux": 1e-7}, "flags": ["x"]}]
    )

    row = SensorReading.objects.get()
    assert (row.device_time, row.metrics, row.flags) == (odd, {"lux": 1e-7}, ["x"])


def test_a_database_goes_back_to_tables_and_forth(on_timescale):
    store.write(readings_of(20))
    refresh()
    run_jobs("policy_compression")
    before = sums()

    migrate("sensors", "0001")
    there = sums(), SensorReading.objects.count(), timescale.readings_have_key()
    store.write(readings_of(1))
    kept_by_us = HourRollUp.objects.order_by("-start").first().count
    migrate("sensors")

    assert there == (before, 40, True)
    assert kept_by_us == 4
    assert timescale.keeps_sums() is True
    assert chunks() == 20
    assert MinuteRollUp.objects.count() == 40
    assert DayRollUp.objects.count() == 20


def test_days_come_back_in_the_zone_they_were_made_for(on_timescale, settings):
    build_in("Asia/Kolkata", settings)
    store.write(readings_of(2))
    before = sums()
    migrate("sensors", "0004")
    settings.TIME_ZONE = "UTC"  # as in a shell that lacks the house's settings

    migrate("sensors")

    assert sums() == before


def test_a_zone_that_the_database_does_not_know_is_refused_at_once(on_timescale):
    with pytest.raises(DataError), transaction.atomic():
        timescale.remake_days(SimpleNamespace(key="House/Attic"))


def test_sums_that_go_further_back_than_readings_stay_in_tables(on_timescale):
    store.write(readings_of(100))
    migrate("sensors", "0004")

    migrate("sensors")

    assert timescale.keeps_sums() is False
    assert DayRollUp.objects.count() == 100
    assert ("sensor_readings", "retention") in jobs()


def test_older_versions_call_the_columnstore_compression(on_timescale, monkeypatch):
    migrate("sensors", "0003")
    monkeypatch.setattr(timescale, "COLUMNSTORE_SINCE", (99,))

    migrate("sensors", "0004")
    made = jobs()
    migrate("sensors", "0003")

    assert made["sensor_readings", "compression"]["compress_after"] == "7 days"
    assert jobs() == {}


@pytest.fixture
def in_a_new_database(django_db_blocker):
    @contextmanager
    def run(*options, user="house"):
        with private_folder() as folder, running(server := PostgresServer(folder / "pg", options)):
            with server.connect() as control:
                control.execute("CREATE ROLE tenant LOGIN")
                control.execute("GRANT CREATE ON SCHEMA public TO tenant")
            with django_db_blocker.unblock(), using(server, "house", user):
                yield

    return run


def check_tables():
    """It works as it does on any PostgreSQL."""
    Device.objects.create(device_id="kitchen", kind="sensor", name="kitchen")
    store.write(readings_of(3))
    assert (timescale.readings_have_key(), timescale.keeps_sums()) == (True, False)
    assert [model.objects.count() for model in ROLL_UPS] == [6, 3, 3, 3]


def test_the_engine_works_without_the_extension(in_a_new_database):
    with in_a_new_database():
        migrate()
        check_tables()
        migrate("sensors", "zero")
        migrate("sensors")


def test_the_engine_goes_on_where_it_may_not_make_the_extension(
    timescale_server, in_a_new_database
):
    with in_a_new_database(*PRELOADED, user="tenant"):
        migrate()
        check_tables()


def test_under_the_apache_licence_the_sink_keeps_the_sums(timescale_server, in_a_new_database):
    with in_a_new_database(*PRELOADED, "timescaledb.license=apache"):
        migrate()
        Device.objects.create(device_id="kitchen", kind="sensor", name="kitchen")
        store.write(readings_of(3))
        store.write(readings_of(3))

        assert (timescale.readings_have_key(), timescale.keeps_sums()) == (False, False)
        assert chunks() == 3
        assert jobs() == {}
        assert [model.objects.count() for model in ROLL_UPS] == [6, 3, 3, 3]
        migrate("sensors", "zero")
