"""Lua scripts on a Redis: one round trip, and nothing comes between their steps."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis


@dataclass(frozen=True)
class Script:
    """A script by its text, and by its hash where the Redis knows it already."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)

    def run(self, client: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """What it returned; RedisError when it was not run to its end."""
        try:
            return client.evalsha(self.sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:  # a Redis that was started again knows none
            return client.eval(self.text, len(keys), *keys, *arguments)
