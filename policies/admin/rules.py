"""Rules: who may pass which doors, and when."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from policies.admin.preview import PreviewedAdmin
from policies.consequences import listed
from policies.models import Door, Rule

MOST_PLACES = 4


@admin.register(Rule)
class RuleAdmin(PreviewedAdmin):
    """Who may pass which doors, and when. What no rule allows is refused."""

    list_display = ("name", "who", "where", "when")
    list_filter = ("group", "zone", "schedule")
    list_select_related = ("group", "zone", "schedule")
    search_fields = ("name",)
    search_help_text = "A part of the name."
    fieldsets = (
        (None, {"fields": ("name",)}),
        ("Who", {"fields": ("group",)}),
        ("Which doors", {"fields": ("every_door", "zone", "doors")}),
        ("When", {"fields": ("schedule",)}),
    )
    filter_horizontal = ("doors",)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **options: Any) -> Any:
        if db_field.name == "doors":  # each says the name of its device
            options["queryset"] = Door.objects.select_related("device")
        return super().formfield_for_manytomany(db_field, request, **options)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        return super().get_queryset(request).prefetch_related("doors__device")

    @admin.display(description="who", ordering="group")
    def who(self, rule: Rule) -> str:
        return str(rule.group or "everyone")

    @admin.display(description="where")
    def where(self, rule: Rule) -> str:
        if rule.every_door:
            return "every door"
        places: list[Any] = [*([rule.zone] if rule.zone else []), *rule.doors.all()]
        return listed([str(place) for place in places], MOST_PLACES) if places else "nowhere"

    @admin.display(description="when", ordering="schedule")
    def when(self, rule: Rule) -> str:
        return str(rule.schedule or "always")
