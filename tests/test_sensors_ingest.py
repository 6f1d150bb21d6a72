"""A device sends readings: what is taken, what is refused, and what both hear."""

import json

import pytest
from django.db import connection
from django.utils import timezone

from policies import presence
from policies.models import Presence
from sensors import ingest, timescale
from sensors.models import AcceptedReading, MinuteRollUp, SensorReading
from tests.conftest import JsonClient

PATH = "/api/sensors/ingest"
READING_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def stored() -> SensorReading:
    return SensorReading.objects.get()


def test_a_reading_is_accepted_and_on_record(sensor_client):
    answer = sensor_client.send(
        "POST",
        PATH,
        {"device_id": "kitchen", "temperature": 23.12000084, "humidity": 41, "pressure": 1013.2},
    )

    reading = stored()
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "accepted",
        "device_id": "kitchen",
        "timestamp": reading.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "message_id": str(reading.id),
    }
    assert reading.device_id == "kitchen"
    assert (reading.temperature, reading.humidity, reading.pressure) == (23.12000084, 41.0, 1013.2)
    assert (reading.metrics, reading.flags) == ({}, [])


def test_the_alias_is_the_same_endpoint(sensor_client):
    answer = sensor_client.send("POST", f"{PATH}/environmental", {"temperature": 20})

    assert answer.status_code == 202
    assert stored().temperature == 20.0


def test_a_door_may_measure_too(door_client):
    answer = door_client.send("POST", PATH, {"temperature": 20})

    assert answer.status_code == 202
    assert stored().device_id == "front-door"


def test_further_numbers_come_under_metrics(sensor_client):
    answer = sensor_client.send("POST", PATH, {"metrics": {"light_lux": 120.5, "co2": None}})

    assert answer.status_code == 202
    assert stored().metrics == {"light_lux": 120.5}
    assert stored().temperature is None


def test_a_broken_metric_is_null_and_the_others_count(sensor_client):
    answer = sensor_client.send(
        "POST", PATH, {"temperature": None, "humidity": 40, "room": "kitchen", "fan_on": True}
    )

    assert answer.status_code == 202
    assert stored().temperature is None
    assert stored().humidity == 40.0


def test_a_reading_shows_that_the_device_lives(sensor_client):
    sensor_client.send("POST", PATH, {"temperature": 20, "timestamp": "1970-01-01T00:00:00Z"})
    presence.keep(timezone.now())

    assert Presence.objects.get(device="kitchen").last_seen == stored().received_at


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "metrics"),
        ({"temperature": None}, "metrics"),
        ({"metrics": {}}, "metrics"),
        ({"metrics": {"light_lux": None}}, "metrics"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "21.5"}, "temperature"),
        ({"temperature": "1_0"}, "temperature"),
        ({"temperature": "٢١"}, "temperature"),
        ({"temperature": []}, "temperature"),
        ({"humidity": {}}, "humidity"),
        ('{"pressure": 1e999}', "pressure"),
        ('{"pressure": -1e999}', "pressure"),
        (f'{{"pressure": {"9" * 400}}}', "pressure"),
        (f'{{"pressure": {"9" * 5000}}}', "pressure"),
        ({"metrics": [1]}, "metrics"),
        ({"metrics": 5}, "metrics"),
        ({"metrics": {"Light": 1}}, "metrics"),
        ({"metrics": {"1st": 1}}, "metrics"),
        ({"metrics": {"": 1}}, "metrics"),
        ({"metrics": {"ü": 1}}, "metrics"),
        ({"metrics": {"light\n": 1}}, "metrics"),
        ({"metrics": {"light\0": 1}}, "metrics"),
        ('{"metrics": {"\\ud800": 1}}', "metrics"),
        ({"metrics": {"a" * 33: 1}}, "metrics"),
        ({"metrics": {"light": True}}, "metrics"),
        ({"metrics": {"light": "1"}}, "metrics"),
        ({"metrics": {"light": [1]}}, "metrics"),
        ('{"metrics": {"light": 1e999}}', "metrics"),
        ({"metrics": {f"m{n}": n for n in range(17)}}, "metrics"),
        ({"temperature": 1, "device_id": 5}, "device_id"),
        ({"temperature": 1, "device_id": ""}, "device_id"),
        ({"temperature": 1, "device_id": "kitchen\0"}, "device_id"),
        ('{"temperature": 1, "device_id": "\\ud800"}', "device_id"),
        ({"temperature": 1, "reading_id": "no"}, "reading_id"),
        ({"temperature": 1, "reading_id": 5}, "reading_id"),
        ({"temperature": 1, "boot_id": 5}, "seq"),
        ({"temperature": 1, "seq": 5}, "boot_id"),
        ({"temperature": 1, "boot_id": 5, "seq": None}, "seq"),
        ({"temperature": 1, "boot_id": 5, "seq": 1.0}, "seq"),
        ({"temperature": 1, "boot_id": True, "seq": 1}, "boot_id"),
        ({"temperature": 1, "boot_id": "5", "seq": 1}, "boot_id"),
        ({"temperature": 1, "boot_id": 2**64, "seq": 1}, "boot_id"),
        ({"temperature": 1, "boot_id": 5, "seq": -(2**63) - 1}, "seq"),
        ({"readings": 5}, "readings"),
        ({"readings": {}}, "readings"),
        ({"readings": "temperature"}, "readings"),
        ({"readings": []}, "readings"),
        ({"readings": [{"temperature": 1}] * 501}, "readings"),
        ({"readings": [{"temperature": 1}], "device_id": 5}, "device_id"),
        ({"readings": [{"temperature": True}]}, "readings.0.temperature"),
        ({"readings": [{}, 5]}, "readings.1"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(sensor_client, body, field):
    answer = sensor_client.send("POST", PATH, body)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert field in answer.json()["error"]["details"]
    assert not SensorReading.objects.exists()
    assert not MinuteRollUp.objects.exists()
    assert not AcceptedReading.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "5",
        "null",
        '"temperature"',
        "{",
        "[" * 2048,
        '{"a":' * 2048,
        '{"temperature": NaN}',
        '{"temperature": Infinity}',
        '{"temperature": ٢١}',
        '{"temperature": 1, "temperature": 2}',
        '{"temperature": 1, "timestamp": [[[[[[[[[1]]]]]]]]]}',
        b'{"temperature": 1, "timestamp": "\xff"}',
    ],
)
def test_what_is_no_json_object_is_malformed(sensor_client, body):
    answer = sensor_client.send("POST", PATH, body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "MALFORMED_REQUEST"
    assert not SensorReading.objects.exists()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("1e308", 1e308),
        ("-0.0", 0.0),
        ("5e-324", 5e-324),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
    ],
)
def test_any_finite_number_is_kept_twice_over(sensor_client, viewer, value, kept):
    for _ in range(2):
        answer = sensor_client.send("POST", PATH, f'{{"temperature": {value}}}')

    latest = viewer.get("/api/sensors/latest/kitchen")
    assert answer.status_code == 202
    assert latest.json()["temperature"] == kept
    assert MinuteRollUp.objects.get().count == 2


def test_without_a_certificate_nobody_may_send(nobody):
    answer = nobody.send("POST", PATH, {"temperature": 20})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "AUTHENTICATION_ERROR"


def test_a_manager_is_no_device(manager):
    answer = manager.send("POST", PATH, {"temperature": 20})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"device_id": "cellar", "temperature": 20},
        {"device_id": "cellar", "readings": [{"temperature": 20}]},
    ],
)
def test_a_device_speaks_for_itself_only(sensor_client, body):
    answer = sensor_client.send("POST", PATH, body)

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "AUTHORIZATION_ERROR"
    assert not SensorReading.objects.exists()


def test_a_batch_keeps_what_is_right_and_says_what_is_not(sensor_client):
    answer = sensor_client.send(
        "POST",
        PATH,
        {
            "device_id": "kitchen",
            "readings": [
                {"temperature": True},
                {"temperature": 20, "reading_id": READING_ID},
                {"temperature": 21, "device_id": "cellar"},
                "temperature",
                None,
                {"temperature": 22, "device_id": "kitchen"},
            ],
        },
    )

    first = SensorReading.objects.get(temperature=20)
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "accepted",
        "accepted": 2,
        "rejected": [
            {
                "index": 0,
                "code": "VALIDATION_ERROR",
                "message": "temperature: Must be a finite number.",
            },
            {
                "index": 2,
                "code": "AUTHORIZATION_ERROR",
                "message": "device_id is not the certificate's device.",
            },
            {"index": 3, "code": "VALIDATION_ERROR", "message": "Must be an object."},
            {"index": 4, "code": "VALIDATION_ERROR", "message": "This field may not be null."},
        ],
        "message_id": str(first.id),
    }
    assert SensorReading.objects.count() == 2


def test_a_batch_of_500_is_taken(sensor_client):
    answer = sensor_client.send(
        "POST",
        PATH,
        {"readings": [{"temperature": 20, "boot_id": 1, "seq": n} for n in range(500)]},
    )

    assert answer.json()["accepted"] == 500
    assert answer.json()["rejected"] == []
    assert SensorReading.objects.count() == 500


@pytest.mark.parametrize(
    ("reading", "flags"),
    [
        ({"temperature": -40, "humidity": 0, "pressure": 300}, []),
        ({"temperature": 85, "humidity": 100, "pressure": 1100}, []),
        ({"temperature": -40.1}, ["temperature_out_of_range"]),
        ({"temperature": 85.1}, ["temperature_out_of_range"]),
        ({"humidity": 100.1}, ["humidity_out_of_range"]),
        ({"humidity": -1, "pressure": 1100.1}, ["humidity_out_of_range", "pressure_out_of_range"]),
        (
            {"temperature": 0.0, "humidity": 0.0, "pressure": 0.0},
            ["pressure_out_of_range", "sensor_missing"],
        ),
        ({"temperature": 0, "humidity": 0}, []),
        ({"metrics": {"light_lux": -1e9}}, []),
    ],
)
def test_odd_values_are_kept_and_flagged(sensor_client, reading, flags):
    answer = sensor_client.send("POST", PATH, reading)

    assert answer.status_code == 202
    assert stored().flags == flags


def test_every_answer_says_what_is_left_of_the_rate(sensor_client, limit):
    limit("ingest", "20/min")

    taken = sensor_client.send("POST", PATH, {"temperature": 20})
    refused = sensor_client.send("POST", PATH, {})

    assert taken.headers["X-RateLimit-Limit"] == "20"
    assert taken.headers["X-RateLimit-Remaining"] == "19"
    assert refused.headers["X-RateLimit-Remaining"] == "18"


def test_the_21st_reading_at_once_is_too_many(sensor_client, limit, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    limit("ingest", "20/min")

    answers = [sensor_client.send("POST", PATH, {"temperature": 20}) for _ in range(21)]

    assert [answer.status_code for answer in answers] == [202] * 20 + [429]
    assert answers[20].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert 1 <= int(answers[20].headers["Retry-After"]) <= 3
    assert SensorReading.objects.count() == 20


def test_a_batch_counts_as_one(sensor_client):
    answer = sensor_client.send("POST", PATH, {"readings": [{"temperature": 20}] * 30})

    assert answer.headers["X-RateLimit-Remaining"] == "19"


def test_a_reading_costs_a_fixed_number_of_queries(sensor_client, django_assert_num_queries):
    sensor_client.send("POST", PATH, {"temperature": 20, "boot_id": 1, "seq": 1})

    # The policies' state and the certificate; two for the savepoint; ledger, row; the number of
    # the live frame; and in tables four sums. COPY does not say what was new: a plain PostgreSQL is
    # asked before.
    in_tables = 11 if connection.vendor == "sqlite" else 12
    with django_assert_num_queries(7 if timescale.keeps_sums() else in_tables):
        sensor_client.send("POST", PATH, {"temperature": 20, "boot_id": 1, "seq": 2})


def test_a_repeat_costs_less(sensor_client, django_assert_num_queries):
    body = {"temperature": 20, "boot_id": 1, "seq": 1}
    sensor_client.send("POST", PATH, body)

    # The policies' state and the certificate; two for the savepoint; ledger.
    with django_assert_num_queries(5):
        sensor_client.send("POST", PATH, body)


def test_off_http_the_same_verb_takes_a_frame(sensor):
    frame = {"type": "sensor_reading", "temperature": 20}

    accepted = ingest.accept(sensor, frame)

    assert accepted.message_id == str(stored().id)


def test_a_reading_that_cannot_be_stored_is_not_accepted(sensor_client, nothing_is_recorded):
    answer = sensor_client.send("POST", PATH, {"temperature": 20})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "disk" not in json.dumps(answer.json())


def test_ingest_answers_only_to_post(sensor_client: JsonClient):
    assert sensor_client.get(PATH).status_code == 405
