"""Online and offline by each device's own rhythm."""

import datetime as dt

import pytest

from policies import presence
from policies.models import Device, Presence
from realtime import feed
from realtime.models import FeedEvent

START = dt.datetime(2026, 11, 23, 7, 0, tzinfo=dt.UTC)


def speak(device: Device, at: dt.datetime) -> None:
    """The device is heard, and the server's next second notes it."""
    presence.seen({device.device_id: at})
    presence.keep(at)


def heard(device: Device, pauses: list[float]) -> Presence:
    """The device speaks with these pauses, in seconds; its presence then."""
    at = START
    speak(device, at)
    for pause in pauses:
        at += dt.timedelta(seconds=pause)
        speak(device, at)
    return Presence.objects.get(device=device)


def patience(found: Presence) -> float:
    """Seconds of silence that are normal for it."""
    return (found.silent_after - found.last_seen).total_seconds()


@pytest.mark.parametrize(
    ("pauses", "least", "most"),
    [
        ([1] * 200, 10, 11),  # every second: missed after ten
        ([600] * 30, 1500, 2000),  # every ten minutes: after half an hour
        ([1] * 200 + [3600] + [1] * 200, 10, 11),  # an outage is forgotten
        ([1] * 200 + [9], 10, 15),  # one late message changes little
        ([], 180, 200),  # not known yet
    ],
)
def test_a_sensors_patience_follows_its_rhythm(sensor, pauses, least, most):
    found = heard(sensor, pauses)

    assert least <= patience(found) <= most


def test_a_door_may_be_silent_over_night(door):
    found = heard(door, [])

    assert patience(found) >= 12 * 3600


def test_nobody_is_waited_for_longer_than_26_hours(door):
    found = heard(door, [7 * 24 * 3600] * 20)

    assert patience(found) == 26 * 3600


def test_a_device_of_the_past_does_not_go_back_in_time(sensor):
    later = heard(sensor, [60])

    speak(sensor, START)

    assert Presence.objects.get(device=sensor).last_seen == later.last_seen


def test_one_event_when_it_goes_and_one_when_it_returns(sensor):
    heard(sensor, [1] * 3)
    silent = START + dt.timedelta(hours=1)
    before = feed.position().seq

    presence.keep(silent)
    presence.keep(silent)
    speak(sensor, silent)
    speak(sensor, silent + dt.timedelta(seconds=1))

    frames = feed.events_between(before, feed.position().seq)
    assert [frame["type"] for frame in frames] == ["device_status", "device_status"]
    assert [frame["data"]["online"] for frame in frames] == [False, True]
    assert frames[0]["data"]["device_id"] == sensor.device_id


def test_a_device_that_spoke_meanwhile_is_not_marked(sensor):
    heard(sensor, [])

    presence.write([{"device_id": sensor.device_id, "silent_at": START.isoformat()}])

    assert Presence.objects.get(device=sensor).online is True


def test_a_device_that_is_not_on_record_any_more_is_passed_over(db):
    presence.seen({"gone": START})
    presence.keep(START)

    assert Presence.objects.count() == 0
    assert FeedEvent.objects.count() == 0


def test_hearing_a_device_costs_the_request_nothing(sensor, django_assert_num_queries):
    with django_assert_num_queries(0):
        presence.seen({sensor.device_id: START})
    presence.heard.take()


def test_of_a_second_the_last_time_counts(sensor):
    presence.seen({sensor.device_id: START + dt.timedelta(seconds=1)})
    presence.seen({sensor.device_id: START})

    presence.keep(START + dt.timedelta(seconds=2))

    assert Presence.objects.get().last_seen == START + dt.timedelta(seconds=1)
