"""A policy file, read strictly: what it says of whom, or every error with its place."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policies import strict_json
from policies.files.document import HOUSE, ONE, Entry, Sections, folded_references, key_of
from policies.files.on_record import in_order, rule
from policies.files.place import Place, WrongFile, quoted
from policies.models import folded
from policies.models.rules import told_rule
from policies.rules import CardStatus


@dataclass(frozen=True)
class Given:
    """What a file says of one entry; what it leaves out is not there."""

    path: str
    members: Entry


@dataclass
class PolicyFile:
    """What a file says, by section and key, and which sections it has at all."""

    sections: dict[str, dict[str, Given]] = field(
        default_factory=lambda: {section: {} for section in ONE}
    )
    has: frozenset[str] = frozenset()


@dataclass(frozen=True)
class House:
    """What the file may refer to beside itself: devices by kind, and (unless it replaces them)
    the policies on record."""

    policies: Sections
    devices: Mapping[str, str]
    replace: bool = False

    def holds(self, section: str, key: str) -> bool:
        return not self.replace and key in self.policies[section]


def read(text: str, house: House) -> PolicyFile:
    """The file's entries in canonical form; WrongFile with every error it has."""
    try:
        value = strict_json.parse_object(text, "The file")
    except strict_json.Malformed as error:
        raise WrongFile([str(error)]) from None
    errors: list[str] = []
    parts = Place(value, "", errors).members((*(s for s in ONE if s != HOUSE), "lockdown"))
    reader = _Reader(house, PolicyFile(has=frozenset(parts)))
    for section, read_entry in reader.in_order_of_reference():
        if section in parts:
            reader.collect(section, parts[section], read_entry)
    if "lockdown" in parts:
        members = {"lockdown": parts["lockdown"].flag()}
        reader.file.sections[HOUSE][HOUSE] = Given("lockdown", members)
    if errors:
        raise WrongFile(errors)
    return reader.file


class _Reader:
    """Reads section after section; each may refer to those before it."""

    def __init__(self, house: House, file: PolicyFile) -> None:
        self.house, self.file = house, file

    def in_order_of_reference(self) -> list[tuple[str, Callable[[Place], Entry]]]:
        return [
            ("groups", self.group),
            ("people", self.person),
            ("cards", self.card),
            ("zones", self.zone),
            ("schedules", self.schedule),
            ("holidays", self.holiday),
            ("doors", self.door),
            ("rules", self.rule),
        ]

    def collect(self, section: str, part: Place, read_entry: Callable[[Place], Entry]) -> None:
        entries = self.file.sections[section]
        # Those without a name come last: what they are called depends on which names are taken.
        for place in sorted(part.items(), key=_is_nameless):
            errors = len(place.errors)
            entry = read_entry(place)
            if len(place.errors) > errors:  # known all the same, so that one error is told once
                with suppress(KeyError):
                    entries.setdefault(key_of(section, entry), Given(place.path, entry))
                continue
            key = key_of(section, entry)
            if key in entries:
                place.wrong(f"This {ONE[section]} stands twice, first at {entries[key].path}.")
            entries.setdefault(key, Given(place.path, entry))

    def group(self, place: Place) -> Entry:
        return self.entry(
            place,
            {"name": Place.short_name, "exempt_from_lockdown": Place.flag},
            required=("name",),
        )

    def person(self, place: Place) -> Entry:
        return self.entry(
            place,
            {
                "name": Place.person_name,
                "groups": self.groups,
                "active": Place.flag,
                "valid_from": Place.moment_or_none,
                "valid_until": Place.moment_or_none,
                "visitor": Place.flag,
            },
            required=("name",),
            keeps_null=("valid_from", "valid_until"),
        )

    def card(self, place: Place) -> Entry:
        return self.entry(
            place,
            {
                "uid": Place.card_uid,
                "person": self.known_person,
                "status": lambda one: one.one_of([str(status) for status in CardStatus]),
                "label": Place.label,
                "valid_from": Place.moment_or_none,
                "expires_at": Place.moment_or_none,
                "visitor": Place.flag,
            },
            required=("uid", "person"),
            keeps_null=("valid_from", "expires_at"),
        )

    def zone(self, place: Place) -> Entry:
        """`doors` is another word for `devices`; where both stand, both count."""
        devices = lambda one: [self.device(item) for item in one.items()]  # noqa: E731
        entry = self.entry(
            place,
            {
                "name": Place.short_name,
                "devices": devices,
                "doors": devices,
                "lockdown": Place.flag,
            },
            required=("name",),
        )
        if "doors" in entry:
            entry["devices"] = entry.get("devices", []) + entry.pop("doors")
        if "devices" in entry:
            entry["devices"] = sorted(set(entry["devices"]))
        return entry

    def schedule(self, place: Place) -> Entry:
        windows = lambda one: self.windows(one, weekly=True)  # noqa: E731
        return self.entry(
            place, {"name": Place.short_name, "windows": windows}, ("name", "windows")
        )

    def holiday(self, place: Place) -> Entry:
        return self.entry(
            place,
            {
                "date": Place.date,
                "name": Place.short_name,
                "yearly": Place.flag,
                "windows": lambda one: self.windows(one, weekly=False),
            },
            required=("date", "name"),
        )

    def door(self, place: Place) -> Entry:
        return self.entry(
            place,
            {
                "device": self.known_door,
                "switched_on": Place.flag,
                "lockdown": Place.flag,
                "always_locked": self.schedule_or_none,
                "always_unlocked": self.schedule_or_none,
            },
            required=("device",),
            keeps_null=("always_locked", "always_unlocked"),
        )

    def rule(self, place: Place) -> Entry:
        """A rule is always whole: without a group it is for everyone, without a schedule always."""
        entry = self.entry(
            place,
            {
                "name": Place.short_name,
                "group": self.one_group,
                "every_door": Place.flag,
                "doors": lambda one: [self.known_door(item) for item in one.items()],
                "zone": self.zone_name,
                "schedule": self.schedule_name,
            },
        )
        if not (entry.get("every_door") or entry.keys() & {"doors", "zone"}):
            place.wrong('Where does it hold? Give "doors", "zone" or "every_door".')
        name = entry.pop("name", None) or self.name_of(rule(name="", **entry))
        return rule(name=name, **entry)

    def entry(
        self,
        place: Place,
        read: Mapping[str, Callable[[Place], Any]],
        required: tuple[str, ...] = (),
        keeps_null: tuple[str, ...] = (),
    ) -> Entry:
        members = place.members(read, keeps_null)
        for name in required:
            if name not in members and isinstance(place.value, dict):
                place.wrong(f"{quoted(name)} is missing.")
        return {name: read[name](member) for name, member in members.items()}

    def windows(self, place: Place, *, weekly: bool) -> list[Entry]:
        read: dict[str, Callable[[Place], Any]] = {"days": Place.days} if weekly else {}
        read |= {"from": Place.clock, "to": Place.clock}
        found: list[Entry] = []
        for item in place.items():
            errors = len(item.errors)
            window = self.entry(item, read, tuple(read))
            if window in found and len(item.errors) == errors:
                item.wrong("This window stands twice.")
            found.append({name: window.get(name) for name in read})
        return in_order(found)

    def groups(self, place: Place) -> list[str]:
        return sorted({self.one_group(item) for item in place.items()})

    def one_group(self, place: Place) -> str:
        """A group is on record as soon as somebody is in it or a rule is for it."""
        name = self.spelled("groups", place.short_name())
        groups = self.file.sections["groups"]
        groups.setdefault(folded(name), Given(place.path, {"name": name}))
        return name

    def known_person(self, place: Place) -> str:
        return self.known(place, "people", place.person_name())

    def device(self, place: Place) -> str:
        if not isinstance(place.value, str) or place.value not in self.house.devices:
            place.wrong(f"There is no device {quoted(place.value)}.")
        return str(place.value)

    def known_door(self, place: Place) -> str:
        kind = self.house.devices.get(place.value) if isinstance(place.value, str) else None
        if kind is None:
            place.wrong(f"There is no door {quoted(place.value)}.")
        elif kind != "door":
            place.wrong(f"{quoted(place.value)} is a {kind}, no door.")
        return str(place.value)

    def known(self, place: Place, section: str, name: str) -> str:
        """The name of somebody or something there is, as it is spelled there."""
        key = folded(name)
        is_known = key in self.file.sections[section] or self.house.holds(section, key)
        if name and not is_known:
            place.wrong(f"There is no {ONE[section]} {quoted(name)}.")
        return self.spelled(section, name)

    def zone_name(self, place: Place) -> str:
        return self.known(place, "zones", place.short_name())

    def schedule_name(self, place: Place) -> str:
        return self.known(place, "schedules", place.short_name())

    def schedule_or_none(self, place: Place) -> str | None:
        return None if place.value is None else self.schedule_name(place)

    def spelled(self, section: str, name: str) -> str:
        """As the file spells it where it is an entry, else as the house does."""
        key = folded(name)
        given = self.file.sections[section].get(key)
        entry = given.members if given else self.house.policies[section].get(key, {})
        return str(entry.get("name", name))

    def name_of(self, nameless: Entry) -> str:
        """The name of the rule on record that says the same, or one that tells what it says.

        So a file without names, read again, changes nothing.
        """
        here, recorded = self.file.sections["rules"], self.house.policies["rules"]
        same = [key for key in self.recorded_rules[_content(nameless)] if key not in here]
        if same:
            return str(recorded[same[0]]["name"])
        told = told_rule(nameless)
        own = (told if not n else f"{told} ({n + 1})" for n in itertools.count())
        return next(name for name in own if folded(name) not in here.keys() | recorded.keys())

    @cached_property
    def recorded_rules(self) -> defaultdict[str, list[str]]:
        """The keys of the rules on record, by what they say."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for key, entry in sorted(self.house.policies["rules"].items()):
            found[_content(entry)].append(key)
        return found


def _is_nameless(place: Place) -> bool:
    return not (isinstance(place.value, dict) and place.value.get("name"))


def _content(entry: Entry) -> str:
    return str(folded_references("rules", entry) | {"name": ""})
