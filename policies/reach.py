"""Whom the policies let through which doors, read as values in nine queries.

Two of these, read before and after a change, tell who gained and who lost something
(`policies.consequences`). Cards, visits and lockdowns are no part of it: what a rule allows is one
question, whether a card is lost or the house shut for an hour another.
"""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from policies.models import Device, Door, Holiday, Person, Rule, ScheduleWindow, Zone
from policies.rules import HolidayDay, Window
from policies.week import ALWAYS, Spans, covered


@dataclass(frozen=True, slots=True)
class Holder:
    """A person: half-open validity, and the groups."""

    name: str
    active: bool
    valid_from: dt.datetime | None
    valid_until: dt.datetime | None
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Opening:
    """A rule: for whom (None: everyone), which doors, when (None: always, holidays included)."""

    group: int | None
    doors: frozenset[str]
    windows: tuple[Window, ...] | None


@dataclass(frozen=True, slots=True)
class Entrance:
    """A door, when it answers nobody, and by which windows it stays open for anybody."""

    name: str
    shut: Spans
    unlocked: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    holders: dict[int, Holder]
    openings: dict[int, Opening]
    entrances: dict[str, Entrance]
    holidays: tuple[HolidayDay, ...]

    @classmethod
    def read(cls) -> "Reach":
        windows = _windows()
        entrances = _entrances(windows)
        return cls(
            holders=_holders(),
            openings=_openings(frozenset(entrances), windows),
            entrances=entrances,
            holidays=Holiday.objects.values_of_all(),
        )


def _windows() -> dict[int, tuple[Window, ...]]:
    found: dict[int, tuple[Window, ...]] = defaultdict(tuple)
    rows = ScheduleWindow.objects.order_by("pk")
    for schedule, days, start, end in rows.values_list("schedule", "days", "starts_at", "ends_at"):
        found[schedule] += (Window(days, start, end),)
    return found


def _entrances(windows: dict[int, tuple[Window, ...]]) -> dict[str, Entrance]:
    rows = Door.objects.values_list(
        "device",
        "device__name",
        "device__enabled",
        "switched_on",
        "always_locked",
        "always_unlocked",
    )
    return {
        device: Entrance(
            name or device,
            covered(windows[locked]) if enabled and switched_on else ALWAYS,
            windows[unlocked],
        )
        for device, name, enabled, switched_on, locked, unlocked in rows
    }


def _holders() -> dict[int, Holder]:
    groups: dict[int, set[int]] = defaultdict(set)
    for person, group in Person.groups.through.objects.values_list("person", "peoplegroup"):
        groups[person].add(group)
    rows = Person.objects.values_list("pk", "name", "active", "valid_from", "valid_until")
    return {
        pk: Holder(name, active, start, end, frozenset(groups[pk]))
        for pk, name, active, start, end in rows
    }


def _openings(
    every_door: frozenset[str], windows: dict[int, tuple[Window, ...]]
) -> dict[int, Opening]:
    doors: dict[int, set[str]] = defaultdict(set)
    for rule, door in Rule.doors.through.objects.values_list("rule", "door"):
        doors[rule].add(door)
    zones: dict[int | None, set[str]] = defaultdict(set)
    in_zones = Zone.devices.through.objects.filter(device__kind=Device.Kind.DOOR)
    for zone, door in in_zones.values_list("zone", "device"):
        zones[zone].add(door)
    return {
        pk: Opening(
            group,
            every_door if is_every else frozenset(doors[pk] | zones[zone]),
            None if schedule is None else windows[schedule],
        )
        for pk, group, is_every, zone, schedule in Rule.objects.order_by("pk").values_list(
            "pk", "group", "every_door", "zone", "schedule"
        )
    }
