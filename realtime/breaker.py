"""A breaker: a store that failed is left alone, and nobody who waits finds out whether it is back.

After a failure nobody asks for a while; the question whether it is back runs on a thread of its
own, so that no door ever waits for it, nor for a name to be resolved.
"""

import logging
import threading
import time
from collections.abc import Callable

import redis

logger = logging.getLogger(__name__)

FIRST_PAUSE, PAUSE = 0.1, 1.0  # seconds until the next question: it may have been a hiccup


class Breaker:
    """Open while a Redis is away: then it is not asked.

    `name` and what happens `meanwhile` are for the log. `probe` raises RedisError while the Redis
    is away.
    """

    def __init__(self, name: str, meanwhile: str, probe: Callable[[], None]) -> None:
        self.name, self.meanwhile, self.probe = name, meanwhile, probe
        self._open_since = 0.0
        self._next_probe = 0.0
        self.probing = threading.Lock()  # held while somebody asks whether it is back

    def open(self, error: Exception) -> None:
        """It failed: leave it alone."""
        if not self._open_since:
            logger.warning("the %s Redis is away, %s: %s", self.name, self.meanwhile, error)
            self._open_since = time.monotonic()
            self._next_probe = self._open_since + FIRST_PAUSE

    def close(self) -> None:
        """It answers: ask it again."""
        if self._open_since:
            away = time.monotonic() - self._open_since
            logger.warning("the %s Redis is back after %.1f s", self.name, away)
            self._open_since = 0.0

    def lets_through(self) -> bool:
        """Whether to ask; when it is time, somebody else finds out whether it is back."""
        if not self._open_since:
            return True
        if time.monotonic() >= self._next_probe and self.probing.acquire(blocking=False):
            name = f"{self.name}-probe"
            threading.Thread(target=self._try_again, name=name, daemon=True).start()
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
