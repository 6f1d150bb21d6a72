"""Is the house alive, ready, healthy? Asked by people, by nginx and by supervisors."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_safe

from policies.moments import utc_text


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """`healthy`, or `unhealthy` (503) when the database is away."""
    database = _database_answers()
    return JsonResponse(
        {
            "status": "healthy" if database else "unhealthy",
            "version": settings.VERSION,
            "timestamp": utc_text(timezone.now()),
            "services": {
                "database": "connected" if database else "disconnected",
                "redis": "embedded",
                "worker": "embedded",
            },
        },
        status=200 if database else 503,
    )


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
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return False
    return True


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
