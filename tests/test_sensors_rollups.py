"""Running sums: whatever comes, in whatever order, they are what the raw rows add up to."""

import datetime as dt
import random
import uuid
import zoneinfo
from collections import defaultdict

import pytest
from django.utils import timezone

from policies.moments import parse_moment, utc_text
from sensors import ingest, rollups, store, timescale
from sensors.models import (
    DayRollUp,
    DayZone,
    HourRollUp,
    MinuteRollUp,
    QuarterHourRollUp,
    SensorReading,
)

METRICS = ("temperature", "humidity", "pressure")


def entry(device_id, time, **values):
    """What ingest publishes."""
    return {
        "id": str(uuid.uuid4()),
        "device_made_id": False,
        "time": time if isinstance(time, str) else utc_text(time),
        "device_id": device_id,
        "temperature": None,
        "humidity": None,
        "pressure": None,
        "metrics": {},
        "time_source": "device",
        "device_time": None,
        "received_at": utc_text(timezone.now()),
        "flags": [],
        **values,
    }


def build_in(zone, settings):
    """The building stands in this zone."""
    settings.TIME_ZONE = zone
    rollups.follow_zone()


@pytest.fixture
def kept_in_tables(db):
    """Sums that TimescaleDB keeps follow rows that are deleted, but not those that it drops:
    that is proved in test_timescale."""
    if timescale.keeps_sums():
        pytest.skip("the database keeps the sums itself")


def expected(seconds):
    """By brute force: the figures of every bucket of so many seconds, from all raw rows."""
    groups = defaultdict(list)
    for row in SensorReading.objects.all():
        start = int(row.time.timestamp()) // seconds * seconds
        groups[row.device_id, start].append(row)
    return {key: figures(rows) for key, rows in groups.items()}


def figures(rows):
    found = {"count": len(rows)}
    for metric in METRICS:
        values = [getattr(row, metric) for row in rows if getattr(row, metric) is not None]
        found[f"{metric}_n"] = len(values)
        found[f"{metric}_sum"] = pytest.approx(sum(values))
        found[f"{metric}_min"] = min(values, default=None)
        found[f"{metric}_max"] = max(values, default=None)
    return found


def kept(model):
    return {
        (row.device_id, int(row.start.timestamp())): {
            name: getattr(row, name) for name in rollups.COLUMNS
        }
        for row in model.objects.all()
    }


def test_sums_are_what_the_rows_add_up_to_in_whatever_order_they_came(sensor, door, settings):
    build_in("UTC", settings)
    rng = random.Random(7)  # noqa: S311  # the same every time
    begin = parse_moment("2026-03-01T22:00:00Z")
    entries = [
        entry(
            rng.choice(["kitchen", "front-door"]),
            begin + dt.timedelta(milliseconds=rng.randrange(4 * 3600 * 1000)),
            temperature=rng.choice([None, rng.uniform(-50, 90)]),
            humidity=rng.choice([None, rng.uniform(0, 100)]),
            pressure=rng.choice([None, 0.0, rng.uniform(300, 1100)]),
        )
        for _ in range(600)
    ]

    while entries:
        size = rng.randrange(1, 80)
        store.write(entries[:size])
        store.write(entries[:size])  # handed over twice, counted once
        del entries[:size]

    assert kept(MinuteRollUp) == expected(60)
    assert kept(QuarterHourRollUp) == expected(900)
    assert kept(HourRollUp) == expected(3600)
    assert kept(DayRollUp) == expected(86400)


def test_a_late_reading_repairs_its_buckets(sensor):
    now = timezone.now()
    ingest.accept(sensor, {"temperature": 20, "timestamp": now.isoformat()})
    late = {"temperature": 30, "timestamp": (now - dt.timedelta(days=6)).isoformat()}

    ingest.accept(sensor, late)
    ingest.accept(sensor, late)

    row = HourRollUp.objects.order_by("start").first()
    assert (row.count, row.temperature_sum, row.temperature_max) == (2, 60.0, 30.0)
    assert HourRollUp.objects.count() == 2


def test_sums_outlive_the_rows_they_were_made_of(sensor, kept_in_tables):
    moment = timezone.now().isoformat()
    ingest.accept(sensor, {"temperature": 20, "timestamp": moment})
    SensorReading.objects.all().delete()

    ingest.accept(sensor, {"temperature": 22, "timestamp": moment})

    row = HourRollUp.objects.get()
    assert (row.count, row.temperature_sum, row.temperature_min) == (2, 42.0, 20.0)


def test_a_value_too_great_to_sum_stays_in_the_row(sensor):
    moment = timezone.now().isoformat()
    for value in (1.7e308, 1.7e308, -1.7e308, 20):
        ingest.accept(sensor, {"temperature": value, "timestamp": moment})

    row = MinuteRollUp.objects.get()
    assert (row.count, row.temperature_n, row.temperature_sum) == (4, 1, 20.0)
    assert SensorReading.objects.filter(temperature__gt=1e300).count() == 2


MOMENTS_AND_DAYS = [
    ("UTC", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00.000Z"),
    ("Europe/Berlin", "2026-11-22T22:59:59Z", "2026-11-21T23:00:00.000Z"),
    ("Europe/Berlin", "2026-11-22T23:00:00Z", "2026-11-22T23:00:00.000Z"),
    ("Asia/Kolkata", "2026-11-22T18:29:59Z", "2026-11-21T18:30:00.000Z"),
    ("Asia/Kolkata", "2026-11-22T18:30:00Z", "2026-11-22T18:30:00.000Z"),
    ("Asia/Kathmandu", "2026-11-22T18:15:00Z", "2026-11-22T18:15:00.000Z"),
    # 29 March 2026 has 23 hours in Berlin, 25 October 25.
    ("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00.000Z"),
    ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00.000Z"),
    ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00.000Z"),
    ("Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-25T23:00:00.000Z"),
    # Lord Howe's clock moves by half an hour: 5 April has 24.5 hours, 4 October 23.5.
    ("Australia/Lord_Howe", "2026-04-05T13:29:59Z", "2026-04-04T13:00:00.000Z"),
    ("Australia/Lord_Howe", "2026-04-05T13:30:00Z", "2026-04-05T13:30:00.000Z"),
    ("Australia/Lord_Howe", "2026-10-04T12:59:59Z", "2026-10-03T13:30:00.000Z"),
    ("Australia/Lord_Howe", "2026-10-04T13:00:00Z", "2026-10-04T13:00:00.000Z"),
    # Beirut and Cairo skip midnight, Havana has it twice.
    ("Asia/Beirut", "2026-03-28T22:00:00Z", "2026-03-28T22:00:00.000Z"),
    ("Asia/Beirut", "2026-03-28T21:59:59Z", "2026-03-27T22:00:00.000Z"),
    ("Africa/Cairo", "2026-04-23T22:30:00Z", "2026-04-23T22:00:00.000Z"),
    ("America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00.000Z"),
    ("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00.000Z"),
    ("America/Havana", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
]


@pytest.mark.parametrize(("zone", "moment", "start"), MOMENTS_AND_DAYS)
def test_a_day_begins_at_the_buildings_midnight(zone, moment, start):
    begin = rollups.day_start(parse_moment(moment), zoneinfo.ZoneInfo(zone))

    assert utc_text(begin) == start


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("Europe/Berlin", [24, 23, 24]), ("Asia/Kolkata", [24, 24, 24])],
)
def test_every_hour_counts_in_one_day(sensor, settings, zone, hours):
    build_in(zone, settings)
    begin = rollups.day_start(parse_moment("2026-03-28T12:00:00Z"), zoneinfo.ZoneInfo(zone))

    store.write(
        [entry("kitchen", begin + dt.timedelta(hours=n), temperature=n) for n in range(sum(hours))]
    )

    assert list(DayRollUp.objects.order_by("start").values_list("count", flat=True)) == hours


def days():
    rows = DayRollUp.objects.order_by("device_id", "start")
    return [(row.device_id, utc_text(row.start), row.count, row.temperature_sum) for row in rows]


@pytest.fixture
def two_houses_days(sensor, door, settings):
    """Readings on both sides of midnight in Berlin, made with days of UTC."""
    build_in("UTC", settings)
    store.write(
        [
            entry("kitchen", "2026-11-22T22:59:00Z", temperature=1),
            entry("kitchen", "2026-11-22T23:00:00Z", temperature=2),
            entry("kitchen", "2026-11-23T12:00:00Z", temperature=4),
            entry("front-door", "2026-11-22T23:59:00Z", humidity=8),
        ]
    )


IN_UTC = [
    ("front-door", "2026-11-22T00:00:00.000Z", 1, 0.0),
    ("kitchen", "2026-11-22T00:00:00.000Z", 2, 3.0),
    ("kitchen", "2026-11-23T00:00:00.000Z", 1, 4.0),
]
IN_BERLIN = [
    ("front-door", "2026-11-22T23:00:00.000Z", 1, 0.0),
    ("kitchen", "2026-11-21T23:00:00.000Z", 1, 1.0),
    ("kitchen", "2026-11-22T23:00:00.000Z", 2, 6.0),
]


def test_days_follow_the_building_to_another_zone(two_houses_days, settings):
    before = days()
    settings.TIME_ZONE = "Europe/Berlin"

    followed = rollups.follow_zone()

    assert before == IN_UTC
    assert followed is True
    assert days() == IN_BERLIN
    assert DayZone.objects.get().name == "Europe/Berlin"


def test_days_are_remade_without_the_raw_rows(two_houses_days, kept_in_tables):
    SensorReading.objects.all().delete()

    rollups.rebuild_days(zoneinfo.ZoneInfo("Europe/Berlin"))

    assert days() == IN_BERLIN


def test_a_zone_that_stays_costs_one_query(two_houses_days, django_assert_num_queries):
    rollups.follow_zone()

    with django_assert_num_queries(1):
        followed = rollups.follow_zone()

    assert followed is False
    assert days() == IN_UTC


def test_readings_go_on_after_the_days_were_remade(two_houses_days, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    rollups.follow_zone()

    store.write([entry("kitchen", "2026-11-22T23:30:00Z", temperature=1)])

    assert days()[2] == ("kitchen", "2026-11-22T23:00:00.000Z", 3, 7.0)


def test_roll_ups_say_whose_and_when(two_houses_days):
    assert str(MinuteRollUp.objects.order_by("start").first()) == "kitchen from 2026-11-22 22:59"
