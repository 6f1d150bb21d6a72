"""System checks of the two Redis instances: may what is in them be relied on?

`manage.py check` and every command ask them, and wait a second at most for one that does not
answer. That is no error there, because a house whose Redis is away still answers doors; but a
process that serves calls `refuse_unsafe_redis()` first and does not start on an unsafe one.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Server:
    """What a Redis says about itself. `hidden` when it does not show its configuration."""

    run_id: str
    config: Mapping[str, str]
    role: str
    replicas: int
    hidden: bool

    def says(self, name: str, *wanted: str) -> bool:
        """Whether an option has one of these values; what cannot be seen is believed."""
        return name not in self.config or self.config[name] in wanted


@register("redis")
def check_redis(**_: Any) -> list[CheckMessage]:
    """E001, E002, W001, W002 and I001; nothing when the house is embedded."""
    if settings.EMBEDDED:
        return []
    stream, found = _asked(settings.REDIS_URL, "stream", check_stream)
    cache, more = _asked(settings.CACHE_REDIS_URL, "cache", check_cache)
    same_url = settings.CACHE_REDIS_URL == settings.REDIS_URL
    if same_url or (stream and cache and stream.run_id == cache.run_id):
        more.append(
            Warning(
                "One Redis keeps both the streams and the cache.",
                hint="Set CACHE_REDIS_URL to a second instance, which may evict.",
                id="smarthome.W001",
            )
        )
    return [*found, *more]


def refuse_unsafe_redis() -> None:
    """ImproperlyConfigured when a Redis is unsafe; asked by processes before they serve."""
    messages = check_redis()
    for message in messages:
        if not message.is_serious():
            logger.log(message.level, "%s (%s)", message.msg, message.id)
    serious = [f"{one.msg} {one.hint} ({one.id})" for one in messages if one.is_serious()]
    if serious:
        raise ImproperlyConfigured(" ".join(serious))


def check_stream(server: Server) -> list[CheckMessage]:
    """A stream Redis must neither evict nor lose what it has confirmed."""
    faults = [
        fault
        for holds, fault in (
            (server.says("maxmemory-policy", "noeviction"), "evicts: set maxmemory-policy"),
            (not server.says("maxmemory", "0") or "maxmemory" not in server.config, "has no limit"),
            (server.says("appendonly", "yes"), "keeps nothing on the disk: set appendonly"),
            (server.says("appendfsync", "always"), "loses what it confirmed: set appendfsync"),
            (server.says("no-appendfsync-on-rewrite", "no"), "loses while it rewrites its file"),
        )
        if not holds
    ]
    if not faults:
        return []
    kind = Warning if settings.ALLOW_LOSSY_STREAM else Error
    return [
        kind(
            f"The stream Redis {'; '.join(faults)}.",
            hint="It needs `maxmemory`, `maxmemory-policy noeviction`, `appendonly yes`, "
            "`appendfsync always`. ALLOW_LOSSY_STREAM=1 accepts that readings and door records "
            "are lost.",
            id="smarthome.E001",
        )
    ]


def check_cache(server: Server) -> list[CheckMessage]:
    """A cache Redis must never come back older than it was: that would revive revoked cards."""
    on_disk = server.config.get("appendonly", "no") == "yes"
    faults = []
    if on_disk and not server.says("appendfsync", "always"):
        faults.append("its append-only file lags behind (appendfsync)")
    if not on_disk and not server.says("save", ""):
        faults.append("it saves snapshots (save)")
    if server.replicas or server.role != "master":
        faults.append("it has replicas, which lag behind")
    if not faults:
        return []
    return [
        Error(
            f"The cache Redis can come back old, and old answers would open doors: "
            f"{'; '.join(faults)}.",
            hint='Start it with `save ""`, `appendonly no` and without replicas.',
            id="smarthome.E002",
        )
    ]


def _asked(
    url: str, name: str, check: Callable[[Server], Sequence[CheckMessage]]
) -> tuple[Server | None, list[CheckMessage]]:
    try:
        server = _server(url)
    except redis.RedisError as error:
        text = f"The {name} Redis was not checked, it does not answer: {error}"
        return None, [Info(text, id="smarthome.I001")]
    found = list(check(server))
    if server.hidden:
        found.append(
            Warning(
                f"The {name} Redis does not show its configuration; how it keeps what it has "
                "confirmed was not checked.",
                hint="Allow CONFIG GET, or see to its persistence yourself (docs/operations.md).",
                id="smarthome.W002",
            )
        )
    return server, found


def _server(url: str) -> Server:
    client: Any = redis.Redis.from_url(
        url,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        retry=None,
        decode_responses=True,
    )
    with client:
        info = client.info()
        try:
            config, hidden = client.config_get("*"), False
        except redis.ResponseError:  # managed services forbid it; INFO tells a part
            config, hidden = _config_of(info), True
    return Server(info["run_id"], config, info["role"], info["connected_slaves"], hidden)


def _config_of(info: Mapping[str, Any]) -> dict[str, str]:
    return {
        "maxmemory": str(info["maxmemory"]),
        "maxmemory-policy": str(info["maxmemory_policy"]),
        "appendonly": "yes" if info["aof_enabled"] else "no",
    }
