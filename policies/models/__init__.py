"""Who and what is trusted: people, their cards, devices, their certificates, rules, schedules."""

from policies.models.audit import PolicyChange
from policies.models.devices import Device, Door, House, Presence, Zone
from policies.models.names import DEVICE_ID, MAX_NAME, NO_NUL, checked_name, folded
from policies.models.people import (
    Card,
    CardBlocked,
    CardExists,
    Person,
)
from policies.models.rules import PeopleGroup, Rule
from policies.models.schedules import Holiday, HolidayWindow, Schedule, ScheduleWindow
from policies.models.trust import Certificate, PolicyRevision, TokenFamily
from policies.models.visits import MOST_ENTRIES, Visit, VisitEntry

__all__ = [
    "DEVICE_ID",
    "MAX_NAME",
    "MOST_ENTRIES",
    "NO_NUL",
    "Card",
    "CardBlocked",
    "CardExists",
    "Certificate",
    "Device",
    "Door",
    "Holiday",
    "HolidayWindow",
    "House",
    "PeopleGroup",
    "Person",
    "PolicyChange",
    "PolicyRevision",
    "Presence",
    "Rule",
    "Schedule",
    "ScheduleWindow",
    "TokenFamily",
    "Visit",
    "VisitEntry",
    "Zone",
    "checked_name",
    "folded",
]
