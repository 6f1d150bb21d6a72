"""The console's pages about people, cards, devices and rules, one file a subject."""

from django.contrib import admin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from policies.admin import audit, cards, devices, doors, people, rules, schedules, visits

__all__ = ["audit", "cards", "devices", "doors", "people", "rules", "schedules", "visits"]

admin.site.site_header = "Smart home"
admin.site.site_title = "Smart home"
admin.site.index_title = "Console"
# Keys and recovery codes are for nobody to look at: who has them sets them up at /second-factor.
admin.site.unregister([StaticDevice, TOTPDevice])
