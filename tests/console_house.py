"""A house that is lived in, for the console's pages."""

FURNISH = """
import datetime as dt
from django.contrib.auth.models import Group, User
from django.utils import timezone
from access.models import AccessLog
from policies.ids import uuid7
from policies.models import (Card, Device, Door, Holiday, HolidayWindow, PeopleGroup, Person, Rule,
    Schedule, ScheduleWindow, Zone)
from policies.moments import to_milliseconds

NAMES = {"front-door": "Front door", "garage": "Garage", "workshop": "Workshop"}
for key, name in NAMES.items():
    Device.objects.filter(pk=key).update(name=name)
ground, cellar = (Zone.objects.create(name=name) for name in ("Ground floor", "Cellar"))
ground.devices.add("front-door", "garage")
cellar.devices.add("workshop")
family, cleaners, tenants = (
    PeopleGroup.objects.create(name=name) for name in ("Family", "Cleaners", "Tenants"))
family.exempt_from_lockdown = True
family.save()

def schedule(name, *windows):
    made = Schedule.objects.create(name=name)
    for days, start, end in windows:
        ScheduleWindow.objects.create(schedule=made, days=days, starts_at=start, ends_at=end)
    return made

cleaning = schedule("Cleaning", (2, "09:00", "12:00"), (16, "14:00", "17:00"))
day = schedule("By day", (31, "06:30", "21:00"), (96, "08:00", "22:00"))
night = schedule("Night shift", (31, "22:00", "06:00"))
Holiday.objects.create(name="Christmas Day", date=dt.date(2026, 12, 25), yearly=True)
eve = Holiday.objects.create(name="Christmas Eve", date=dt.date(2026, 12, 24), yearly=True)
HolidayWindow.objects.create(holiday=eve, starts_at="08:00", ends_at="13:00")
Holiday.objects.create(name="Moving day", date=timezone.localdate() + dt.timedelta(days=20))
Rule.objects.all().delete()
Rule.objects.create(name="Family everywhere", group=family, every_door=True)
Rule.objects.create(name="Cleaning", group=cleaners, zone=ground, schedule=cleaning)
Rule.objects.create(name="Tenants by day", group=tenants, zone=ground, schedule=day)
workshop = Rule.objects.create(name="Workshop at night", group=tenants, schedule=night)
workshop.doors.add("workshop")
people = {"Anna Müller": family, "Ben Müller": family, "Carla Rossi": cleaners,
          "Deniz Yılmaz": tenants, "Emil Holm": tenants, "Fatou Diop": tenants}
for number, (name, group) in enumerate(people.items(), start=1):
    person = Person.objects.create(name=name)
    person.groups.add(group)
    Card.objects.create(uid=f"04:A3:2B:F2:1C:{number:02}", person=person, label="blue fob")
anna = Person.objects.get(name="Anna Müller")
Card.objects.create(uid="04:7C:11:92:5E:80", person=anna, label="white card", status="blocked")
emil = Person.objects.get(name="Emil Holm")
emil.valid_until = timezone.now() + dt.timedelta(days=40)
emil.save()
Door.objects.filter(pk="workshop").update(always_locked=None, unlock_seconds=8)
now = to_milliseconds(timezone.now())
rows = [("Anna Müller", "front-door", True, "granted", "Family everywhere", 1),
        ("Deniz Yılmaz", "front-door", True, "granted", "Tenants by day", 4),
        ("", "garage", False, "unknown_card", "", 0),
        ("Carla Rossi", "garage", False, "outside_schedule", "", 3),
        ("Anna Müller", "workshop", True, "granted", "Family everywhere", 1)]
for age, (who, door, granted, reason, rule, card) in enumerate(rows):
    at = now - dt.timedelta(minutes=7 + 13 * age)
    AccessLog.objects.create(log_id=uuid7(at), timestamp=at, device_id=door,
        device_name=NAMES[door], card_uid=f"04:A3:2B:F2:1C:{card:02}", user_name=who,
        granted=granted, reason=reason, rule=rule, latency_ms=3.2)
for role in ("viewer", "operator", "manager", "owner"):
    user = User.objects.create_user(role, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
"""
