"""Readings in the console: evidence, to be read only."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from policies.evidence import DaysFilter, EvidenceAdmin
from policies.models import Device
from policies.moments import parse_moment
from sensors import timescale
from sensors.models import FLAG_WORDS, UNITS, SensorReading


class DeviceFilter(admin.SimpleListFilter):
    """The devices on record: a list of all that ever sent would read the whole table."""

    title = "device"
    parameter_name = "device"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(device.device_id, str(device)) for device in Device.objects.all()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[SensorReading]
    ) -> QuerySet[SensorReading]:
        return queryset.filter(device_id=self.value()) if self.value() else queryset


class TimeFilter(DaysFilter):
    column = "time"


class ReadingList(ChangeList):
    """Its links say when: a hypertable finds a row by its time, not by its id."""

    def url_for_result(self, result: Any) -> str:
        when = urlencode({"at": result.time.isoformat()})
        return f"{super().url_for_result(result)}?{when}"


@admin.register(SensorReading)
class SensorReadingAdmin(EvidenceAdmin):
    list_display = ("time", "device", "temperatures", "humidities", "pressures", "remarks")
    list_filter = (TimeFilter, DeviceFilter, "time_source")
    list_per_page = 50
    fields = (
        "device",
        "time",
        "temperatures",
        "humidities",
        "pressures",
        "metrics",
        "remarks",
        "time_source",
        "device_time",
        "received_at",
        "id",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SensorReading]:
        name = Device.objects.filter(device_id=OuterRef("device_id")).values("name")
        rows: QuerySet[SensorReading] = super().get_queryset(request)
        return rows.annotate(device_name=Subquery(name))

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return ReadingList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> SensorReading | None:
        """The reading of the page. A hypertable would be read whole for an id without its time."""
        try:
            at = parse_moment(request.GET["at"])
            return self.get_queryset(request).filter(time=at, pk=UUID(object_id)).first()
        except KeyError:
            is_found = connection.vendor != "postgresql" or timescale.readings_have_key()
            return super().get_object(request, object_id, from_field) if is_found else None
        except ValueError:
            return None

    @admin.display(ordering="device_id")
    def device(self, reading: SensorReading) -> str:
        return getattr(reading, "device_name", "") or reading.device_id

    @admin.display(description="temperature")
    def temperatures(self, reading: SensorReading) -> str | None:
        return _with_unit(reading, "temperature")

    @admin.display(description="humidity")
    def humidities(self, reading: SensorReading) -> str | None:
        return _with_unit(reading, "humidity")

    @admin.display(description="pressure")
    def pressures(self, reading: SensorReading) -> str | None:
        return _with_unit(reading, "pressure")

    @admin.display(description="remarks")
    def remarks(self, reading: SensorReading) -> str:
        return "; ".join(FLAG_WORDS.get(flag, flag) for flag in reading.flags)


def _with_unit(reading: SensorReading, metric: str) -> str | None:
    value = getattr(reading, metric)
    return None if value is None else f"{value:.6g} {UNITS[metric]}"
