"""The cache Redis: asked quickly or not at all.

django-redis gives the connection, with the time-outs of `settings.CACHES` and no second tries.
After a failure nobody asks for a while (a breaker); the ping that finds out whether it is back
runs on a thread of its own, so that no door ever waits for it, nor for a name to be resolved.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from django_redis import get_redis_connection
from prometheus_client import Counter

logger = logging.getLogger(__name__)

FIRST_PAUSE, PAUSE = 0.1, 1.0  # seconds until the next ping: it may have been a hiccup

DEGRADED = Counter(
    "smarthome_cache_degraded", "Questions decided without the cache Redis because it was away."
)


class CacheAway(Exception):
    """The cache Redis did not answer in time, or failed a moment ago."""


@dataclass(frozen=True)
class Script:
    """A Lua script: one round trip, and nothing comes between its steps."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


class Breaker:
    """Open while the cache Redis is away: then it is not asked."""

    def __init__(self, probe: Callable[[], None]) -> None:
        self.probe = probe
        self._open_since = 0.0
        self._next_probe = 0.0
        self.probing = threading.Lock()  # held while somebody asks whether it is back

    def open(self, error: Exception) -> None:
        """It failed: leave it alone."""
        if not self._open_since:
            logger.warning("the cache Redis is away, the database decides: %s", error)
            self._open_since = time.monotonic()
            self._next_probe = self._open_since + FIRST_PAUSE

    def close(self) -> None:
        """It answers: ask it again."""
        if self._open_since:
            away = time.monotonic() - self._open_since
            logger.warning("the cache Redis is back after %.1f s", away)
            self._open_since = 0.0

    def lets_through(self) -> bool:
        """Whether to ask; when it is time, somebody else finds out whether it is back."""
        if not self._open_since:
            return True
        if time.monotonic() >= self._next_probe and self.probing.acquire(blocking=False):
            threading.Thread(target=self._try_again, name="cache-probe", daemon=True).start()
        return False

    def _try_again(self) -> None:
        try:
            self.probe()
        except redis.RedisError:
            self._next_probe = time.monotonic() + PAUSE
        else:
            self.close()
        finally:
            self.probing.release()


def client() -> Any:
    """django-redis's client; its pool is shared by all threads."""
    return get_redis_connection("default")


def run(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """What the script returned; CacheAway when the cache Redis is to be done without."""
    return guarded(lambda: _run(script, keys, arguments))


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


def _run(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    try:
        return client().evalsha(script.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:  # a Redis that was started again knows none
        return client().eval(script.text, len(keys), *keys, *arguments)


def _ping() -> None:
    client().ping()


breaker = Breaker(_ping)
