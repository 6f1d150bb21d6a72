"""The time a reading is stored under: the device's while it is believable, else the server's."""

import pytest

from sensors.models import SensorReading

PATH = "/api/sensors/ingest"
NOW = "2026-11-23T12:00:00.542Z"


@pytest.fixture(autouse=True)
def _at_noon(time_machine):
    time_machine.move_to("2026-11-23T12:00:00.542900Z", tick=False)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000Z"),
        ("2026-11-23T11:59:59.123456Z", "2026-11-23T11:59:59.123Z"),
        ("2026-11-23T13:00:00+01:00", "2026-11-23T12:00:00.000Z"),
        ("2026-11-16T12:00:00.542Z", "2026-11-16T12:00:00.542Z"),  # seven days ago
        ("2026-11-23T12:05:00.542Z", "2026-11-23T12:05:00.542Z"),  # in five minutes
    ],
)
def test_a_believable_time_is_the_readings_own(sensor_client, sent, kept):
    answer = sensor_client.send("POST", PATH, {"temperature": 20, "timestamp": sent})

    reading = SensorReading.objects.get()
    assert answer.json()["timestamp"] == kept
    assert (reading.time_source, reading.device_time) == ("device", None)


@pytest.mark.parametrize(
    ("sent", "device_time"),
    [
        ("2026-11-16T12:00:00.541Z", "2026-11-16T12:00:00.541Z"),
        ("2026-11-23T12:05:00.543Z", "2026-11-23T12:05:00.543Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2026-01-25T10:00:00Z", "2026-01-25T10:00:00Z"),
        ("2026-11-23T12:00:00", "2026-11-23T12:00:00"),  # no offset
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00"),
        ("T+00h00m12s", "T+00h00m12s"),
        ("", ""),
        ("x" * 200_000, "x" * 100),
        ("a\0b", "a?b"),
        ("\N{KELVIN SIGN}" * 101, "\N{KELVIN SIGN}" * 100),
        (1795435200, "1795435200"),
        (True, "true"),
        (["2026", None], '["2026", null]'),
        ({"s": 5}, '{"s": 5}'),
        (None, None),
    ],
)
def test_any_other_time_is_kept_as_a_text_beside_the_servers(sensor_client, sent, device_time):
    answer = sensor_client.send("POST", PATH, {"temperature": 20, "timestamp": sent})

    reading = SensorReading.objects.get()
    assert answer.status_code == 202
    assert answer.json()["timestamp"] == NOW
    assert (reading.time_source, reading.device_time) == ("server", device_time)


@pytest.mark.parametrize(
    ("sent", "device_time"), [('"\\ud800"', "?"), ("1e999", "Infinity"), ("9" * 300, "9" * 100)]
)
def test_odd_json_is_no_reason_to_refuse(sensor_client, sent, device_time):
    answer = sensor_client.send("POST", PATH, f'{{"temperature": 20, "timestamp": {sent}}}')

    assert answer.status_code == 202
    assert SensorReading.objects.get().device_time == device_time


def test_no_time_at_all_is_the_servers(sensor_client):
    sensor_client.send("POST", PATH, {"temperature": 20})

    reading = SensorReading.objects.get()
    assert (reading.time_source, reading.device_time) == ("server", None)
    assert reading.time == reading.received_at


NEWEST = "2026-11-23T11:00:00.000Z"
DAYS_90 = "2026-08-25T12:00:00.542Z"
DAYS_91 = "2026-08-25T12:00:00.541Z"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        # The newest is believable: older ones are believed for 90 days.
        ([NEWEST, "2026-10-01T00:00:00Z"], [NEWEST, "2026-10-01T00:00:00.000Z"]),
        ([DAYS_90, NEWEST], [DAYS_90, NEWEST]),
        ([DAYS_91, NEWEST], [NOW, NEWEST]),
        (["nonsense", NEWEST, None], [NOW, NEWEST, NOW]),
        (["2026-11-16T12:00:00.542Z", DAYS_90], ["2026-11-16T12:00:00.542Z", DAYS_90]),
        # The newest is too old or lies ahead: none is.
        (["2026-11-16T12:00:00.541Z", "2026-10-01T00:00:00Z"], [NOW, NOW]),
        (["2026-11-23T12:05:00.543Z", NEWEST], [NOW, NOW]),
        (["2099-01-01T00:00:00Z", NEWEST], [NOW, NOW]),
        (["nonsense", None], [NOW, NOW]),
    ],
)
def test_a_batch_is_believed_by_its_newest_time(sensor_client, sent, kept):
    readings = [
        {"temperature": n, "timestamp": time} if time else {"temperature": n}
        for n, time in enumerate(sent)
    ]

    answer = sensor_client.send("POST", PATH, {"readings": readings})

    rows = SensorReading.objects.order_by("temperature")
    assert answer.json()["accepted"] == len(sent)
    assert [text(row.time) for row in rows] == kept
    assert [row.time_source for row in rows] == [
        "server" if time == NOW else "device" for time in kept
    ]


def test_a_refused_readings_time_says_nothing_about_the_others(sensor_client):
    readings = [
        {"temperature": True, "timestamp": "2099-01-01T00:00:00Z"},
        {"temperature": 20, "timestamp": NEWEST},
    ]

    sensor_client.send("POST", PATH, {"readings": readings})

    assert text(SensorReading.objects.get().time) == NEWEST


def text(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
