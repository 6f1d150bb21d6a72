"""The house's policies, read into the shape of the file."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet

from policies.files.document import DEFAULTS, HOUSE, Entry, Sections, key_of
from policies.models import (
    Card,
    Device,
    Door,
    Holiday,
    House,
    PeopleGroup,
    Person,
    Rule,
    Schedule,
    Visit,
    Zone,
)
from policies.moments import utc_text
from policies.snapshot import snapshot
from policies.windows import clock_text, date_text, day_names


def read(*, to_change: bool = False) -> Sections:
    """What is on record now, of one state, in a dozen queries.

    `to_change`: inside a transaction; what decides something is locked until its end, so that
    nobody blocks a card between our reading and our writing.
    """

    def rows(query: QuerySet[Any], *fields: str) -> QuerySet[Any, Any]:
        if to_change:
            query = query.select_for_update(of=("self",))
        return query.order_by().values_list(*fields)

    with snapshot():
        sections = {
            "people": _people(rows(Person.objects.all(), *PERSON)),
            "cards": _cards(rows(Card.objects.all(), *CARD)),
            "zones": _zones(rows(Zone.objects.all(), "pk", "name", "lockdown")),
            "schedules": _schedules(),
            "holidays": _holidays(),
            "rules": _rules(rows(Rule.objects.all(), *RULE)),
            "groups": [
                {"name": name, "exempt_from_lockdown": exempt}
                for name, exempt in rows(PeopleGroup.objects.all(), "name", "exempt_from_lockdown")
            ],
            "doors": _doors(rows(Door.objects.all(), *DOOR)),
        }
        house = {"lockdown": any(on for (on,) in rows(House.objects.all(), "lockdown"))}
    return {
        section: {key_of(section, entry): entry for entry in entries}
        for section, entries in sections.items()
    } | {HOUSE: {HOUSE: house}}


def devices() -> dict[str, str]:
    """Every device with its kind."""
    return dict(Device.objects.order_by().values_list("device_id", "kind"))


PERSON = ("pk", "name", "active", "valid_from", "valid_until")
CARD = ("uid", "person__name", "status", "label", "valid_from", "valid_until")
RULE = ("pk", "name", "group__name", "every_door", "zone__name", "schedule__name")
DOOR = ("pk", "switched_on", "lockdown", "always_locked__name", "always_unlocked__name")


def _people(rows: Iterable[Any]) -> list[Entry]:
    groups = _related(Person.groups.through, "person", "peoplegroup__name")
    visitors = _visitors("person")
    return [
        {
            "name": name,
            "groups": groups[pk],
            "active": active,
            "valid_from": _text(valid_from),
            "valid_until": _text(valid_until),
            "visitor": pk in visitors,
        }
        for pk, name, active, valid_from, valid_until in rows
    ]


def _cards(rows: Iterable[Any]) -> list[Entry]:
    visitors = _visitors("card")
    return [
        {
            "uid": uid,
            "person": person,
            "status": status,
            "label": label,
            "valid_from": _text(valid_from),
            "expires_at": _text(valid_until),
            "visitor": uid in visitors,
        }
        for uid, person, status, label, valid_from, valid_until in rows
    ]


def _visitors(of: str) -> set[Any]:
    """Whose visits are on record. The visits themselves are no part of the file; without them a
    visitor would be somebody whom rules let in at any time."""
    return {*Visit.objects.order_by().values_list(of, flat=True)}


def _zones(rows: Iterable[Any]) -> list[Entry]:
    inside = _related(Zone.devices.through, "zone", "device")
    return [
        {"name": name, "devices": inside[pk], "lockdown": lockdown} for pk, name, lockdown in rows
    ]


def _schedules() -> list[Entry]:
    return [
        {
            "name": schedule.name,
            "windows": in_order(
                {"days": day_names(one.days)} | _span(one.starts_at, one.ends_at)
                for one in schedule.windows.all()
            ),
        }
        for schedule in Schedule.objects.prefetch_related("windows")
    ]


def _holidays() -> list[Entry]:
    return [
        {
            "date": date_text(holiday.date),
            "name": holiday.name,
            "yearly": holiday.yearly,
            "windows": in_order(_span(one.starts_at, one.ends_at) for one in holiday.windows.all()),
        }
        for holiday in Holiday.objects.prefetch_related("windows")
    ]


def _rules(rows: Iterable[Any]) -> list[Entry]:
    doors = _related(Rule.doors.through, "rule", "door")
    return [
        rule(
            name=name,
            group=group,
            every_door=every_door,
            doors=doors[pk],
            zone=zone,
            schedule=schedule,
        )
        for pk, name, group, every_door, zone, schedule in rows
    ]


def rule(
    *,
    name: str,
    group: str | None = None,
    every_door: bool = False,
    doors: Iterable[str] = (),
    zone: str | None = None,
    schedule: str | None = None,
) -> Entry:
    """A rule as the file has it: where it holds is said by the members that are needed for it."""
    named = sorted(set(doors))
    entry: Entry = {"name": name, "group": group}
    if every_door:
        entry["every_door"] = True
    if zone is not None:
        entry["zone"] = zone
    if named or not (every_door or zone):
        entry["doors"] = named
    return entry | {"schedule": schedule}


def _doors(rows: Iterable[Any]) -> list[Entry]:
    """Those of which there is something to say."""
    entries = [
        {
            "device": pk,
            "switched_on": switched_on,
            "lockdown": lockdown,
            "always_locked": locked,
            "always_unlocked": unlocked,
        }
        for pk, switched_on, lockdown, locked, unlocked in rows
    ]
    return [entry for entry in entries if entry | DEFAULTS["doors"] != entry]


def in_order(windows: Iterable[Entry]) -> list[Entry]:
    """Windows in one order, each once."""
    by_text = {str(window): window for window in windows}
    return sorted(by_text.values(), key=lambda one: (one["from"], one["to"], str(one)))


def _span(starts_at: dt.time, ends_at: dt.time) -> Entry:
    return {"from": clock_text(starts_at), "to": clock_text(ends_at)}


def _text(moment: dt.datetime | None) -> str | None:
    return utc_text(moment) if moment else None


def _related(through: type[Model], of: str, what: str) -> defaultdict[Any, list[str]]:
    """By the key of one side of a many-to-many field, what the other side shows, sorted."""
    found: defaultdict[Any, list[str]] = defaultdict(list)
    for key, value in through._default_manager.values_list(of, what):
        found[key].append(value)
    for values in found.values():
        values.sort()
    return found
