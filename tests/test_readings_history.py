"""People read readings back: raw, in buckets of time, and the newest."""

import datetime as dt

import pytest

from policies.moments import parse_moment, utc_text
from sensors import history
from tests.test_sensors_rollups import build_in, entry, store

PATH = "/api/sensors/readings"


def ask(client, **query):
    query = {"device_id": "kitchen", **query}
    return client.get(PATH, {name: value for name, value in query.items() if value is not None})


@pytest.fixture
def kitchen(sensor, settings):
    """Five readings around noon of 23 November 2026 in Berlin's time."""
    build_in("Europe/Berlin", settings)
    store.write(
        [
            entry("kitchen", "2026-11-23T10:59:59.999Z", temperature=10, humidity=40),
            entry("kitchen", "2026-11-23T11:00:00.000Z", temperature=20, humidity=50),
            entry("kitchen", "2026-11-23T11:00:59.999Z", temperature=23, metrics={"co2": 400}),
            entry("kitchen", "2026-11-23T11:04:00.000Z", pressure=1000, flags=["sensor_missing"]),
            entry("kitchen", "2026-11-23T11:05:00.000Z", temperature=-5, time_source="server"),
        ]
    )
    return sensor


def test_raw_readings_come_oldest_first_from_a_half_open_range(viewer, kitchen):
    answer = ask(viewer, start_time="2026-11-23T11:00:00Z", end_time="2026-11-23T12:05:00+01:00")

    assert answer.status_code == 200
    assert answer.json() == {
        "device_id": "kitchen",
        "start_time": "2026-11-23T11:00:00.000Z",
        "end_time": "2026-11-23T11:05:00.000Z",
        "interval": None,
        "count": 3,
        "readings": [
            {
                "timestamp": "2026-11-23T11:00:00.000Z",
                "temperature": 20.0,
                "humidity": 50.0,
                "pressure": None,
                "metrics": {},
                "time_source": "device",
                "flags": [],
            },
            {
                "timestamp": "2026-11-23T11:00:59.999Z",
                "temperature": 23.0,
                "humidity": None,
                "pressure": None,
                "metrics": {"co2": 400},
                "time_source": "device",
                "flags": [],
            },
            {
                "timestamp": "2026-11-23T11:04:00.000Z",
                "temperature": None,
                "humidity": None,
                "pressure": 1000.0,
                "metrics": {},
                "time_source": "device",
                "flags": ["sensor_missing"],
            },
        ],
    }


def test_a_bucket_holds_average_least_and_greatest(viewer, kitchen):
    answer = ask(
        viewer,
        start_time="2026-11-23T11:00:00Z",
        end_time="2026-11-23T11:01:00Z",
        interval="1m",
    )

    assert answer.json()["interval"] == "1m"
    assert answer.json()["readings"] == [
        {
            "timestamp": "2026-11-23T11:00:00.000Z",
            "count": 2,
            "temperature_avg": 21.5,
            "temperature_min": 20.0,
            "temperature_max": 23.0,
            "humidity_avg": 50.0,
            "humidity_min": 50.0,
            "humidity_max": 50.0,
            "pressure_avg": None,
            "pressure_min": None,
            "pressure_max": None,
        }
    ]


@pytest.mark.parametrize(
    ("interval", "start", "end", "buckets"),
    [
        ("1m", "10:59", "11:06", [("10:59", 1), ("11:00", 2), ("11:04", 1), ("11:05", 1)]),
        ("1m", "11:00:30", "11:04:30", [("11:00", 2), ("11:04", 1)]),
        ("1m", "11:01", "11:04", []),
        ("5m", "10:00", "12:00", [("10:55", 1), ("11:00", 3), ("11:05", 1)]),
        ("5m", "11:01", "11:02", [("11:00", 3)]),
        ("5m", "11:04:59", "11:05", [("11:00", 3)]),
        ("5m", "11:04:59", "11:05:01", [("11:00", 3), ("11:05", 1)]),
        ("1h", "10:00", "12:00", [("10:00", 1), ("11:00", 4)]),
        ("1h", "11:59", "12:00", [("11:00", 4)]),
        ("1h", "12:00", "13:00", []),
        ("1h", "11:30", "11:30", []),
    ],
)
def test_every_bucket_that_overlaps_the_range_comes_whole(
    viewer, kitchen, interval, start, end, buckets
):
    day = "2026-11-23T"

    answer = ask(viewer, start_time=f"{day}{start}Z", end_time=f"{day}{end}Z", interval=interval)

    found = [(row["timestamp"], row["count"]) for row in answer.json()["readings"]]
    assert found == [(f"{day}{at}:00.000Z", count) for at, count in buckets]
    assert answer.json()["count"] == len(buckets)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-23T11:00:00Z", "2026-11-23T11:00:01Z", ["2026-11-22T23:00:00.000Z"]),
        ("2026-11-23T22:59:59Z", "2026-11-23T23:00:00Z", ["2026-11-22T23:00:00.000Z"]),
        ("2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z", []),
        ("2016-11-30T00:00:00Z", "2026-11-22T23:00:00Z", []),
    ],
)
def test_days_are_the_buildings(viewer, kitchen, start, end, days):
    answer = ask(viewer, start_time=start, end_time=end, interval="1d")

    assert [row["timestamp"] for row in answer.json()["readings"]] == days


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
def test_buckets_on_a_day_of_23_hours_end_where_the_next_begins(viewer, sensor, settings, interval):
    build_in("Europe/Berlin", settings)
    store.write(
        [
            entry("kitchen", "2026-03-29T21:59:00Z", temperature=1),
            entry("kitchen", "2026-03-29T22:00:00Z", temperature=2),
        ]
    )

    answer = ask(
        viewer,
        start_time="2026-03-29T00:00:00+01:00",
        end_time="2026-03-30T00:00:00+02:00",
        interval=interval,
    )

    assert [row["temperature_max"] for row in answer.json()["readings"]] == [1.0]


def test_a_plus_that_arrives_as_a_space_is_a_plus(viewer, kitchen):
    answer = viewer.get(
        f"{PATH}?device_id=kitchen&start_time=2026-11-23T12:00:00+01:00"
        "&end_time=2026-11-23T13:00:00+01:00"
    )

    assert answer.json()["start_time"] == "2026-11-23T11:00:00.000Z"
    assert answer.json()["count"] == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"device_id": None}, "device_id"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "kit chen"}, "device_id"),
        ({"device_id": "k" * 51}, "device_id"),
        ({"device_id": "kitchen\0"}, "device_id"),
        ({"start_time": None}, "start_time"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"start_time": "2026-11-23T11:00:00"}, "start_time"),
        ({"end_time": None}, "end_time"),
        ({"end_time": "2026-11-23T10:59:59Z"}, "end_time"),
        ({"end_time": "2027-11-24T11:00:00.001Z"}, "end_time"),
        ({"end_time": "2027-11-24T11:00:00.001Z", "interval": "1h"}, "end_time"),
        ({"end_time": "2036-11-23T11:00:00.001Z", "interval": "1d"}, "end_time"),
        ({"interval": "2m"}, "interval"),
        ({"interval": "raw"}, "interval"),
        ({"interval": ""}, "interval"),
    ],
)
def test_a_wrong_question_names_the_field(viewer, kitchen, query, field):
    good = {"start_time": "2026-11-23T11:00:00Z", "end_time": "2026-11-23T12:00:00Z"}

    answer = ask(viewer, **(good | query))

    assert answer.status_code == 422
    assert list(answer.json()["error"]["details"]) == [field]


@pytest.mark.parametrize(
    ("interval", "end"),
    [
        (None, "2027-11-24T11:00:00Z"),  # 366 days
        ("1m", "2027-11-24T11:00:00Z"),
        ("1d", "2036-11-23T11:00:00Z"),  # 10 years, three of them leap years
    ],
)
def test_the_longest_range_is_answered(viewer, kitchen, interval, end):
    answer = ask(viewer, start_time="2026-11-23T11:00:00Z", end_time=end, interval=interval)

    assert answer.status_code == 200


@pytest.mark.parametrize("interval", [None, "1m", "5m", "1h", "1d"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"),
        ("9999-12-31T00:00:00Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_the_ends_of_the_calendar_are_empty(viewer, kitchen, interval, start, end):
    answer = ask(viewer, start_time=start, end_time=end, interval=interval)

    assert (answer.status_code, answer.json()["count"]) == (200, 0)


BEGIN = parse_moment("2026-11-01T00:00:00Z")


@pytest.mark.parametrize(
    ("interval", "step", "days", "better"),
    [(None, dt.timedelta(seconds=1), 366, "1d"), ("1m", dt.timedelta(minutes=1), 4, "5m")],
)
def test_more_than_5000_points_are_too_many(viewer, sensor, interval, step, days, better):
    store.write([entry("kitchen", BEGIN + n * step, temperature=20) for n in range(5001)])
    end = BEGIN + dt.timedelta(days=days)
    query = {"end_time": utc_text(end), "interval": interval}

    too_many = ask(viewer, start_time=utc_text(BEGIN), **query)
    just_right = ask(viewer, start_time=utc_text(BEGIN + step), **query)

    assert too_many.status_code == 422
    assert too_many.json()["error"]["details"] == {
        "interval": [f"This range has more than 5000 points: use {better}."]
    }
    assert just_right.json()["count"] == 5000


@pytest.mark.parametrize(
    ("days", "interval"),
    [(0, "1m"), (3.47, "1m"), (3.48, "5m"), (17.3, "5m"), (17.4, "1h"), (208, "1h"), (3653, "1d")],
)
def test_the_named_interval_always_fits(days, interval):
    assert history.interval_for(dt.timedelta(days=days)) == interval


@pytest.mark.parametrize("interval", [None, "1m", "5m", "1h", "1d"])
def test_history_costs_one_query(kitchen, django_assert_num_queries, interval):
    with django_assert_num_queries(1):
        points = history.readings("kitchen", BEGIN, BEGIN + dt.timedelta(days=60), interval)

    assert points


def test_the_newest_reading_costs_one_query_and_those_of_all_devices_two(
    kitchen, door, django_assert_num_queries
):
    store.write([entry("front-door", "2026-11-23T11:05:00Z", humidity=40)])

    with django_assert_num_queries(1):
        newest = history.latest("kitchen")
    with django_assert_num_queries(2):
        found = history.latest_of_all()

    assert found["kitchen"] == newest
    assert sorted(found) == ["front-door", "kitchen"]


def test_a_device_without_readings_has_none(viewer, sensor):
    answer = ask(viewer, start_time="2026-11-23T11:00:00Z", end_time="2026-11-23T12:00:00Z")

    assert answer.status_code == 200
    assert (answer.json()["count"], answer.json()["readings"]) == (0, [])


@pytest.mark.parametrize("interval", [None, "1d"])
def test_a_device_that_never_was_is_not_found(viewer, kitchen, interval):
    answer = ask(
        viewer,
        device_id="kitchne",
        start_time="2026-11-23T11:00:00Z",
        end_time="2026-11-23T12:00:00Z",
        interval=interval,
    )

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


def test_readings_outlive_their_device(viewer, kitchen):
    kitchen.delete()

    there = ask(viewer, start_time="2026-11-23T11:00:00Z", end_time="2026-11-23T12:00:00Z")
    before = ask(viewer, start_time="2026-11-20T11:00:00Z", end_time="2026-11-20T12:00:00Z")

    assert (there.status_code, there.json()["count"]) == (200, 4)
    assert (before.status_code, before.json()["count"]) == (200, 0)


def test_latest_is_the_newest_by_its_own_time(viewer, kitchen):
    store.write([entry("kitchen", "2026-11-23T08:00:00Z", temperature=99)])

    answer = viewer.get("/api/sensors/latest/kitchen")

    assert answer.status_code == 200
    assert answer.json() == {
        "timestamp": "2026-11-23T11:05:00.000Z",
        "temperature": -5.0,
        "humidity": None,
        "pressure": None,
        "metrics": {},
        "time_source": "server",
        "flags": [],
    }


def test_of_readings_of_one_moment_the_last_to_come_is_the_latest(viewer, kitchen):
    for temperature, received_at in ((1, "2026-11-23T11:00:02Z"), (2, "2026-11-23T11:00:01Z")):
        store.write(
            [
                entry(
                    "kitchen",
                    "2026-11-23T12:00:00Z",
                    temperature=temperature,
                    received_at=received_at,
                )
            ]
        )

    answer = viewer.get("/api/sensors/latest/kitchen")

    assert answer.json()["temperature"] == 1.0


@pytest.mark.parametrize(
    "device_id", ["kitchen", "nobody", "a" * 51, "kit%20chen", "kitchen%00", "kitchen%0A"]
)
def test_without_a_reading_there_is_no_latest(viewer, sensor, device_id):
    answer = viewer.get(f"/api/sensors/latest/{device_id}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", [PATH, "/api/sensors/latest/kitchen"])
@pytest.mark.parametrize(("who", "status"), [("nobody", 401), ("outsider", 403)])
def test_who_may_not_read(request, kitchen, path, who, status):
    answer = request.getfixturevalue(who).get(path)

    assert answer.status_code == status


@pytest.mark.parametrize("path", [PATH, "/api/sensors/latest/kitchen"])
def test_a_device_does_not_read(sensor_client, kitchen, path):
    assert sensor_client.get(path).status_code == 404


def test_readings_are_limited_per_user(viewer, kitchen, time_machine):
    time_machine.move_to(dt.datetime.now(dt.UTC), tick=False)
    query = {"start_time": "2026-11-23T11:00:00Z", "end_time": "2026-11-23T12:00:00Z"}

    answers = [ask(viewer, **query) for _ in range(31)]

    assert answers[0].headers["X-RateLimit-Limit"] == "30"
    assert answers[0].headers["X-RateLimit-Remaining"] == "29"
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    assert answers[30].headers["Retry-After"] == "2"
