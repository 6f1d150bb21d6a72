"""What a block of code changes: how it was before, how it is after, one entry an object."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models.deletion import Collector
from django.utils import timezone

from policies import actor
from policies.audit.subjects import Kind, State, Subject, subjects

SECRETS = ("password",)
MOST_LETTERS = 300


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
            if subject := subjects.get(model):
                self._touch_rows(subject, [subject.key_of(row) for row in doomed])
        for query in collector.fast_deletes:
            if subject := subjects.get(query.model):
                self._touch_rows(subject, query.values_list(subject.key, flat=True))
        for (changed, _), groups in collector.field_updates.items():
            if subject := subjects.get(changed.model):
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
