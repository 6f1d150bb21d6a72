"""Doors, and the zones that they are in."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from policies.console import ModelAdmin
from policies.models import Door, Zone


@admin.register(Zone)
class ZoneAdmin(ModelAdmin):
    """A set of doors and sensors."""

    list_display = ("name", "device_list", "lockdown")
    search_fields = ("name",)
    filter_horizontal = ("devices",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Zone]:
        return super().get_queryset(request).prefetch_related("devices")

    @admin.display(description="devices")
    def device_list(self, zone: Zone) -> str:
        return ", ".join(str(device) for device in zone.devices.all())


@admin.register(Door)
class DoorAdmin(ModelAdmin):
    """What a door does when it may open. It comes and goes with its device."""

    list_display = ("device", "switched_on", "lockdown", "unlock_seconds")
    list_select_related = ("device",)
    fields = (
        "device",
        "switched_on",
        "lockdown",
        "unlock_seconds",
        "always_locked",
        "always_unlocked",
    )
    readonly_fields = ("device",)
    search_fields = ("device__name", "device__device_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
