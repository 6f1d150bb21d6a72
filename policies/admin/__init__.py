"""The console's pages about people, cards, devices and rules, one file a subject."""

from django.contrib import admin

from policies.admin import cards, devices, doors, people, rules, schedules

__all__ = ["cards", "devices", "doors", "people", "rules", "schedules"]

admin.site.site_header = "Smart home"
admin.site.site_title = "Smart home"
admin.site.index_title = "Console"
