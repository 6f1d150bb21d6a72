"""The cache Redis: asked quickly or not at all.

django-redis gives the connection, with the time-outs of `settings.CACHES` and no second tries.
After a failure nobody asks for a while (a breaker), and no door waits to learn that it is back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import redis
from django_redis import get_redis_connection
from prometheus_client import Counter

from realtime.breaker import Breaker
from realtime.script import Script

DEGRADED = Counter(
    "smarthome_cache_degraded", "Questions decided without the cache Redis because it was away."
)


class CacheAway(Exception):
    """The cache Redis did not answer in time, or failed a moment ago."""


def client() -> Any:
    """django-redis's client; its pool is shared by all threads."""
    return get_redis_connection("default")


def run(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """What the script returned; CacheAway when the cache Redis is to be done without."""
    return guarded(lambda: script.run(client(), keys, arguments))


def guarded(ask: Callable[[], Any]) -> Any:
    """The answer of the cache Redis; CacheAway when it is to be done without."""
    if not breaker.lets_through():
        DEGRADED.inc()
        raise CacheAway
    try:
        return ask()
    except redis.RedisError as error:
        breaker.open(error)
        DEGRADED.inc()
        raise CacheAway from error


def _ping() -> None:
    client().ping()


breaker = Breaker("cache", "the database decides", _ping)
