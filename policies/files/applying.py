"""Makes the house what a comparison says, in bulk where there may be thousands."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from policies.audit import recording
from policies.edits import put_windows
from policies.files.comparison import Change
from policies.files.document import Entry
from policies.models import (
    Card,
    Door,
    Holiday,
    House,
    PeopleGroup,
    Person,
    Rule,
    Schedule,
    Visit,
    Zone,
    folded,
)
from policies.models.visits import this_moment
from policies.moments import parse_moment
from policies.windows import parse_clock, parse_date, parse_days

T = TypeVar("T")
BATCH = 500
Advance = Callable[[int], Any]


def apply(changes: Sequence[Change], advance: Advance) -> None:
    """Carry out the changes, inside the caller's transaction. `advance` hears how many are done."""
    by_section: defaultdict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_section[change.section].append(change)
    kept = {
        section: [change for change in some if change.after is not None]
        for section, some in by_section.items()
    }
    # What others refer to first.
    for section, write in WRITERS.items():
        for batch in _batches(kept.get(section, [])):
            with recording(savepoint=False):
                write(batch)
            advance(len(batch))
    # What refers to others first.
    for section, rows in REMOVED.items():
        gone = [change for change in by_section[section] if change.after is None]
        for batch in _batches(gone):
            rows([change.key for change in batch]).delete()
            advance(len(batch))


def _write_groups(changes: Sequence[Change]) -> None:
    for change, after in _pairs(changes):
        group = _named(PeopleGroup, change.key, after)
        group.exempt_from_lockdown = after["exempt_from_lockdown"]
        group.save()


def _write_people(changes: Sequence[Change]) -> None:
    Person.objects.bulk_create(
        [
            Person(
                name=after["name"],
                folded_name=change.key,
                active=after["active"],
                valid_from=_moment(after["valid_from"]),
                valid_until=_moment(after["valid_until"]),
            )
            for change, after in _pairs(changes)
        ],
        update_conflicts=True,
        unique_fields=["folded_name"],
        update_fields=["name", "active", "valid_from", "valid_until"],
    )
    people = _people(change.key for change in changes)
    _write_memberships(changes, people)
    _write_visitors("person", {people[change.key]: change for change in changes})


def _write_memberships(changes: Sequence[Change], people: Mapping[str, int]) -> None:
    groups = dict(PeopleGroup.objects.order_by().values_list("folded_name", "pk"))
    through = Person.groups.through
    joined, left = [], defaultdict(list)
    for change, after in _pairs(changes):
        before = set(map(folded, change.before["groups"])) if change.before else set()
        wanted = set(map(folded, after["groups"]))
        joined += [
            through(person_id=people[change.key], peoplegroup_id=groups[name])
            for name in wanted - before
        ]
        for name in before - wanted:
            left[name].append(people[change.key])
    through._default_manager.bulk_create(joined)
    for name, persons in left.items():
        through._default_manager.filter(peoplegroup=groups[name], person__in=persons).delete()


def _write_cards(changes: Sequence[Change]) -> None:
    people = _people({folded(after["person"]) for _, after in _pairs(changes)})
    Card.objects.bulk_create(
        [
            Card(
                uid=change.key,
                person_id=people[folded(after["person"])],
                label=after["label"],
                status=after["status"],
                valid_from=_moment(after["valid_from"]),
                valid_until=_moment(after["expires_at"]),
            )
            for change, after in _pairs(changes)
        ],
        update_conflicts=True,
        unique_fields=["uid"],
        update_fields=["person", "label", "status", "valid_from", "valid_until"],
    )
    _write_visitors("card", {change.key: change for change in changes})


def _write_visitors(of: str, changes: Mapping[Any, Change]) -> None:
    """A visitor that comes with the file is one whose visit is over: somebody admits him again."""
    now = this_moment()
    come: list[Any] = []
    gone: list[Any] = []
    for key, change in changes.items():
        was = bool(change.before and change.before["visitor"])
        if change.after and was != change.after["visitor"]:
            (gone if was else come).append(key)
    Visit.objects.bulk_create(
        Visit(**{f"{of}_id": key}, starts_at=now, ends_at=now) for key in come
    )
    Visit.objects.filter(**{f"{of}__in": gone}).delete()


def _write_zones(changes: Sequence[Change]) -> None:
    for change, after in _pairs(changes):
        zone = _named(Zone, change.key, after)
        zone.lockdown = after["lockdown"]
        zone.save()
        zone.devices.set(after["devices"])


def _write_schedules(changes: Sequence[Change]) -> None:
    for change, after in _pairs(changes):
        schedule = _named(Schedule, change.key, after)
        schedule.save()
        put_windows(
            schedule, [{"days": parse_days(one["days"])} | _span(one) for one in after["windows"]]
        )


def _write_holidays(changes: Sequence[Change]) -> None:
    for change, after in _pairs(changes):
        holiday = _holidays([change.key]).first() or Holiday(yearly=after["yearly"])
        holiday.date = parse_date(after["date"])
        holiday.name = after["name"]
        holiday.save()
        put_windows(holiday, [_span(one) for one in after["windows"]])


def _write_rules(changes: Sequence[Change]) -> None:
    for change, after in _pairs(changes):
        rule = _named(Rule, change.key, after)
        rule.group = _reference(PeopleGroup, after["group"])
        rule.every_door = after.get("every_door", False)
        rule.zone = _reference(Zone, after.get("zone"))
        rule.schedule = _reference(Schedule, after["schedule"])
        rule.save()
        rule.doors.set(after.get("doors", []))


def _write_doors(changes: Sequence[Change]) -> None:
    for change, after in _pairs(changes):
        door = Door.objects.get(pk=change.key)
        door.switched_on, door.lockdown = after["switched_on"], after["lockdown"]
        door.always_locked = _reference(Schedule, after["always_locked"])
        door.always_unlocked = _reference(Schedule, after["always_unlocked"])
        door.save()


def _write_house(changes: Sequence[Change]) -> None:
    for _, after in _pairs(changes):
        House.current().set_lockdown(after["lockdown"])


WRITERS: dict[str, Callable[[Sequence[Change]], None]] = {
    "groups": _write_groups,
    "people": _write_people,
    "cards": _write_cards,
    "zones": _write_zones,
    "schedules": _write_schedules,
    "holidays": _write_holidays,
    "rules": _write_rules,
    "doors": _write_doors,
    "house": _write_house,
}

REMOVED: dict[str, Callable[[Sequence[str]], QuerySet[Any]]] = {
    "rules": lambda names: Rule.objects.filter(folded_name__in=names),
    "cards": lambda uids: Card.objects.filter(uid__in=uids),
    "people": lambda names: Person.objects.filter(folded_name__in=names),
    "zones": lambda names: Zone.objects.filter(folded_name__in=names),
    "groups": lambda names: PeopleGroup.objects.filter(folded_name__in=names),
    "schedules": lambda names: Schedule.objects.filter(folded_name__in=names),
    "holidays": lambda keys: _holidays(keys),
}


def _holidays(keys: Sequence[str]) -> QuerySet[Holiday]:
    """Those of the keys `2026-12-25` and `every 12-25`."""
    yearly = [key.removeprefix("every ") for key in keys if key.startswith("every ")]
    dates = [parse_date(key) for key in keys if not key.startswith("every ")]
    return Holiday.objects.filter(Q(yearly_on__in=yearly) | Q(yearly=False, date__in=dates))


def _named(model: type[Any], key: str, after: Entry) -> Any:
    """What is on record under that name, or is to be; spelled as it will be."""
    row = model.objects.filter(folded_name=key).first() or model()
    row.name = after["name"]
    return row


def _reference(model: type[Any], name: str | None) -> Any:
    return None if name is None else model.objects.get(folded_name=folded(name))


def _people(keys: Iterable[str]) -> dict[str, int]:
    """The keys of rows by those of entries."""
    rows = Person.objects.filter(folded_name__in=[*keys]).order_by()
    return dict(rows.values_list("folded_name", "pk"))


def _moment(text: str | None) -> dt.datetime | None:
    return None if text is None else parse_moment(text)


def _span(window: Entry) -> dict[str, Any]:
    return {"starts_at": parse_clock(window["from"]), "ends_at": parse_clock(window["to"])}


def _pairs(changes: Sequence[Change]) -> Iterator[tuple[Change, Entry]]:
    return ((change, change.after) for change in changes if change.after is not None)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
