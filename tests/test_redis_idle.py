"""Sockets to Redis on which nothing happened for a while, or that Redis has closed meanwhile.

Libraries give up idle sockets by default, some of them silently: each way to Redis is tried here.
"""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from channels.layers import get_channel_layer
from channels_redis.core import RedisChannelLayer
from django.conf import settings

from policies import cache_redis
from realtime import consume, streams
from realtime.consumers.receiver import Receiver
from realtime.hub import Hub
from realtime.relay import Relay
from realtime.worker import BLOCK_MS, READ_TIMEOUT
from tests.conftest import ANNA_UID
from tests.servers import CACHE_OPTIONS, RedisServer, private_folder, running

pytestmark = pytest.mark.skipif(
    settings.EMBEDDED, reason="needs Redis: the production pass runs it"
)

FRAME = {"type": "access_event", "seq": 1}
MESSAGE = {"type": "feed.frames", "from": 1, "to": 1, "frames": [FRAME]}


def clients() -> list[Any]:
    """One of every kind that the house keeps open."""
    waits = (streams.CHECK_TIMEOUT, streams.INGEST_TIMEOUT, READ_TIMEOUT)
    return [cache_redis.client(), *(streams.connect(wait) for wait in waits)]


@pytest.fixture
def watchers() -> Iterator[list[redis.Redis]]:
    """Connections of the test's own to both Redis."""
    urls = {settings.REDIS_URL, settings.CACHE_REDIS_URL}
    watching = [redis.Redis.from_url(url, single_connection_client=True) for url in sorted(urls)]
    yield watching
    for one in watching:
        one.close()


@pytest.fixture
def everybody_is_closed(watchers: list[redis.Redis]) -> Iterator[Any]:
    """Redis closes whoever has been idle for a second; call it to wait until it has."""

    def wait() -> None:
        until = time.monotonic() + 10
        while max([len(one.client_list()) for one in watchers]) > 1:  # it keeps them busy
            assert time.monotonic() < until, "Redis has closed nobody"
            time.sleep(0.05)

    for one in watchers:
        one.config_set("timeout", 1)
    yield wait
    for one in watchers:
        one.config_set("timeout", 0)


@pytest.fixture
def own_redis(settings: Any) -> Iterator[RedisServer]:
    """A Redis that may be killed, under the channel layer of this test."""
    with private_folder() as folder:
        server = RedisServer(folder, CACHE_OPTIONS)
        host = settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"][0]
        layer = settings.CHANNEL_LAYERS["default"] | {
            "CONFIG": {"hosts": [host | {"address": server.url}]}
        }
        with running(server):
            settings.CHANNEL_LAYERS = {"default": layer}
            yield server


@pytest.fixture
def relay(own_redis: RedisServer) -> Iterator[Relay]:
    """The worker's end of that layer. Closing its loop closes its sockets."""
    relay = Relay()
    yield relay
    relay.loop.call_soon_threadsafe(relay.loop.stop)
    while relay.loop.is_running():
        time.sleep(0.01)
    relay.loop.close()


async def test_sockets_that_were_idle_for_seven_seconds_still_work():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("idle", channel)
    receiving = asyncio.create_task(layer.receive(channel))
    before = [client.ping() for client in clients()]

    await asyncio.sleep(7)
    await layer.group_send("idle", MESSAGE)
    received = await asyncio.wait_for(receiving, 1)
    after = [client.ping() for client in clients()]

    assert received == MESSAGE
    assert (before, after) == ([True] * 4, [True] * 4)


async def test_a_layer_with_a_time_out_drops_the_socket_it_waits_on():
    """What the layer's setting in `settings.py` is for: so the test above can fail."""
    layer = RedisChannelLayer(hosts=[{"address": settings.CACHE_REDIS_URL, "socket_timeout": 0.2}])
    channel = await layer.new_channel()

    with pytest.raises(redis.TimeoutError):
        await asyncio.wait_for(layer.receive(channel), 3)


@pytest.mark.undrained
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_door_does_not_notice_that_redis_has_closed_idle_sockets(
    door_client, annas_card, everybody_is_closed, caplog
):
    check = {"card_uid": ANNA_UID}
    before = door_client.send("POST", "/api/access/check", check)

    everybody_is_closed()
    after = door_client.send("POST", "/api/access/check", check)

    assert (before.json()["granted"], after.json()["granted"]) == (True, True)
    assert "is away" not in caplog.text
    state = consume.state(streams.connect(READ_TIMEOUT))
    assert {one.kind: one.length for one in state}["access"] == 2


@pytest.mark.undrained
@pytest.mark.django_db
def test_a_reading_is_accepted_over_a_socket_that_redis_had_closed(
    sensor_client, everybody_is_closed
):
    reading = {"temperature": 21.5}
    before = sensor_client.send("POST", "/api/sensors/ingest", reading)

    everybody_is_closed()
    after = sensor_client.send("POST", "/api/sensors/ingest", reading)

    assert (before.status_code, after.status_code) == (202, 202)


@pytest.mark.undrained
def test_a_worker_on_a_quiet_stream_waits_as_long_as_it_said():
    client = streams.connect(READ_TIMEOUT)
    consume.make_groups(client)

    begun = time.monotonic()
    found = consume.read(client, "quiet", 1, BLOCK_MS)
    waited = time.monotonic() - begun

    assert found == {}
    assert BLOCK_MS / 1000 - 0.01 <= waited < READ_TIMEOUT / 2


async def test_after_redis_was_away_viewers_hear_over_the_layer_again(
    own_redis, relay, monkeypatch, caplog
):
    monkeypatch.setattr("realtime.consumers.receiver.QUIET_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as executor:
        receiver = Receiver(Hub(), executor)
        listening = asyncio.create_task(receiver._listen())
        before = await hear(relay, receiver)

        own_redis.kill()
        lost = await hear(relay, receiver, tries=2)
        own_redis.start()
        after = await hear(relay, receiver)

        listening.cancel()
        await asyncio.wait([listening])
    assert (before, lost, after) == ([FRAME], [], [FRAME])
    assert "the channel layer is away" in caplog.text
    assert "viewers will hear of 1 later" in caplog.text


async def hear(relay: Relay, receiver: Receiver, tries: int = 25) -> list[dict[str, Any]]:
    """What arrives of frames that are sent until one does; nothing when none does."""
    for _ in range(tries):
        relay.send([FRAME])
        try:
            message = await asyncio.wait_for(receiver.messages.get(), 0.2)
        except TimeoutError:
            continue
        frames: list[dict[str, Any]] = message["frames"]
        return frames
    return []
