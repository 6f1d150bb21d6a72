"""The pages of devices and of the system itself."""

import datetime as dt

import pytest
from django.utils import timezone

from policies.models import Certificate, Device, Presence
from policies.moments import utc_text
from sensors import store
from sensors.clocks import skews
from smarthome import system
from smarthome.devices import certificate, clock_words, every
from smarthome.system import Disk
from tests.test_sensors_rollups import entry

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
GB = 10**9


def shown(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_device_says_when_it_was_heard_and_until_when_it_is_trusted(viewer, door, sensor):
    Presence.objects.create(
        device=sensor, last_seen=timezone.now(), rhythm_seconds=10, online=True,
        silent_after=timezone.now() + DAY,
    )  # fmt: skip
    Certificate.objects.filter(device=sensor).update(not_after=timezone.now() + 12.5 * DAY)
    Certificate.objects.filter(device=door).update(revoked_at=timezone.now())

    page = shown(viewer, "/devices")

    for words in ("now</time>, every 10 s", "(in 12 days)", "none that holds", "not connected yet"):
        assert words in page
    assert 'data-tone="warn">' in page


@pytest.mark.parametrize(
    ("until", "words", "tone"),
    [
        (None, "none that holds", "bad"),
        (NOW, "expired on 23 Nov 2026", "bad"),
        (NOW + 0.5 * DAY, "(today)", "warn"),
        (NOW + 1.5 * DAY, "(tomorrow)", "warn"),
        (NOW + 29 * DAY, "(in 29 days)", "warn"),
        (NOW + 30 * DAY, "(in 30 days)", "plain"),
    ],
)
def test_a_certificate_is_warned_of_a_month_before(until, words, tone):
    said, its_tone = certificate(until, NOW)

    assert words in said
    assert its_tone == tone


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1, "every 1 s"), (10, "every 10 s"), (300, "every 5 min"), (7200, "every 2 h")],
)
def test_a_rhythm_is_in_words(seconds, words):
    assert every(seconds) == words


SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ahead", "words", "tone"),
    [
        (None, "none known", "plain"),
        (-4.9 * SECOND, "right", "plain"),
        (6 * SECOND, "6 s ahead", "warn"),
        (-90 * SECOND, "90 s behind, or sends what it kept", "warn"),
        (-3 * 3600 * SECOND, "3 h behind, or sends what it kept", "warn"),
        (50 * 3600 * SECOND, "2 days ahead", "warn"),
        (-56 * 365.25 * DAY, "56 years behind, or sends what it kept", "warn"),
    ],
)
def test_a_clock_is_in_words(ahead, words, tone):
    assert clock_words(ahead) == (words, tone)


@pytest.mark.parametrize(
    ("changes", "skew"),
    [
        ({"time": NOW}, 0),
        ({"time": NOW - 2 * SECOND}, -2),
        ({"time": NOW - 5 * 3600 * SECOND}, -5 * 3600),  # local time as UTC, or kept
        ({"time_source": "server", "device_time": "2026-11-23T09:00:00Z"}, -3 * 3600),
        ({"time_source": "server", "device_time": "1970-01-01T00:00:12Z"}, -1795435188),
        ({"time_source": "server", "device_time": "T+00h00m12s"}, None),
        ({"time_source": "server", "device_time": None}, None),
    ],
)
def test_a_reading_tells_how_the_clock_is(sensor, changes, skew):
    at = changes.get("time", NOW)
    store.write([entry("kitchen", at, temperature=20) | _told(changes)])

    found = skews().get("kitchen")

    assert (None if found is None else found.total_seconds()) == skew


def _told(changes):
    told = {name: value for name, value in changes.items() if name != "time"}
    return {"received_at": utc_text(NOW), **told}


def test_devices_cost_the_same_for_any_number(viewer, db, django_assert_max_num_queries):
    Device.objects.bulk_create(Device(device_id=f"d{n}", kind="sensor") for n in range(60))

    with django_assert_max_num_queries(8):
        viewer.get("/devices")


def test_the_system_says_how_it_is(operator):
    page = shown(operator, "/system")

    assert "healthy" in page or "degraded" in page
    assert "Database" in page
    assert "at the pace so far" in page or "not known yet" in page


def test_the_system_is_not_for_viewers(viewer):
    assert viewer.get("/system").status_code == 403


@pytest.mark.parametrize(
    ("age", "free", "words"),
    [
        (0.5 * DAY, 10 * GB, "not known yet"),
        (100 * DAY, 100 * GB, "more than 20 years"),
        (100 * DAY, 10 * GB, "about 3 years"),
        (100 * DAY, GB, "about 3 months"),
        (100 * DAY, GB // 10, "about 10 days"),
        (100 * DAY, 0, "about a day or two"),
    ],
)
def test_how_long_the_disk_lasts(age, free, words):
    assert words in Disk(data=GB, free=free, total=200 * GB, age=age).lasts


def test_a_disk_that_is_nearly_full_is_bad():
    tones = [Disk(GB, free=n * GB, total=100 * GB, age=DAY).tone for n in (9, 10)]

    assert tones == ["bad", "good"]


def test_a_stream_that_waits_or_has_dead_letters_is_seen():
    state = {"kind": "sensors", "length": 3, "pending": 1}
    states = [(0.5, 0, "good"), (6, 0, "warn"), (0.5, 1, "bad")]

    assert [
        system.tone(system.State(**state, oldest_seconds=old, dead=dead)) for old, dead, _ in states
    ] == [tone for *_, tone in states]
