"""Rate limits: a bucket per device or user, counted by the generic cell rate algorithm.

`n/s` lets bursts of 2 n through, `n/min` bursts of n. The state of a bucket is one number, the
theoretical arrival time, so that one atomic step reads and writes it. Embedded there is one
process, and that step is a lock around a dictionary.
"""

import re
import threading
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

RATE = re.compile(r"([0-9]{1,6})/(s|min)", re.ASCII)
MAX_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: one request every `interval` seconds, `burst` of them at once."""

    limit: int
    interval: float
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
        raise ImproperlyConfigured(f"a rate limit is {text!r}; write 10/s, 60/min, or 0 for none")
    limit = int(match[1])
    if match[2] == "s":
        return Rate(limit, 1 / limit, burst=2 * limit)
    return Rate(limit, 60 / limit, burst=limit)


@cache
def rate_of(scope: str) -> Rate | None:
    """The configured rate of `check`, `ingest`, `policies` or `readings`."""
    return parse_rate(settings.RATE_LIMITS[scope])


class Buckets:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: dict[str, float] = {}

    def take(self, key: str, rate: Rate, now: float) -> Verdict:
        """Take one request from the bucket `key` at epoch second `now`."""
        tolerance = rate.interval * rate.burst
        with self._lock:
            # A wall clock that was set back must not lock a bucket for the difference.
            arrival = min(self._arrivals.get(key, now), now + tolerance)
            following = max(arrival, now) + rate.interval
            allowed = following - now <= tolerance + 1e-9
            if allowed:
                arrival = self._arrivals[key] = following
                self._drop_full(now)
        left = max(0, int((tolerance - max(0.0, arrival - now)) / rate.interval + 1e-6))
        wait = 0 if allowed else max(1, -int(-(following - now - tolerance) // 1))
        return Verdict(allowed, rate.limit, left, int(max(arrival, now)) + 1, wait)

    def clear(self) -> None:
        """Forget all buckets (tests start afresh)."""
        with self._lock:
            self._arrivals.clear()

    def _drop_full(self, now: float) -> None:
        """A bucket that has filled up again says nothing; memory stays bounded."""
        if len(self._arrivals) > MAX_BUCKETS:
            self._arrivals = {k: at for k, at in self._arrivals.items() if at > now}


buckets = Buckets()


def take(scope: str, who: str) -> Verdict | None:
    """One request of `who` in a scope; None when the scope has no limit."""
    rate = rate_of(scope)
    return buckets.take(f"{scope}:{who}", rate, time.time()) if rate else None
