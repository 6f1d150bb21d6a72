"""The same reading sent twice is one row; readings without an id are never merged."""

import datetime as dt
import uuid

import pytest
from django.db import OperationalError
from django.utils import timezone

from policies import presence
from realtime.streams import NotRecorded
from sensors import ingest, store, timescale
from sensors.models import AcceptedReading, DayRollUp, MinuteRollUp, SensorReading

PATH = "/api/sensors/ingest"
READING_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
BY_UUID = {"reading_id": READING_ID}
BY_BOOT = {"boot_id": 2**63, "seq": 0}


def summed() -> int:
    return sum(DayRollUp.objects.values_list("count", flat=True))


@pytest.mark.parametrize("claim", [BY_UUID, BY_BOOT])
def test_a_repeat_is_accepted_and_the_first_wins(sensor_client, claim):
    first = sensor_client.send("POST", PATH, {"temperature": 20, **claim})
    again = sensor_client.send("POST", PATH, {"temperature": 21, **claim})

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["message_id"] == again.json()["message_id"]
    assert SensorReading.objects.get().temperature == 20
    assert summed() == 1


def test_the_claim_makes_the_id(sensor_client):
    sensor_client.send("POST", PATH, {"temperature": 20, **BY_UUID})

    assert SensorReading.objects.get().id == uuid.uuid5(uuid.NAMESPACE_URL, f"kitchen/{READING_ID}")


def test_any_way_of_writing_a_uuid_is_the_same_claim(sensor_client):
    sensor_client.send("POST", PATH, {"temperature": 20, "reading_id": READING_ID})
    sensor_client.send("POST", PATH, {"temperature": 20, "reading_id": READING_ID.upper()})

    assert SensorReading.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [{"boot_id": 2**63, "seq": 1}, {"boot_id": 5, "seq": 0}, BY_UUID, {}],
)
def test_another_claim_is_another_row(sensor_client, other):
    sensor_client.send("POST", PATH, {"temperature": 20, **BY_BOOT})
    sensor_client.send("POST", PATH, {"temperature": 20, **other})

    assert SensorReading.objects.count() == 2
    assert summed() == 2


def test_two_devices_may_use_the_same_ids(sensor_client, door_client):
    sensor_client.send("POST", PATH, {"temperature": 20, **BY_UUID})
    door_client.send("POST", PATH, {"temperature": 20, **BY_UUID})

    assert SensorReading.objects.count() == 2


def test_readings_without_an_id_are_never_merged(sensor_client):
    reading = {"temperature": 20, "timestamp": timezone.now().isoformat()}

    sensor_client.send("POST", PATH, {"readings": [reading, reading]})
    sensor_client.send("POST", PATH, reading)

    assert SensorReading.objects.count() == 3


def test_within_a_batch_the_first_wins(sensor_client):
    answer = sensor_client.send(
        "POST",
        PATH,
        {
            "readings": [
                {"temperature": 20, **BY_BOOT},
                {"temperature": 21, **BY_BOOT},
                {"temperature": 22, "boot_id": 2**63, "seq": 1},
            ]
        },
    )

    assert answer.json()["accepted"] == 3
    assert sorted(r.temperature for r in SensorReading.objects.all()) == [20, 22]
    assert summed() == 2


def test_a_batch_sent_again_with_more_adds_only_the_new(sensor_client):
    readings = [{"temperature": n, "boot_id": 1, "seq": n} for n in range(450)]
    sensor_client.send("POST", PATH, {"readings": readings[:400]})

    answer = sensor_client.send("POST", PATH, {"readings": readings})

    assert answer.json()["accepted"] == 450
    assert SensorReading.objects.count() == 450
    assert summed() == 450


def test_an_id_is_remembered_when_the_row_is_gone(sensor_client):
    sensor_client.send("POST", PATH, {"temperature": 20, **BY_UUID})
    SensorReading.objects.all().delete()
    before = summed()

    sensor_client.send("POST", PATH, {"temperature": 20, **BY_UUID})

    assert not SensorReading.objects.exists()
    assert summed() == before


def test_a_row_is_not_summed_twice_when_its_id_was_forgotten(sensor_client):
    if not timescale.readings_have_key():
        pytest.skip("a hypertable has no key: there the ledger alone remembers")
    sensor_client.send("POST", PATH, {"temperature": 20, **BY_UUID})
    AcceptedReading.objects.all().delete()

    sensor_client.send("POST", PATH, {"temperature": 20, **BY_UUID})

    assert SensorReading.objects.count() == 1
    assert summed() == 1


def test_ids_are_forgotten_after_eight_days(db):
    now = timezone.now()
    ages = [dt.timedelta(days=8, seconds=1)] * 500 + [dt.timedelta(days=8), dt.timedelta()]
    AcceptedReading.objects.bulk_create(
        AcceptedReading(id=uuid.uuid4(), accepted_at=now - age) for age in ages
    )

    forgotten = store.forget_old_ids(now)

    assert forgotten == 500
    assert AcceptedReading.objects.count() == 2


def test_a_sink_that_fails_half_way_leaves_nothing(sensor, monkeypatch):
    def locked(*args):
        raise OperationalError("database is locked")

    monkeypatch.setattr(store.feed, "announce", locked)

    # Embedded the device hears of it; in production the worker tries again.
    with pytest.raises((NotRecorded, OperationalError)):
        ingest.accept(sensor, {"temperature": 20, **BY_UUID})

    assert not SensorReading.objects.exists()
    assert not AcceptedReading.objects.exists()
    assert not MinuteRollUp.objects.exists()


def test_a_worker_may_hand_over_many_devices_at_once_and_again(sensor, door):
    entries = []

    def collect(kind, published):
        entries.extend(published)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest.streams, "publish", collect)
        for device in (sensor, door):
            ingest.accept(device, {"temperature": 20})
            ingest.accept(device, {"temperature": 21, **BY_BOOT})

    store.write(entries)
    store.write(entries)

    assert SensorReading.objects.count() == 4
    assert summed() == 4
    assert set(presence.heard.take()) == {sensor.device_id, door.device_id}
