"""The page of the system: is it well, does something pile up, how long will there be room."""

import datetime as dt
import shutil
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone

from policies.roles import Role
from realtime import consume, streams
from realtime.consume import State
from smarthome import health
from smarthome.guard import page_for, with_bar

BEHIND = 5.0  # seconds that an entry may be old before somebody should look
LITTLE = 0.1  # of the disk
DAY = dt.timedelta(days=1)
SIZE = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the house's data, and of the disk that `DATA_DIR` is on."""

    data: int
    free: int
    total: int
    age: dt.timedelta  # of the house

    @property
    def tone(self) -> str:
        return "bad" if self.free < LITTLE * self.total else "good"

    @property
    def lasts(self) -> str:
        """How long, if data goes on growing as it has since the house began."""
        if self.age < DAY:
            return "not known yet: the house is less than a day old"
        days = self.free / max(1.0, self.data / (self.age / DAY))
        if days > 20 * 365:
            return "more than 20 years at the pace so far"
        return f"about {_long(days)} at the pace so far"

    @classmethod
    def of_house(cls, now: dt.datetime) -> "Disk":
        with connection.cursor() as cursor:
            cursor.execute(SIZE[connection.vendor])
            (data,) = cursor.fetchone() or (0,)
        begun = MigrationRecorder.Migration.objects.aggregate(at=Min("applied"))["at"] or now
        usage = shutil.disk_usage(settings.DATA_DIR)
        return cls(int(data), usage.free, usage.total, now - begun)


@page_for(Role.OPERATOR)
def system(request: HttpRequest, role: Role) -> HttpResponse:
    """How the house is, as `/health` and `/metrics` say it to programs."""
    context = {
        "health": health.look(),
        "streams": [] if settings.EMBEDDED else waiting(),
        "embedded": settings.EMBEDDED,
        "disk": Disk.of_house(timezone.now()),
        "zone": settings.TIME_ZONE,
        "database": connection.vendor,
    }
    return render(request, "system.html", with_bar(role, context))


def waiting() -> list[dict[str, Any]]:
    """What is in each stream; nothing while their Redis is away, which `health` says."""
    try:
        states = consume.state(streams.connect(streams.INGEST_TIMEOUT))
    except redis.RedisError:
        return []
    return [
        {"state": one, "lag": max(0, one.length - one.pending), "tone": tone(one)} for one in states
    ]


def tone(one: State) -> str:
    return "bad" if one.dead else "warn" if one.oldest_seconds > BEHIND else "good"


def _long(days: float) -> str:
    for unit, length in (("years", 365.0), ("months", 30.4), ("days", 1.0)):
        if days >= 2 * length:
            return f"{days / length:.0f} {unit}"
    return "a day or two"


urlpatterns = [path("system", system, name="system")]
