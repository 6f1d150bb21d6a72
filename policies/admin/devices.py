"""Devices and what they identify themselves by."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from policies.admin.preview import PreviewedAdmin
from policies.console import ModelAdmin, TabularInline, counted
from policies.models import Certificate, Device, Zone


class ZoneInline(TabularInline):
    model = Zone.devices.through
    extra = 1
    verbose_name = "zone"
    verbose_name_plural = "zones"


class CertificateInline(TabularInline):
    """What a device may identify itself by; only looked at."""

    model = Certificate
    fields = ("serial", "not_before", "not_after", "revoked_at")
    readonly_fields = fields
    extra = 0
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Device)
class DeviceAdmin(PreviewedAdmin):
    """Doors and sensors. They come by `enrol_device`; the log keeps their names, so they stay."""

    list_display = ("name_or_id", "device_id", "kind", "enabled", "last_seen", "firmware_version")
    list_filter = ("kind", "enabled", "zones")
    list_select_related = ("presence",)
    search_fields = ("name", "device_id")
    fields = ("device_id", "kind", "name", "enabled", "firmware_version", "added_at", "last_seen")
    readonly_fields = ("device_id", "kind", "firmware_version", "added_at", "last_seen")
    inlines = (ZoneInline, CertificateInline)
    actions = ("revoke_certificates",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="name", ordering="name")
    def name_or_id(self, device: Device) -> str:
        return str(device)

    @admin.display(description="last heard", ordering="presence__last_seen")
    def last_seen(self, device: Device) -> Any:
        heard = getattr(device, "presence", None)
        return heard and heard.last_seen

    @admin.action(
        description="Revoke certificates: refused from the next request on", permissions=["change"]
    )
    def revoke_certificates(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        count = Certificate.objects.filter(device__in=queryset).revoke()
        for device in queryset:
            self.log_change(request, device, "certificates revoked")
        self.message_user(request, f"{counted(count, 'certificate')} revoked.")


@admin.register(Certificate)
class CertificateAdmin(ModelAdmin):
    """What devices identify themselves by. Nothing to edit; revoking is an action."""

    list_display = ("device", "serial", "not_before", "not_after", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("device",)
    fields = ("device", "serial", "fingerprint", "not_before", "not_after", "revoked_at")
    readonly_fields = fields
    search_fields = ("device__name", "device__device_id", "serial", "fingerprint")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke: refused from the next request on", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> None:
        certificates = list(queryset)
        count = Certificate.objects.filter(pk__in=[one.pk for one in certificates]).revoke()
        for certificate in certificates:
            self.log_change(request, certificate, "revoked")
        self.message_user(request, f"{counted(count, 'certificate')} revoked.")
