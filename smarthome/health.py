"""Is the house alive, ready, healthy? Asked by people, by nginx and by supervisors."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_safe

from access import clock
from policies.moments import utc_text
from realtime.management.commands.run_worker import HEARTBEAT_KEY

DATABASE_SECONDS = 1.0
WORKER_SECONDS = 5.0
REDIS_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 0.1,
    "socket_timeout": 0.1,
    "retry": None,
}


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """`healthy`; `degraded` when Redis or the workers are away, doors being answered all the same,
    or, with its `reason`, when the clock is wrong; `unhealthy` (503) when the database is away."""
    found = look()
    return JsonResponse(found, status=503 if found["status"] == "unhealthy" else 200)


def look() -> dict[str, Any]:
    """How the house is: `status`, `version`, `timestamp`, `services` and, if any, the `reason`."""
    now = timezone.now()
    database = _database_answers()
    services = {"redis": "embedded", "worker": "embedded"}
    if not settings.EMBEDDED:
        services = {"redis": _word(_redis_answers()), "worker": _word(_worker_works())}
    reason = clock.problem(now) if database else ""
    status = "degraded" if reason or "disconnected" in services.values() else "healthy"
    return {
        "status": status if database else "unhealthy",
        "version": settings.VERSION,
        "timestamp": utc_text(now),
        "services": {"database": _word(database), **services},
        **({"reason": reason} if reason else {}),
    }


def _word(answers: bool) -> str:
    return "connected" if answers else "disconnected"


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"alive": True})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """The database is there and has every migration."""
    is_ready = _database_answers() and (_was_migrated() or _is_migrated())
    return JsonResponse({"ready": is_ready}, status=200 if is_ready else 503)


def _database_answers() -> bool:
    if connection.vendor == "sqlite":
        return _select_one()
    # A database server that is frozen or cut off answers nothing at all, not even a time-out.
    answer = _asker.submit(_ask_database)
    try:
        return answer.result(DATABASE_SECONDS)
    except TimeoutError:
        answer.cancel()  # one that waits behind another is not asked any more
        return False


def _ask_database() -> bool:
    """On a thread, with a connection of its own that is made and ended here."""
    try:
        return _select_one()
    finally:
        connection.close()


def _select_one() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return False
    return True


_asker = ThreadPoolExecutor(1, thread_name_prefix="health")


def _redis_answers() -> bool:
    """Both: the streams and the cache."""
    try:
        urls = settings.REDIS_URL, settings.CACHE_REDIS_URL
        return all(bool(_redis_client(url).ping()) for url in urls)
    except redis.RedisError:
        return False


def _worker_works() -> bool:
    """A worker says every second that it is there; one that is in a large batch, less often."""
    try:
        seen = cache.get(HEARTBEAT_KEY)
    except redis.RedisError:
        return False
    return isinstance(seen, float) and abs(time.time() - seen) < WORKER_SECONDS


@lru_cache(maxsize=4)
def _redis_client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, **REDIS_OPTIONS)


def _is_migrated() -> bool:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not pending:
        _migrated.add(True)
    return not pending


# Reading the plan takes 20 ms, and a migrated database stays migrated while a process runs.
_migrated: set[bool] = set()


def _was_migrated() -> bool:
    return bool(_migrated)


urlpatterns = [
    path("health", health, name="health"),
    path("health/live", live, name="health-live"),
    path("health/ready", ready, name="health-ready"),
]
