"""Schedules with their weekly windows, and the holidays that override them."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Case, CharField, QuerySet, Value, When
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from policies import week
from policies.admin.days import DaysField
from policies.admin.preview import PreviewedAdmin
from policies.consequences import listed
from policies.console import StackedInline
from policies.models import Holiday, HolidayWindow, Schedule, ScheduleWindow
from policies.rules import Window
from policies.schedules import EVERY_DAY
from policies.week import Spans


class WindowForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    days = DaysField(initial=EVERY_DAY, help_text="The days on which it begins.")


class ScheduleWindowInline(StackedInline):
    """The hours of a schedule."""

    model = ScheduleWindow
    form = WindowForm
    fields = (("days", "starts_at", "ends_at"),)
    extra = 1
    verbose_name = "window"
    verbose_name_plural = "windows"


def spans_of(schedule: Schedule) -> Spans:
    """When a schedule holds in an ordinary week."""
    return week.covered(
        Window(one.days, one.starts_at, one.ends_at) for one in schedule.windows.all()
    )


@admin.register(Schedule)
class ScheduleAdmin(PreviewedAdmin):
    """When rules hold, every week by the clock of the building."""

    list_display = ("name", "grid", "used_by")
    search_fields = ("name",)
    search_help_text = "A part of the name."
    fields = ("name", "whole_week")
    readonly_fields = ("whole_week",)
    inlines = (ScheduleWindowInline,)
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        return (
            super()
            .get_queryset(request)
            .prefetch_related("windows", "rules", "locks__device", "unlocks__device")
        )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ("name",)

    def preview_context(self, saved: Schedule) -> dict[str, Any]:
        return {"week_then": spans_of(Schedule.objects.get(pk=saved.pk))}

    @admin.display(description="week")
    def grid(self, schedule: Schedule) -> SafeString:
        return _grid(schedule, "small")

    @admin.display(description="the week as it is now")
    def whole_week(self, schedule: Schedule) -> SafeString:
        return _grid(schedule, "large")

    @admin.display(description="used by")
    def used_by(self, schedule: Schedule) -> str:
        uses = [str(rule) for rule in schedule.rules.all()]
        uses += [f"{door} (locks it)" for door in schedule.locks.all()]
        uses += [f"{door} (opens it)" for door in schedule.unlocks.all()]
        return listed(uses) if uses else "nothing yet"


def _grid(schedule: Schedule, size: str) -> SafeString:
    return render_to_string("admin/week_of.html", {"spans": spans_of(schedule), "size": size})


class HolidayWindowInline(StackedInline):
    """When schedules hold on this day all the same."""

    model = HolidayWindow
    fields = (("starts_at", "ends_at"),)
    extra = 1
    verbose_name = "window of its own"
    verbose_name_plural = "windows of its own"


def comes(today: dt.date) -> Case:
    """The next date of a holiday, as text."""
    day = f"{today:%m-%d}"
    return Case(
        When(yearly=False, then=Cast("date", CharField())),
        When(yearly_on__gte=day, then=Concat(Value(f"{today.year}-"), "yearly_on")),
        default=Concat(Value(f"{today.year + 1}-"), "yearly_on"),
    )


@admin.register(Holiday)
class HolidayAdmin(PreviewedAdmin):
    """Days on which schedules rest; those to come stand first."""

    list_display = ("name", "next_day", "yearly", "open_hours")
    list_filter = ("yearly",)
    search_fields = ("name",)
    search_help_text = "A part of the name."
    fields = ("name", "date", "yearly")
    inlines = (HolidayWindowInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Holiday]:
        rows: QuerySet[Holiday] = super().get_queryset(request)
        return rows.prefetch_related("windows").annotate(comes=comes(timezone.localdate()))

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        today = timezone.localdate()
        is_over = Case(When(yearly=False, date__lt=today, then=1), default=0)
        return [is_over, comes(today), "yearly"]

    @admin.display(description="date", ordering="comes")
    def next_day(self, holiday: Holiday) -> str:
        if holiday.yearly:
            return f"{holiday.date.day} {holiday.date:%B}, every year"
        return f"{holiday.date:%a} {holiday.date.day} {holiday.date:%B %Y}"

    @admin.display(description="open all the same")
    def open_hours(self, holiday: Holiday) -> str:
        return ", ".join(str(window) for window in holiday.windows.all()) or "closed all day"
