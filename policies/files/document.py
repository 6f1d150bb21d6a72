"""What a policy file holds, and how it is written.

In memory it is the file's own shape: sections, in each its entries by key, in each its members as
the file has them (times as texts, lists sorted). The house is read into the same shape
(`on_record`), so the two can be compared and either can be written.
"""

import json
from collections.abc import Iterable
from typing import Any

from policies.models.names import folded

Entry = dict[str, Any]
# By section, by key. A section of one entry, `house`, holds what stands beside the lists.
Sections = dict[str, dict[str, Entry]]

HOUSE = "house"

# What a new entry has that does not say otherwise. Rules have none: theirs are always whole.
DEFAULTS: dict[str, Entry] = {
    "people": {
        "groups": [],
        "active": True,
        "valid_from": None,
        "valid_until": None,
        "visitor": False,
    },
    "cards": {
        "status": "active",
        "label": "",
        "valid_from": None,
        "expires_at": None,
        "visitor": False,
    },
    "zones": {"devices": [], "lockdown": False},
    "schedules": {"windows": []},
    "holidays": {"yearly": False, "windows": []},
    "rules": {},
    "groups": {"exempt_from_lockdown": False},
    "doors": {
        "switched_on": True,
        "lockdown": False,
        "always_locked": None,
        "always_unlocked": None,
    },
    HOUSE: {"lockdown": False},
}

# What keeps doors shut. An entry that does not mention it leaves it as it is, even when the file
# replaces everything: a file that does not speak of lockdowns ends none.
SHUTS: dict[str, tuple[str, ...]] = {
    "people": ("active", "visitor"),
    "cards": ("status", "visitor"),
    "zones": ("lockdown",),
    "doors": ("switched_on", "lockdown"),
    HOUSE: ("lockdown",),
}

# The members that name others, which may be written in another case.
REFERENCES = {
    "people": ("groups",),
    "cards": ("person",),
    "rules": ("group", "zone", "schedule"),
    "doors": ("always_locked", "always_unlocked"),
}

ONE = {
    "people": "person",
    "cards": "card",
    "zones": "zone",
    "schedules": "schedule",
    "holidays": "holiday",
    "rules": "rule",
    "groups": "group",
    "doors": "door",
    HOUSE: "house",
}


def key_of(section: str, entry: Entry) -> str:
    """What tells an entry from all others of its section."""
    match section:
        case "cards":
            return str(entry["uid"])
        case "holidays":
            date = str(entry["date"])
            return f"every {date[5:]}" if entry.get("yearly") else date
        case "doors":
            return str(entry["device"])
    return folded(entry["name"])


def folded_references(section: str, entry: Entry) -> Entry:
    """The entry with the names of others as they are compared."""
    named = {member: entry.get(member) for member in REFERENCES.get(section, ())}
    return entry | {
        member: sorted(map(folded, name)) if isinstance(name, list) else name and folded(name)
        for member, name in named.items()
    }


def as_text(sections: Sections) -> str:
    """The file: one line an entry, in an order that depends on nothing but what it says."""
    lists = [
        f'  "{section}": {_listed(entry for _, entry in sorted(sections[section].items()))}'
        for section in sections
        if section != HOUSE
    ]
    (house,) = sections[HOUSE].values()
    return "{\n" + ",\n".join([*lists, f'  "lockdown": {_json(house["lockdown"])}']) + "\n}\n"


def _listed(entries: Iterable[Entry]) -> str:
    lines = [f"    {_json(entry)}" for entry in entries]
    return "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
