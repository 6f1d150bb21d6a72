"""The worker tells viewers of a batch once: one message, and of readings the newest a device."""

import asyncio
import time

import pytest
from channels.layers import InMemoryChannelLayer
from django.conf import settings

from realtime import feed
from realtime.relay import GROUP, Relay, coalesced
from realtime.worker import Worker

AT = "2026-11-23T07:37:01.542Z"


@pytest.fixture
def relay(monkeypatch):
    """The worker's relay, over a layer in memory that can be looked into."""
    one = Relay()
    one.layer = InMemoryChannelLayer()
    monkeypatch.setattr(feed, "_listeners", [one.send])
    yield one
    one.loop.call_soon_threadsafe(one.loop.stop)


def messages(relay: Relay, channel: str, at_least: int) -> list[feed.Frame]:
    """What has arrived on a channel, and arrives in the next moment."""
    queue, until = relay.layer.channels[channel], time.monotonic() + 5
    while queue.qsize() < at_least and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    return [queue.get_nowait()[1] for _ in range(queue.qsize())]


def listening(relay: Relay) -> str:
    """A channel in the group of the feed."""

    async def join() -> str:
        channel: str = await relay.layer.new_channel()
        await relay.layer.group_add(GROUP, channel)
        await relay.layer.send(channel, {})  # makes its queue
        await relay.layer.receive(channel)
        return channel

    return asyncio.run_coroutine_threadsafe(join(), relay.loop).result(5)


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

    (message,) = messages(relay, channel, 1)
    (frame,) = message["frames"]
    assert message["to"] - message["from"] == 59
    assert frame["seq"] == message["to"]
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
