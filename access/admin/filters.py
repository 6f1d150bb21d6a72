"""By which door and which person evidence is filtered."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from policies.models import Device, Person, folded


class DoorFilter(admin.SimpleListFilter):
    """The doors by name, from the short table of devices: the log is too long to ask."""

    title = "door"
    parameter_name = "door"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        doors = Device.objects.filter(kind=Device.Kind.DOOR)
        return [(door.device_id, str(door)) for door in doors]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        door = (self.value() or "").replace("\0", "")
        return queryset.filter(device_id=door) if door else queryset


class PersonFilter(admin.ListFilter):
    """One name, whole. The log keeps names as they were; case matters to it, not to who asks."""

    title = "person"
    template = "admin/person_filter.html"

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self.name = params.pop("person", [""])[-1].replace("\0", "").strip()

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return ["person"]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield {
            "kept": {k: v for k, v in changelist.params.items() if k not in ("person", "p")},
            "name": self.name,
            "query_string": changelist.get_query_string({}, ["person"]),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.name:
            return queryset
        person = Person.objects.filter(folded_name=folded(self.name)).first()
        return queryset.filter(user_name__in={self.name, person.name if person else self.name})
