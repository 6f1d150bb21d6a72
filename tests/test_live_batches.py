"""The worker tells viewers of a batch once: one message, and of readings the newest a device."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from django.conf import settings

from realtime import feed
from realtime.relay import GROUP, Relay, coalesced
from realtime.worker import Worker

AT = "2026-11-23T07:37:01.542Z"


@pytest.fixture
def relay(monkeypatch):
    """The worker's relay; nobody else listens to the feed."""
    one = Relay()
    monkeypatch.setattr(feed, "_listeners", [one.send])
    yield one
    done(one, one.layer.flush())
    one.loop.call_soon_threadsafe(one.loop.stop)


def done(relay: Relay, work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, relay.loop).result(5)


def messages(relay: Relay, channel: str) -> list[dict[str, Any]]:
    """What arrives on a channel until it is quiet."""

    async def arriving() -> list[dict[str, Any]]:
        found = [await relay.layer.receive(channel)]
        try:
            while True:
                found.append(await asyncio.wait_for(relay.layer.receive(channel), 0.2))
        except TimeoutError:
            return found

    return done(relay, arriving())


def listening(relay: Relay) -> str:
    """A channel in the group of the feed."""
    channel: str = done(relay, relay.layer.new_channel())
    done(relay, relay.layer.group_add(GROUP, channel))
    return channel


@pytest.mark.undrained
@pytest.mark.django_db
@pytest.mark.skipif(settings.EMBEDDED, reason="needs Redis: the production pass runs it")
def test_a_batch_of_the_worker_is_one_message(
    relay, door_client, sensor_client, annas_card, django_capture_on_commit_callbacks
):
    readings = [{"temperature": value} for value in range(50)]
    sensor_client.send("POST", "/api/sensors/ingest", {"readings": readings})
    for value in range(50, 60):
        sensor_client.send("POST", "/api/sensors/ingest", {"temperature": value})
    channel = listening(relay)

    with django_capture_on_commit_callbacks(execute=True):
        Worker("tested").drain()

    (message,) = messages(relay, channel)
    (frame,) = message["frames"]
    assert message["from"] == message["to"] == frame["seq"]
    assert frame["data"]["temperature"] == 59


def test_every_event_stays_and_of_readings_the_newest_a_device():
    def frame(seq: int, kind: str, device_id: str) -> feed.Frame:
        return feed.frame(kind, device_id, AT, {}) | {"seq": seq}

    told = coalesced([
        frame(1, feed.READING, "kitchen"),
        frame(2, "access_event", "front-door"),
        frame(3, feed.READING, "cellar"),
        frame(4, feed.READING, "kitchen"),
        frame(5, "access_event", "front-door"),
    ])  # fmt: skip

    assert [one["seq"] for one in told] == [2, 3, 4, 5]
