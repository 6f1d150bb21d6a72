"""Zones: sets of doors and sensors, and their lockdown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from policies.admin.lockdown import LockableAdmin
from policies.admin.preview import PreviewedAdmin
from policies.consequences import listed
from policies.models import Zone

MOST_DEVICES = 4


@admin.register(Zone)
class ZoneAdmin(LockableAdmin, PreviewedAdmin):
    """A set of doors and sensors."""

    list_display = ("name", "device_list", "rule_list", "lockdown")
    list_filter = ("lockdown",)
    search_fields = ("name",)
    search_help_text = "A part of the name."
    fields = ("name", "devices")
    filter_horizontal = ("devices",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Zone]:
        return super().get_queryset(request).prefetch_related("devices", "rules")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleting a zone that is locked down would open its doors."""
        return super().has_delete_permission(request, obj) and not (obj and obj.lockdown)

    @admin.display(description="devices")
    def device_list(self, zone: Zone) -> str:
        devices = [str(device) for device in zone.devices.all()]
        return listed(devices, MOST_DEVICES) if devices else "none yet"

    @admin.display(description="rules")
    def rule_list(self, zone: Zone) -> str:
        rules: list[Any] = [str(rule) for rule in zone.rules.all()]
        return listed(rules, MOST_DEVICES) if rules else "none yet"
