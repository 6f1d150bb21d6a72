"""What doors reported of themselves: evidence, so only to be read."""

from django.contrib import admin

from access.admin.filters import DoorFilter
from access.models import DoorEvent
from policies.evidence import DaysFilter, EvidenceAdmin


@admin.register(DoorEvent)
class DoorEventAdmin(EvidenceAdmin):
    """What doors reported of themselves."""

    list_display = ("timestamp", "where", "event")
    list_filter = (DaysFilter, DoorFilter, "event")
    fields = ("timestamp", "where", "event", "fields", "log_id")

    @admin.display(description="door", ordering="device_name")
    def where(self, row: DoorEvent) -> str:
        return row.device_name or row.device_id
