"""Rules: who may pass which doors, and when."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from policies.console import ModelAdmin
from policies.models import Rule


@admin.register(Rule)
class RuleAdmin(ModelAdmin):
    """Who may pass which doors."""

    list_display = ("name", "who", "where", "schedule")
    list_select_related = ("group", "zone", "schedule")
    search_fields = ("name",)
    fields = ("name", "group", "every_door", "doors", "zone", "schedule")
    filter_horizontal = ("doors",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        return super().get_queryset(request).prefetch_related("doors__device")

    @admin.display(description="who")
    def who(self, rule: Rule) -> str:
        return str(rule.group or "everyone")

    @admin.display(description="where")
    def where(self, rule: Rule) -> str:
        if rule.every_door:
            return "every door"
        places = [*rule.doors.all(), *([rule.zone] if rule.zone else [])]
        return ", ".join(str(place) for place in places) or "nowhere"
