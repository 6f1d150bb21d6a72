"""The console's pages about people, cards, devices and rules, one file a subject.

Doors are in `access.admin`, because their page tells who was there last.
"""

from django.contrib import admin
from django_otp.plugins.otp_static.admin import StaticDeviceAdmin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.admin import TOTPDeviceAdmin
from django_otp.plugins.otp_totp.models import TOTPDevice

from policies.admin import (
    audit,
    cards,
    devices,
    groups,
    lockdown,
    people,
    rules,
    schedules,
    visits,
    zones,
)

__all__ = [
    "audit",
    "cards",
    "devices",
    "groups",
    "lockdown",
    "people",
    "rules",
    "schedules",
    "visits",
    "zones",
]

admin.site.site_header = "Smart home"
admin.site.site_title = "Smart home"
admin.site.index_title = "Console"
# Keys and recovery codes are for nobody to look at: who has them sets them up at /second-factor.
# Their pages are imported above, or they would be registered after this.
for model, page in ((StaticDevice, StaticDeviceAdmin), (TOTPDevice, TOTPDeviceAdmin)):
    if isinstance(admin.site._registry.get(model), page):
        admin.site.unregister(model)
