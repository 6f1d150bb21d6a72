"""Rate limits: a bucket per device or user, counted by the generic cell rate algorithm.

`n/s` lets bursts of 2 n through, `n/min` bursts of n. The state of a bucket is one number, the
theoretical arrival time, so that one atomic step reads and writes it. Embedded there is one
process, and that step is a lock around a dictionary. In production it is a Lua script in the
cache Redis, by whose clock all processes count; while that is away, each counts for itself.
"""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from policies import cache_redis
from policies.cache_redis import CacheAway
from realtime.script import Script

RATE = re.compile(r"([0-9]{1,6})/(s|min)", re.ASCII)
# Times are whole microseconds: in floats, a burst of 10 at one moment adds up to more than 10.
SECOND = 1_000_000
MAX_BUCKETS = 10_000

# The arithmetic of `Buckets.take`, to be put before a script that calls `take`. Times reach 2^51,
# which Lua's numbers hold exactly, but `tostring` would not print.
GCRA = """
local function take(bucket, interval, burst)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local tolerance = interval * burst
  local arrival = tonumber(redis.call('GET', bucket) or now)
  if arrival > now + tolerance then arrival = now end
  local following = math.max(arrival, now) + interval
  local allowed = 0
  if following <= now + tolerance then
    allowed = 1
    arrival = following
    local full_in = math.ceil((arrival - now) / 1000)
    redis.call('SET', bucket, string.format('%.0f', arrival), 'PX', full_in)
  end
  return {allowed, arrival, now}
end
"""
TAKE = Script(GCRA + "return take(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))")


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: one request every `interval` microseconds, `burst` of them at once."""

    limit: int
    interval: int
    burst: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a bucket said.

    `remaining` counts what the burst still holds, `reset` is the epoch second at which it is full
    again, `retry_after` is in seconds.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int

    def headers(self) -> dict[str, str]:
        """The headers that every response of a limited endpoint carries."""
        found = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }
        return found if self.allowed else found | {"Retry-After": str(self.retry_after)}


def parse_rate(text: str) -> Rate | None:
    """`10/s` or `60/min` as a Rate; None for `0`, which is off."""
    if text.strip() == "0":
        return None
    match = RATE.fullmatch(text.strip())
    if not match or int(match[1]) == 0:
        raise ImproperlyConfigured(f"is {text!r}; write 10/s, 60/min, or 0 for none")
    limit = int(match[1])
    if match[2] == "s":
        return Rate(limit, SECOND // limit, burst=2 * limit)
    return Rate(limit, 60 * SECOND // limit, burst=limit)


@cache
def rate_of(scope: str) -> Rate | None:
    """The configured rate of `check`, `ingest`, `policies` or `readings`."""
    try:
        return parse_rate(settings.RATE_LIMITS[scope])
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"RATE_LIMIT_{scope.upper()} {error}") from None


def check_settings() -> None:
    """ImproperlyConfigured at start, not at the first request, when a rate cannot be read."""
    for scope in settings.RATE_LIMITS:
        rate_of(scope)


class Buckets:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: dict[str, int] = {}

    def take(self, key: str, rate: Rate, now: int) -> Verdict:
        """Take one request from the bucket `key` at epoch microsecond `now`."""
        tolerance = rate.interval * rate.burst
        with self._lock:
            arrival = self._arrivals.get(key, now)
            if arrival > now + tolerance:
                arrival = now  # the clock was set back: start afresh, do not wait for it
            following = max(arrival, now) + rate.interval
            allowed = following <= now + tolerance
            if allowed:
                arrival = self._arrivals[key] = following
                self._drop_full(now)
        return _verdict(rate, allowed, arrival, now)

    def clear(self) -> None:
        """Forget all buckets (tests start afresh)."""
        with self._lock:
            self._arrivals.clear()

    def _drop_full(self, now: int) -> None:
        """A bucket that has filled up again says nothing; memory stays bounded."""
        if len(self._arrivals) > MAX_BUCKETS:
            self._arrivals = {k: at for k, at in self._arrivals.items() if at > now}


buckets = Buckets()


def take(scope: str, who: str) -> Verdict | None:
    """One request of `who` in a scope; None when the scope has no limit."""
    rate = rate_of(scope)
    if rate is None:
        return None
    if not settings.EMBEDDED:
        prefix, interval, burst = arguments(scope)
        try:
            return verdict(scope, cache_redis.run(TAKE, [f"{prefix}{who}"], [interval, burst]))
        except CacheAway:
            pass  # better each process for itself than nobody at all
    return buckets.take(f"{scope}:{who}", rate, time.time_ns() // 1000)


def arguments(scope: str) -> tuple[str, int, int]:
    """What a script needs to call `take`: the bucket's key without who, interval and burst.

    An empty key when there is nothing to count.
    """
    rate = rate_of(scope) if scope else None
    return (f"bucket:{scope}:", rate.interval, rate.burst) if rate else ("", 0, 0)


def verdict(scope: str, reply: Sequence[int]) -> Verdict | None:
    """What the script's `take` returned, as a verdict."""
    rate = rate_of(scope)
    allowed, arrival, now = reply
    return _verdict(rate, bool(allowed), arrival, now) if rate else None


def _verdict(rate: Rate, allowed: bool, arrival: int, now: int) -> Verdict:
    """`arrival` is the theoretical one after this request."""
    tolerance = rate.interval * rate.burst
    left = (tolerance - max(0, arrival - now)) // rate.interval
    wait = 0 if allowed else _whole_seconds(max(arrival, now) + rate.interval - now - tolerance)
    return Verdict(allowed, rate.limit, left, _whole_seconds(max(arrival, now)), wait)


def _whole_seconds(microseconds: int) -> int:
    """Rounded up: who comes back then comes back late enough."""
    return -(-microseconds // SECOND)
