"""What is written down: sorts of objects, their fields in words, and whose rows are whose."""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from policies.moments import utc_text
from policies.windows import clock_text

Model = type[models.Model]

# Of other apps: who may sign in, and what is written down of that.
OTHERS = {
    "auth.User": (
        "username",
        "password",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "user_permissions",
    ),
    "auth.Group": ("name", "permissions"),
    "otp_totp.TOTPDevice": ("user", "confirmed"),
    "otp_static.StaticDevice": ("user",),
}
IN_WORDS = {
    "group": "role",
    "totpdevice": "authenticator app",
    "staticdevice": "recovery codes",
}
# Rows that are part of another object, and by which field.
PARTS = {"ScheduleWindow": "schedule", "HolidayWindow": "holiday"}
# What says nothing new, and what devices say of themselves.
NOT_WRITTEN = ("added_at", "saved_at", "folded_name", "yearly_on", "firmware_version")
# What no person writes: it repeats the access log.
OF_DOORS = ("VisitEntry",)
PORTION = 500  # keys in a statement; Django takes four times as long for twice as many


@dataclass(slots=True)
class State:
    """An object as it is: its name, whose it is, and its fields in words."""

    label: str
    person: str
    values: dict[str, Any]


class Kind:
    """A sort of object, and what of it is written down."""

    def __init__(self, model: Model, names: Collection[str] | None = None) -> None:
        own = model._meta
        self.model = model
        self.name = str(own.model_name)
        self.values = {f.name: f for f in own.concrete_fields if _is_written(f, names)}
        self.lists = {f.name: f for f in own.many_to_many if _is_written(f, names)}
        self.parts: dict[str, Any] = {}  # their foreign keys, by the name from this side

    def __str__(self) -> str:
        return IN_WORDS.get(self.name, str(self.model._meta.verbose_name))

    @property
    def people(self) -> frozenset[str]:
        """Those of its fields that are people's names."""
        if self.name == "person":
            return frozenset(["name"])
        return frozenset(
            name
            for name, f in self.values.items()
            if f.remote_field and f.remote_field.model is apps.get_model("policies", "Person")
        )

    @property
    def is_of_users(self) -> bool:
        """Whether it says who may sign in."""
        return self.model._meta.app_label != "policies"

    @property
    def names(self) -> frozenset[str]:
        return frozenset((*self.values, *self.lists, *self.parts))

    def read(self, keys: Sequence[Any], names: Collection[str], using: str) -> dict[Any, State]:
        """These fields of those that exist, locked until the transaction ends."""
        values = [self.values[name] for name in names if name in self.values]
        found = {
            row.pk: State(str(row), _person(row), {f.name: _words(row, f) for f in values})
            for row in _rows(self.model, "pk", keys, using, lock=True)
        }
        for name in names:
            if name not in self.values:
                for key, texts in self._texts(name, [*found], using).items():
                    found[key].values[name] = texts
        return found

    def _texts(self, name: str, keys: Sequence[Any], using: str) -> dict[Any, list[str]]:
        """What the objects have of that name, many-to-many or parts, in words."""
        texts: dict[Any, list[str]] = {key: [] for key in keys}
        if part := self.parts.get(name):
            for row in _rows(part.model, part.name, keys, using):
                texts[getattr(row, part.attname)].append(str(row))
            return texts
        own, other = _ends(self.lists[name])
        pairs = [
            (getattr(row, own.attname), getattr(row, other.attname))
            for row in _rows(own.model, own.name, keys, using, joined=False)
        ]
        others = {other_key for _, other_key in pairs}
        labels = {row.pk: str(row) for row in _rows(other.related_model, "pk", [*others], using)}
        for key, other_key in pairs:
            texts[key].append(labels.get(other_key, str(other_key)))
        return {key: sorted(found) for key, found in texts.items()}


@dataclass(frozen=True)
class Subject:
    """Which objects the rows of a table belong to: the attribute that says so, and what of the
    object they make up."""

    kind: Kind
    key: str
    names: frozenset[str]

    def names_of(self, changed: Iterable[str] | None) -> frozenset[str]:
        """What a change of these fields (None: of all) changes of the object."""
        if changed is None or self.key != "pk":
            return self.names
        columns = {*changed}
        return frozenset(
            name for name, f in self.kind.values.items() if columns & {name, f.attname}
        )

    def key_of(self, row: models.Model) -> Any:
        """The object's key; None while the database has not given one."""
        return self.kind.model._meta.pk.to_python(getattr(row, self.key))


subjects: dict[Model, Subject] = {}


def kinds() -> dict[str, Kind]:
    """Every sort of object that is written down, by name."""
    return {subject.kind.name: subject.kind for subject in subjects.values()}


def know(kind: Kind) -> None:
    subjects[kind.model] = Subject(kind, "pk", frozenset(kind.values))
    for many in kind.lists.values():
        own, _ = _ends(many)
        subjects[own.model] = Subject(kind, own.attname, frozenset([many.name]))


def know_part(foreign_key: Any) -> None:
    kind = subjects[foreign_key.related_model].kind
    name = foreign_key.remote_field.get_accessor_name()
    kind.parts[name] = foreign_key
    subjects[foreign_key.model] = Subject(kind, foreign_key.attname, frozenset([name]))


def _is_written(f: Any, names: Collection[str] | None) -> bool:
    if names is not None:
        return f.name in names
    return not f.primary_key and f.name not in NOT_WRITTEN


def _ends(many: Any) -> tuple[Any, Any]:
    """The two foreign keys of a many-to-many field's table: to its own model, to the other."""
    table = many.remote_field.through._meta
    return table.get_field(many.m2m_field_name()), table.get_field(many.m2m_reverse_field_name())


def _rows(
    model: Any,
    name: str,
    values: Sequence[Any],
    using: str,
    *,
    lock: bool = False,
    joined: bool = True,
) -> Iterator[Any]:
    """Rows whose `name` is among the values, with what their own names are made of."""
    rows = model._base_manager.using(using)
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True).order_by("pk")
    if joined:
        keys = [f.name for f in model._meta.concrete_fields if f.remote_field]
        rows = rows.select_related(*keys or [None])
    for some in portions(values):
        yield from rows.filter(**{f"{name}__in": some})


def portions(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), PORTION):
        yield values[start : start + PORTION]


def _person(row: models.Model) -> str:
    """Whose it is."""
    person = apps.get_model("policies", "Person")
    card = getattr(row, "card", None)
    holder = row if isinstance(row, person) else getattr(card or row, "person", None)
    return str(holder) if holder else ""


def _words(row: models.Model, f: Any) -> Any:
    """A field's value as JSON takes it and people read it."""
    if f.remote_field:
        other = getattr(row, f.name)
        return None if other is None else str(other)
    value = getattr(row, f.attname)
    match value:
        case None | bool() | int() | float() | str():
            return value
        case dt.datetime():
            return utc_text(value)
        case dt.time():
            return clock_text(value)
        case _:
            return str(value)
