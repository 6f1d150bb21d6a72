"""An entry of the audit log as people read it."""

import re
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.text import Truncator

from policies import audit
from policies.models import PolicyChange
from policies.moments import parse_moment

MOST_SHORT = 200  # characters
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one field was and what it is since."""

    field: str
    before: str
    after: str


def differences(change: PolicyChange) -> list[Difference]:
    """All that an entry says of the object, field by field."""
    before, after = change.before or {}, change.after or {}
    return [
        Difference(name.replace("_", " "), in_words(before.get(name)), in_words(after.get(name)))
        for name in {**before, **after}
    ]


def in_short(change: PolicyChange) -> str:
    """`status: active → blocked`, cut off where a list would burst; of what was added or deleted,
    what it was."""
    parts = []
    for one in differences(change):
        values = [one.before] if change.after is None else [one.after]
        if change.action == PolicyChange.Action.CHANGED:
            values = [one.before, one.after]
        parts.append(f"{one.field}: {' → '.join(values)}")
    return Truncator("; ".join(parts)).chars(MOST_SHORT)


def kind_in_words(name: str) -> str:
    """`people group` of `peoplegroup`, `role` of `group`."""
    return str(audit.kinds().get(name, name))


def in_words(value: Any) -> str:
    """A value of an entry; times by the clock of the building."""
    match value:
        case None | "" | []:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case str() if MOMENT.fullmatch(value):
            return f"{timezone.localtime(parse_moment(value)):%Y-%m-%d %H:%M}"
        case _:
            return str(value)
