"""Every change of a policy is written down: who, when, which way, of what, before and after.

Django changes rows in five ways, and each is recorded in the transaction of the change: an
instance's `save` and `delete`, a query set's `update`, `bulk_create` and `delete`. The first two
are wrapped, because a save outside a transaction is committed before its signals are sent; tables
of many-to-many fields and those of other apps are given our query set. (What is written past
Django, by `psql` or `loaddata`, is not seen here.)

What is about to change is read before, and again at the end of the outermost `recording` block:
what really differs then is one entry an object, however many steps it took. Rows that belong to an
object (the windows of a schedule, the doors of a rule) are part of that object's entry.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connections, models, router, transaction
from django.db.models.deletion import Collector
from django.utils import timezone

from policies import actor
from policies.moments import utc_text
from policies.windows import clock_text

M = TypeVar("M", bound=models.Model, covariant=True)
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
SECRETS = ("password",)
PORTION = 500  # keys in a statement; Django takes four times as long for twice as many
MOST_LETTERS = 300


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


@dataclass
class Ledger:
    """What a block touched, as it was before."""

    using: str
    before: dict[tuple[Kind, Any], State | None] = field(default_factory=dict)
    names: dict[tuple[Kind, Any], frozenset[str]] = field(default_factory=dict)

    def touch(self, kind: Kind, keys: Iterable[Any], names: frozenset[str]) -> None:
        """Remember these fields of objects that are about to be added, changed or deleted."""
        unknown: dict[frozenset[str], list[Any]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            if key is not None and not names <= self.names.get((kind, key), frozenset()):
                unknown[names - self.names.get((kind, key), frozenset())].append(key)
        for missing, some in unknown.items():
            states = kind.read(some, missing, self.using)
            for key in some:
                self._remember(kind, key, missing, states.get(key))

    def added(self, kind: Kind, keys: Iterable[Any], names: frozenset[str]) -> None:
        """Objects that have their keys only now that they are there."""
        for key in keys:
            self._remember(kind, key, names, None)

    def touch_doomed(self, rows: Any) -> None:
        """All that goes, or loses something, when these rows are deleted."""
        collector = Collector(using=self.using, origin=rows)
        collector.collect(rows)
        for model, doomed in collector.data.items():
            if subject := _subjects.get(model):
                self._touch_rows(subject, [subject.key_of(row) for row in doomed])
        for query in collector.fast_deletes:
            if subject := _subjects.get(query.model):
                self._touch_rows(subject, query.values_list(subject.key, flat=True))
        for (changed, _), groups in collector.field_updates.items():
            if subject := _subjects.get(changed.model):
                rows_of = cast(Any, groups)  # lists of rows, which the stubs do not know
                keys = [subject.key_of(row) for rows in rows_of for row in rows]
                self.touch(subject.kind, keys, subject.names_of([changed.name]))

    def write(self) -> None:
        """One entry for each object that is not as it was."""
        together: dict[tuple[Kind, frozenset[str]], list[Any]] = defaultdict(list)
        for (kind, key), names in self.names.items():
            together[kind, names].append(key)
        after: dict[tuple[Kind, Any], State] = {}
        for (kind, names), keys in together.items():
            states = kind.read(keys, names, self.using)
            after |= {(kind, key): state for key, state in states.items()}
        changes = (
            _change(kind, key, was, after.get((kind, key)))
            for (kind, key), was in self.before.items()
        )
        _store([change for change in changes if change], self.using)

    def _touch_rows(self, subject: Subject, keys: Iterable[Any]) -> None:
        whole = subject.key == "pk"
        self.touch(subject.kind, keys, subject.kind.names if whole else subject.names)

    def _remember(self, kind: Kind, key: Any, names: frozenset[str], state: State | None) -> None:
        known = self.before.setdefault((kind, key), state)
        if known and state:
            known.values |= state.values
        self.names[kind, key] = self.names.get((kind, key), frozenset()) | names


_open: ContextVar[Ledger | None] = ContextVar("ledger", default=None)
_subjects: dict[Model, Subject] = {}


@contextmanager
def recording(using: str = DEFAULT_DB_ALIAS, *, savepoint: bool = True) -> Iterator[Ledger]:
    """A transaction whose changes are written down at its end, one entry an object.

    Inside another such block it is part of that one, and no transaction of its own.
    """
    if outer := _open.get():
        yield outer
        return
    with transaction.atomic(using=using, savepoint=savepoint):
        ledger = Ledger(using)
        token = _open.set(ledger)
        try:
            yield ledger
        finally:
            _open.reset(token)
        ledger.write()


class RecordedQuerySet(models.QuerySet[M]):
    """Django's query set, whose bulk changes are written down."""

    def update(self, **values: Any) -> int:
        subject = _subjects.get(self.model)
        names = subject.names_of(values) if subject else frozenset()
        if not subject or not names:
            return super().update(**values)
        self._for_write = True
        count = 0
        with recording(self.db, savepoint=False) as ledger:
            rows = list(self.order_by().values_list("pk", subject.key))
            ledger.touch(subject.kind, [key for _, key in rows], names)
            for some in _portions([pk for pk, _ in rows]):
                # Exactly those that were read: others may have come meanwhile.
                count += super(RecordedQuerySet, self.filter(pk__in=some)).update(**values)
        return count

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        rows = list(objs)
        options = (batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        subject = _subjects.get(self.model)
        if not subject:
            return super().bulk_create(rows, *options)
        if ignore_conflicts and None in map(subject.key_of, rows):
            raise NotSupportedError("Nobody could say which of these rows were new.")
        self._for_write = True
        with recording(self.db, savepoint=False) as ledger:
            known = [key for key in map(subject.key_of, rows) if key is not None]
            if update_conflicts and unique_fields:
                known += self._known(rows, unique_fields)
            ledger.touch(subject.kind, known, subject.names)
            created = super().bulk_create(rows, *options)
            old = {*known}
            new = [key for key in map(subject.key_of, created) if key not in old]
            ledger.added(subject.kind, new, subject.names)
        return created

    def delete(self) -> tuple[int, dict[str, int]]:
        if self.model not in _subjects:
            return super().delete()
        self._for_write = True
        with recording(self.db) as ledger:  # which a refusal (PROTECT) must not ruin
            ledger.touch_doomed(self.all())
            return super().delete()

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    bulk_create.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]  # a manager has no `delete`

    def _known(self, rows: Sequence[Any], unique: Collection[str]) -> list[Any]:
        """The keys of the rows on record that these would change."""
        if len(unique) != 1:
            raise NotSupportedError("Rows are told apart by one field here.")
        (name,) = unique
        values = [getattr(row, name) for row in rows]
        found: list[Any] = []
        for some in _portions(values):
            same = self.model._base_manager.using(self.db).filter(**{f"{name}__in": some})
            found += same.values_list("pk", flat=True)
        return found


def watch(policies: Sequence[Model]) -> None:
    """Record every change of these models, and of OTHERS. Called once, when the app is ready."""
    own = [
        model
        for model in policies
        if not model._meta.auto_created and model.__name__ not in OF_DOORS
    ]
    for model in own:
        if model.__name__ not in PARTS:
            _know(Kind(model))
    for label, names in OTHERS.items():
        _know(Kind(apps.get_model(label), names))
    for model in own:
        if whole := PARTS.get(model.__name__):
            _know_part(model._meta.get_field(whole))
    own_tables = {*policies}
    for model in _subjects:
        if model not in own_tables:
            use(RecordedQuerySet, model)
        model.save_base = _recorded_save(model.save_base)  # type: ignore[method-assign]
        model.delete = _recorded_delete(model.delete)  # type: ignore[method-assign]


def use(query_set: type[models.QuerySet[Any]], model: Model) -> None:
    """Give the managers of a model that is not written by us a query set of ours."""
    managers = [*model._meta.managers]  # copies of its own and of those it inherits
    for manager in managers:
        manager._queryset_class = query_set  # type: ignore[attr-defined]
    model._meta.local_managers = managers
    model._meta._expire_cache()  # type: ignore[attr-defined]


def kinds() -> dict[str, Kind]:
    """Every sort of object that is written down, by name."""
    return {subject.kind.name: subject.kind for subject in _subjects.values()}


def _know(kind: Kind) -> None:
    _subjects[kind.model] = Subject(kind, "pk", frozenset(kind.values))
    for many in kind.lists.values():
        own, _ = _ends(many)
        _subjects[own.model] = Subject(kind, own.attname, frozenset([many.name]))


def _know_part(foreign_key: Any) -> None:
    kind = _subjects[foreign_key.related_model].kind
    name = foreign_key.remote_field.get_accessor_name()
    kind.parts[name] = foreign_key
    _subjects[foreign_key.model] = Subject(kind, foreign_key.attname, frozenset([name]))


def _recorded_save(save_base: Callable[..., None]) -> Callable[..., None]:
    @wraps(save_base)
    def save(
        row: models.Model,
        *args: Any,
        using: str | None = None,
        update_fields: Collection[str] | None = None,
        **options: Any,
    ) -> None:
        subject = _subjects[row._meta.concrete_model or type(row)]
        names = subject.names_of(update_fields)
        using = using or router.db_for_write(type(row), instance=row)
        options |= {"using": using, "update_fields": update_fields}
        if not names or _is_rehash(row, names):
            save_base(row, *args, **options)
            return
        with recording(using, savepoint=False) as ledger:
            is_new = subject.key_of(row) is None
            ledger.touch(subject.kind, [subject.key_of(row)], names)
            save_base(row, *args, **options)
            if is_new:
                ledger.added(subject.kind, [subject.key_of(row)], names)

    return save


def _recorded_delete(delete: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(delete)
    def recorded(row: models.Model, using: str | None = None, keep_parents: bool = False) -> Any:
        using = using or router.db_for_write(type(row), instance=row)
        with recording(using) as ledger:
            if row.pk is not None:
                ledger.touch_doomed([row])
            return delete(row, using=using, keep_parents=keep_parents)

    return recorded


def _is_rehash(row: models.Model, names: frozenset[str]) -> bool:
    """The same password under a newer algorithm, which Django stores when somebody signs in."""
    return names == {"password"} and getattr(row, "_password", None) is None


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
    for some in _portions(values):
        yield from rows.filter(**{f"{name}__in": some})


def _portions(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
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


def _change(kind: Kind, key: Any, before: State | None, after: State | None) -> Any:
    """The entry, or None when nothing differs."""
    known = before or after
    if known is None:
        return None
    change = apps.get_model("policies", "PolicyChange")
    if before and after:
        action = change.Action.CHANGED
        names = [n for n, value in after.values.items() if value != before.values.get(n)]
        if not names:
            return None
    else:
        action = change.Action.DELETED if before else change.Action.ADDED
        names = [name for name, value in known.values.items() if value not in (None, "", [])]
    people = dict.fromkeys(state.person for state in (before, after) if state and state.person)
    return change(
        action=action,
        kind=kind.name,
        key=str(key),
        label=known.label[:MOST_LETTERS],
        person=", ".join(people),
        before=_told(before, names, "set"),
        after=_told(after, names, "changed" if before else "set"),
    )


def _told(state: State | None, names: Iterable[str], of_secrets: str) -> dict[str, Any] | None:
    if state is None:
        return None
    return {name: of_secrets if name in SECRETS else state.values.get(name) for name in names}


def _store(changes: list[Any], using: str) -> None:
    if not changes:
        return
    who, at = actor.current(), timezone.now()
    for change in changes:
        change.timestamp = at
        change.actor, change.source, change.address = who.name, who.source, who.address
    own, connection = changes[0]._meta, connections[using]
    fields = [f for f in own.concrete_fields if not f.primary_key]
    columns = ", ".join(f.column for f in fields)
    marks = ", ".join(["%s"] * len(fields))
    rows = [
        [f.get_db_prep_save(getattr(change, f.attname), connection) for f in fields]
        for change in changes
    ]
    with connection.cursor() as cursor:
        # bulk_create would take twice as long.
        cursor.executemany(f"INSERT INTO {own.db_table} ({columns}) VALUES ({marks})", rows)  # noqa: S608  # our own names
