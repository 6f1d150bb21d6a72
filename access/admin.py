"""The access log and door events in the console: evidence, so only to be read."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from access import history
from access.models import AccessLog, DoorEvent
from policies.evidence import EvidenceAdmin
from policies.models import Device


class DoorFilter(admin.SimpleListFilter):
    """The doors by name, from the short table of devices: the log is too long to ask."""

    title = "door"
    parameter_name = "door"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        doors = Device.objects.filter(kind=Device.Kind.DOOR)
        return [(door.device_id, str(door)) for door in doors]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(device_id=self.value()) if self.value() else queryset


@admin.register(AccessLog)
class AccessLogAdmin(EvidenceAdmin):
    """Who stood before which door, and what the door was told."""

    list_display = ("timestamp", "who", "where", "granted", "reason", "rule")
    list_filter = ("timestamp", DoorFilter, "granted", "reason")
    search_fields = ("user_name",)
    search_help_text = "A person, a door, or a card number in any way of writing it."
    fields = (
        "timestamp",
        "who",
        "card_uid",
        "where",
        "granted",
        "reason",
        "rule",
        "latency_ms",
        "log_id",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AccessLog], search_term: str
    ) -> tuple[QuerySet[AccessLog], bool]:
        if not search_term:
            return queryset, False
        return queryset.filter(history.matching(search_term, with_uid=True)), False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields

    @admin.display(description="person", ordering="user_name")
    def who(self, row: AccessLog) -> str:
        return row.user_name or row.card_uid

    @admin.display(description="door", ordering="device_name")
    def where(self, row: AccessLog) -> str:
        return row.device_name or row.device_id


@admin.register(DoorEvent)
class DoorEventAdmin(EvidenceAdmin):
    """What doors reported of themselves."""

    list_display = ("timestamp", "where", "event")
    list_filter = ("timestamp", DoorFilter, "event")
    fields = ("timestamp", "where", "event", "fields", "log_id")

    @admin.display(description="door", ordering="device_name")
    def where(self, row: DoorEvent) -> str:
        return row.device_name or row.device_id
