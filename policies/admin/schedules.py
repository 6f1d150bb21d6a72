"""Schedules with their weekly windows, and the holidays that override them."""

from django.contrib import admin

from policies.console import ModelAdmin, TabularInline
from policies.models import Holiday, HolidayWindow, Schedule, ScheduleWindow


class ScheduleWindowInline(TabularInline):
    model = ScheduleWindow
    extra = 1


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    """When rules hold every week."""

    search_fields = ("name",)
    inlines = (ScheduleWindowInline,)


class HolidayWindowInline(TabularInline):
    model = HolidayWindow
    extra = 1


@admin.register(Holiday)
class HolidayAdmin(ModelAdmin):
    """Days on which schedules rest."""

    list_display = ("name", "date", "yearly")
    search_fields = ("name",)
    inlines = (HolidayWindowInline,)
