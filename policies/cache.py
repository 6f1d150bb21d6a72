"""What the house knows of cards and devices, kept in Redis under one generation.

Every entry is filed under the generation that was read *before* the database was. `forget()`
writes a new random one after a commit, so a reader that raced with a revocation files its old
answer under a dead generation. Random, because a counter that starts again at 0 when Redis lost
its memory would revive entries. What does not exist is not kept: a flood of unknown cards must
not fill the cache. Embedded there is no cache: another process's change is seen at once.
"""

import logging
import secrets
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from rest_framework import status
from rest_framework.exceptions import APIException

from policies import cache_redis, frozen_json, memory, throttling
from policies.cache_redis import CacheAway
from policies.models import PolicyRevision
from realtime.reserved import reserve
from realtime.script import Script

logger = logging.getLogger(__name__)

T = TypeVar("T")

GENERATION, REVISION = "policies:generation", "policies:revision"
GENERATION_BYTES = 16
KEPT_SECONDS = 3600
# Seconds from the first question of a request: whoever asked is answered within 150 ms.
ANSWER_WITHIN = 0.13
ATTEMPTS = 3  # of `forget`, for which nobody stands before a door

# The current generation (made if Redis has lost it), the entry if it is of that generation, and,
# with a limit, one request taken from the bucket of the device that the entry names.
LOOK_UP = Script(
    throttling.GCRA
    + """
local generation = redis.call('GET', KEYS[1])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[1], generation)
end
local found = redis.call('GET', KEYS[2])
if not found or string.sub(found, 1, #generation) ~= generation then return {generation} end
local value = string.sub(found, #generation + 1)
if ARGV[2] == '' then return {generation, value} end
local bucket = ARGV[2] .. cjson.decode(value).device_id
return {generation, value, take(bucket, tonumber(ARGV[3]), tonumber(ARGV[4]))}
"""
)


class NotEverywhere(APIException):
    """A change is committed, and the cache Redis did not confirm that it forgot what was before.

    The worker repairs that as soon as it can. Until then a door may still know the old answer.
    """

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The change is saved, but not yet everywhere."
    wait = 2  # seconds; REST framework makes Retry-After of it


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a look-up found; `verdict` when the rate limit was counted with it."""

    value: T | None
    verdict: throttling.Verdict | None = None


def remember(kind: type[T], key: str, load: Callable[[], T | None], *, by: float = 0.0) -> T | None:
    """The cached value, or what `load` reads from the database.

    `by` is the monotonic time by which the answer is needed. Late (an OperationalError) when
    neither store gave one in time.
    """
    return look_up(kind, key, load, by=by).value


def look_up(
    kind: type[T],
    key: str,
    load: Callable[[], T | None],
    *,
    scope: str = "",
    by: float = 0.0,
) -> Found[T]:
    """As `remember`; counts a request of the scope, too, when the value (which names its device)
    was in the cache, in the same round trip."""
    if settings.EMBEDDED:
        return Found(memory.recall(key, load))
    if connection.in_atomic_block:
        # A transaction sees its own changes; nobody else may, so they must not be kept.
        return Found(load())
    entry = f"policies:{frozen_json.shape(kind)}:{key}"  # type: ignore[arg-type]  # a class is hashable
    try:
        generation, *known = cache_redis.run(
            LOOK_UP,
            [GENERATION, entry],
            [secrets.token_hex(GENERATION_BYTES), *throttling.arguments(scope)],
        )
    except CacheAway:
        return Found(reserve.run(lambda: _as_of_now(entry, load), by=by))
    if known:
        cached = frozen_json.loads(kind, known[0])
        return Found(cached, throttling.verdict(scope, known[1]) if known[1:] else None)

    def load_and_keep() -> T | None:
        value = load()
        if value is not None:
            _keep(entry, generation.decode() + frozen_json.dumps(value))
        return value

    # Late for this answer is in time for the next. Who asks the same under the same generation has
    # seen no change that the first did not see, so one answer is good for all of them.
    return Found(reserve.run(load_and_keep, by=by, about=(entry, generation)))


def read(load: Callable[[], T], *, about: Hashable = None, by: float = 0.0) -> T:
    """What `load` reads from the database now, past the cache; Late when that takes too long.

    Those who come with the same `about` meanwhile share one answer, so it must name the state
    of the policies that it may not be older than.
    """
    return load() if settings.EMBEDDED else reserve.run(load, by=by, about=about)


def _as_of_now(entry: str, load: Callable[[], T | None]) -> T | None:
    """Without the cache: what `load` reads, or read under the revision that the database has."""
    return memory.recall_as_of(PolicyRevision.objects.current(), entry, load)


def answer_by() -> float:
    """The monotonic time by which a request that begins now is answered."""
    return time.monotonic() + ANSWER_WITHIN


def forget() -> None:
    """Make every cached value dead. Called after the commit; returns when that is certain.

    NotEverywhere when it is not. The revision says which state of the database the generation
    stands for; both are written in one step.
    """
    if settings.EMBEDDED:
        memory.forget()
        return
    try:
        revision = PolicyRevision.objects.current()
        _confirmed(lambda: cache_redis.client().mset(_fresh(revision)))
    except (redis.RedisError, DatabaseError) as error:
        logger.warning("a change is saved, but the cache Redis does not know: %s", error)
        raise NotEverywhere from error


def repair() -> bool:
    """Forget when the database has changes that the cache was not told of; whether it had.

    Called about every second by the worker. While the cache Redis is away there is nothing to do.
    """
    if settings.EMBEDDED:
        return False
    try:
        return _repair(PolicyRevision.objects.current)
    except redis.RedisError:
        return False


def warm_up() -> None:
    """Connect to both stores. Called at the start of a process that answers doors."""
    if settings.EMBEDDED:
        return
    reserve.start()
    try:
        cache_redis.guarded(cache_redis.client().ping)
    except CacheAway:
        logger.warning("started without the cache Redis")


def _repair(current: Callable[[], str]) -> bool:
    client = cache_redis.client()
    known = (client.get(REVISION) or b"").decode()
    revision = current()
    if known == revision:
        return False
    client.mset(_fresh(revision))
    logger.warning("the cache was told of a change that it had missed")
    return True


def _come_back() -> None:
    """Before a cache Redis that was away is believed again: what did it miss?

    When the database cannot say, the cache is believed all the same: the worker repairs it, and
    a door whose database is away would otherwise know nobody.
    """
    cache_redis.client().ping()
    try:
        _repair(lambda: reserve.run(PolicyRevision.objects.current))
    except DatabaseError as error:
        logger.warning("what the cache Redis missed is not known yet: %s", error)


def _fresh(revision: str) -> dict[str, str]:
    return {GENERATION: secrets.token_hex(GENERATION_BYTES), REVISION: revision}


def _confirmed(write: Callable[[], Any]) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            write()
        except redis.RedisError:
            if not left:
                raise
        else:
            return


def _keep(entry: str, text: str) -> None:
    try:
        cache_redis.guarded(lambda: cache_redis.client().set(entry, text, ex=KEPT_SECONDS))
    except CacheAway:
        return


cache_redis.breaker.probe = _come_back
