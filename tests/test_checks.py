"""The checks of the two Redis instances: what may lose or revive something is refused."""

import os
import subprocess
import sys
import time

import pytest
from django.core.exceptions import ImproperlyConfigured

from policies.checks import check_redis, refuse_unsafe_redis
from tests.house import free_port
from tests.servers import CACHE_OPTIONS, STREAM_OPTIONS, RedisServer, private_folder, running

# A user as managed services give one: all but CONFIG.
SHY = {"enabled": True, "nopass": True, "categories": ["+@all"], "commands": ["-config"]}


@pytest.fixture(scope="module")
def servers():
    """A stream and a cache Redis as they should be."""
    with private_folder() as folder:
        stream = RedisServer(folder / "stream", STREAM_OPTIONS)
        cache = RedisServer(folder / "cache", CACHE_OPTIONS)
        with running(stream, cache):
            yield stream, cache


@pytest.fixture
def stream(servers):
    with configured(servers[0]) as client:
        yield client


@pytest.fixture
def cache(servers):
    with configured(servers[1]) as client:
        yield client


@pytest.fixture
def found(settings, servers):
    """The ids that the checks say now."""
    settings.EMBEDDED = False
    settings.ALLOW_LOSSY_STREAM = False
    settings.REDIS_URL, settings.CACHE_REDIS_URL = (server.url for server in servers)
    return lambda: [message.id.removeprefix("smarthome.") for message in check_redis()]


class configured:  # noqa: N801  # reads as a word
    """A client whose changes of the configuration are undone."""

    def __init__(self, server):
        self.client = server.client()

    def __enter__(self):
        self.before = self.client.config_get("*")
        return self.client

    def __exit__(self, *_):
        for name in ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"):
            self.client.config_set(name, self.before[name])
        self.client.config_set("no-appendfsync-on-rewrite", "no")
        self.client.close()


def test_two_instances_as_they_should_be_say_nothing(found):
    assert found() == []


def test_an_embedded_house_has_nothing_to_check(settings):
    settings.EMBEDDED = True

    assert check_redis() == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("maxmemory-policy", "allkeys-lru", "evicts"),
        ("maxmemory-policy", "volatile-ttl", "evicts"),
        ("maxmemory", "0", "has no limit"),
        ("appendonly", "no", "keeps nothing on the disk"),
        ("appendfsync", "everysec", "loses what it confirmed"),
        ("no-appendfsync-on-rewrite", "yes", "loses while it rewrites"),
    ],
)
def test_a_stream_redis_that_may_lose_entries_is_an_error(found, stream, option, value, said):
    stream.config_set(option, value)

    assert found() == ["E001"]
    assert said in check_redis()[0].msg


def test_a_lossy_stream_can_be_accepted(found, stream, settings, caplog):
    stream.config_set("appendfsync", "everysec")
    settings.ALLOW_LOSSY_STREAM = True

    refuse_unsafe_redis()

    assert found() == ["E001"]
    assert not check_redis()[0].is_serious()
    assert "loses what it confirmed" in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"save": "3600 1"}, "saves snapshots"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "lags behind"),
    ],
)
def test_a_cache_redis_that_can_come_back_old_is_an_error(found, cache, options, said):
    for name, value in options.items():
        cache.config_set(name, value)

    assert found() == ["E002"]
    assert said in check_redis()[0].msg


def test_a_cache_redis_that_keeps_everything_it_confirmed_is_no_error(found, cache):
    cache.config_set("appendfsync", "always")
    cache.config_set("appendonly", "yes")
    cache.config_set("save", "3600 1")  # read only without the append-only file

    assert found() == []


def test_a_cache_redis_with_a_replica_is_an_error(found, servers):
    with private_folder() as folder:
        replica = RedisServer(folder, CACHE_OPTIONS)
        with running(replica):
            port = str(free_port())
            replica.client().config_set("port", port)
            servers[1].client().replicaof("127.0.0.1", port)

            assert found() == ["E002"]
            servers[1].client().replicaof("NO", "ONE")

    assert found() == []


def test_one_redis_for_both_is_a_warning_by_whatever_address(found, settings):
    settings.CACHE_REDIS_URL = settings.REDIS_URL + "?db=1"

    assert found() == ["W001"]


def test_a_redis_that_hides_its_configuration_is_said(found, servers, cache, settings):
    cache.acl_setuser("shy", **SHY)
    settings.CACHE_REDIS_URL = f"unix://shy@{servers[1].socket}"

    assert found() == ["W002"]
    cache.acl_deluser("shy")


def test_what_info_shows_of_a_shy_stream_redis_still_counts(found, servers, stream, settings):
    stream.acl_setuser("shy", **SHY)
    settings.REDIS_URL = f"unix://shy@{servers[0].socket}"
    stream.config_set("maxmemory-policy", "allkeys-lru")

    assert found() == ["E001", "W002"]
    stream.acl_deluser("shy")


def test_a_process_does_not_start_on_an_unsafe_redis(found, stream, cache):
    stream.config_set("maxmemory-policy", "allkeys-lru")
    cache.config_set("save", "3600 1")

    with pytest.raises(ImproperlyConfigured, match=r"smarthome\.E001.*smarthome\.E002"):
        refuse_unsafe_redis()


def test_a_redis_that_is_away_or_frozen_is_no_error_and_no_long_wait(found, servers, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1"
    begun = time.monotonic()

    with servers[1].frozen():
        refuse_unsafe_redis()
        said = found()

    assert said == ["I001", "I001"]
    assert time.monotonic() - begun < 5


def test_check_for_deployment_passes_without_a_redis(tmp_path):
    environment = os.environ | {
        "DATABASE_URL": "postgres://house@/house?host=/nowhere",
        "REDIS_URL": "redis://127.0.0.1:1",
        "CACHE_REDIS_URL": "redis://127.0.0.1:1/1",
        "DATA_DIR": str(tmp_path),
        "ALLOWED_HOSTS": "house.example",
        "SECRET_KEY": "so long and with so many different characters: 1234567890 abcdefghij",
    }

    run = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 0, run.stderr
    assert "smarthome.I001" in run.stderr
