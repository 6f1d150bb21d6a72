"""What a file would change in the house."""

from collections.abc import Iterator
from dataclasses import dataclass

from policies.files.document import (
    DEFAULTS,
    HOUSE,
    ONE,
    REFERENCES,
    SHUTS,
    Entry,
    folded_references,
)
from policies.files.place import WrongFile, quoted
from policies.files.reading import Given, House, PolicyFile
from policies.models import folded

FORWARDS = {"people": "valid_until", "cards": "expires_at"}


@dataclass(frozen=True)
class Change:
    """One entry that is added (no `before`), changed, or removed (no `after`)."""

    section: str
    key: str
    before: Entry | None
    after: Entry | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "added"
        return "changed" if self.after is not None else "removed"


def compare(file: PolicyFile, house: House) -> list[Change]:
    """What has to be changed until the house is as the file says.

    Entries that the house has and the file has not stay, unless the file replaces everything.
    WrongFile when what comes out contradicts itself.
    """
    errors: list[str] = []
    changes = []
    for section in ONE:
        for key, given in file.sections[section].items():
            before = house.policies[section].get(key)
            if section == "doors" and before is None:  # it is there, and nothing is set on it
                before = DEFAULTS[section] | {"device": key}
            after = _after(section, before, given, replace=house.replace)
            errors += _contradictions(section, given, after)
            if before is None or not _same(section, before, after):
                changes.append(Change(section, key, before, after))
    if house.replace:
        removed = list(_removed(file, house))
        errors += _still_needed(file, house, removed)
        changes += removed
    if errors:
        raise WrongFile(errors)
    return changes


def _after(section: str, before: Entry | None, given: Given, *, replace: bool) -> Entry:
    """The entry as it will be. What the file leaves out stays as it was, and when the file replaces
    everything is as in a new entry, but for what keeps a door shut."""
    if section == "rules":  # always whole
        return given.members
    base = before or {}
    if before is not None and replace:
        base = {name: before[name] for name in SHUTS.get(section, ())}
        if section == "zones" and before["lockdown"]:  # of doors that it would otherwise lose
            base["devices"] = before["devices"]
    after = DEFAULTS[section] | base | given.members
    if before and before.get("visitor") and not replace:  # nothing is removed, visits neither
        after["visitor"] = True
    return after


def _same(section: str, before: Entry, after: Entry) -> bool:
    return folded_references(section, before) == folded_references(section, after)


def _contradictions(section: str, given: Given, after: Entry) -> Iterator[str]:
    if section not in FORWARDS:
        return
    begins, ends = after["valid_from"], after[FORWARDS[section]]
    if begins and ends and begins >= ends:  # both in one form, so texts are in the order of times
        yield f'{given.path}.{FORWARDS[section]}: Must lie after "valid_from".'


def _removed(file: PolicyFile, house: House) -> Iterator[Change]:
    """Everything that the file does not have. A door loses what is set on it, unless the file does
    not speak of doors at all."""
    for section in ONE:
        if section == HOUSE or (section == "doors" and section not in file.has):
            continue
        for key, before in house.policies[section].items():
            if key not in file.sections[section]:
                after = DEFAULTS[section] | {"device": key} if section == "doors" else None
                yield Change(section, key, before, after)


def _still_needed(file: PolicyFile, house: House, removed: list[Change]) -> Iterator[str]:
    """What may not go in passing: schedules that a door follows of which the file does not speak,
    and zones whose lockdown would end with them when it does not speak of lockdowns."""
    gone = {(change.section, change.key) for change in removed}
    for device, door in house.policies["doors"].items() if "doors" not in file.has else ():
        for member in REFERENCES["doors"]:
            if door[member] and ("schedules", folded(door[member])) in gone:
                yield (
                    f"schedules: The door {quoted(device)} follows {quoted(door[member])}: keep "
                    f'the schedule, or say in "doors" what the door shall do.'
                )
    for key, zone in house.policies["zones"].items() if "lockdown" not in file.has else ():
        if zone["lockdown"] and ("zones", key) in gone:
            yield (
                f"zones: {quoted(zone['name'])} is in lockdown, which would end with it: keep the "
                f'zone, or say in "lockdown" whether the house is.'
            )
