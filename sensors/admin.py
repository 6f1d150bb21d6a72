"""Readings in the console: evidence, to be read only."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from policies.evidence import DaysFilter, EvidenceAdmin
from policies.models import Device
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
