"""Names leave what is kept: on request, and after a set age. The rows stay, and so do counts.

Evidence is never changed otherwise. In a production house only the maintenance role may do this, in
the columns that hold names and no others (smarthome/database_roles.py). It goes over the rows in
short steps, each a transaction of its own, and may be done again at any time.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from access.models import AccessLog
from policies import actor, audit
from policies.models import PolicyChange, folded
from realtime.models import FeedEvent

FORGOTTEN = "(forgotten)"
STEP = 1000  # numbers

Meant = Callable[[str], bool]
Rewrite = Callable[[Any], Any]


@dataclass
class Forgotten:
    """How many rows lost a name."""

    access_log: int = 0
    audit_log: int = 0
    live_events: int = 0
    recent_actions: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in asdict(self).items())


def forget_person(name: str) -> Forgotten:
    """Blank a name everywhere but on the person's own record, if there is one.

    Names are compared as those of people are: case and spaces around them do not matter.
    """
    wanted = folded(name)

    @cache
    def is_meant(other: str) -> bool:
        return folded(other) == wanted

    with _scrubbing():
        done = Forgotten(
            access_log=_forget_in_log(AccessLog.objects.all(), is_meant),
            audit_log=_forget_in_audit(PolicyChange.objects.all(), is_meant),
            live_events=_forget_in_events(is_meant, _without([name])),
            recent_actions=_forget_in_actions(LogEntry.objects.all(), is_meant),
        )
    _write_down(done, "on request")
    return done


def forget_old(now: dt.datetime) -> Forgotten:
    """Blank all people's names in what is older than FORGET_NAMES_AFTER_DAYS."""
    days = settings.FORGET_NAMES_AFTER_DAYS
    if not days:
        return Forgotten()
    before = now - dt.timedelta(days=days)
    people = LogEntry.objects.filter(content_type__model="person", action_time__lt=before)
    done = Forgotten(
        access_log=_forget_in_log(AccessLog.objects.filter(timestamp__lt=before)),
        audit_log=_forget_in_audit(PolicyChange.objects.filter(timestamp__lt=before)),
        recent_actions=_forget_in_actions(people),
    )
    _write_down(done, f"older than {days} days")
    return done


def other_names(name: str) -> list[str]:
    """What else a person of this name was called, as far as the audit log knows."""
    names: dict[str, set[str]] = {}
    for change in PolicyChange.objects.filter(kind="person").iterator():
        names.setdefault(change.key, set()).update(_named_in(change))
    same = [known for known in names.values() if folded(name) in map(folded, known)]
    others = {other for known in same for other in known}
    return sorted(one for one in others - {FORGOTTEN} if folded(one) != folded(name))


def _everybody(name: str) -> bool:
    return True


def _forget_in_log(rows: QuerySet[AccessLog], is_meant: Meant = _everybody) -> int:
    count = 0
    for part in _steps(rows.exclude(user_name=""), "number"):
        found = part.order_by().values_list("number", "user_name")
        numbers = [number for number, name in found if is_meant(name)]
        if numbers:  # on SQLite an update that changes nothing would hold up the doors, too
            count += AccessLog.objects.filter(number__in=numbers).update(user_name="")
    return count


def _forget_in_audit(rows: QuerySet[PolicyChange], is_meant: Meant = _everybody) -> int:
    count = 0
    for part in _steps(rows.exclude(person__in=["", FORGOTTEN]), "number"):
        for change in part:
            people = dict.fromkeys([*_named_in(change), change.person])
            if names := [name for name in people if is_meant(name)]:
                columns = ("label", "person", "before", "after")
                count += _rewrite(change, columns, _without(names))
    return count


def _forget_in_events(is_meant: Meant, without: Rewrite) -> int:
    """What viewers who come back are still told for two hours; alerts name people in sentences."""
    meant = (
        event
        for event in FeedEvent.objects.all()
        if is_meant(event.data.get("user_name", "")) or "message" in event.data
    )
    return sum(_rewrite(event, ("data",), without) for event in meant)


def _forget_in_actions(rows: QuerySet[LogEntry], is_meant: Meant = _everybody) -> int:
    """Django's own list of what somebody did last in the console."""
    count = 0
    for part in _steps(rows.exclude(object_repr=FORGOTTEN), "pk"):
        for action in part:
            if is_meant(action.object_repr):
                without = _in_json(_without([action.object_repr]))
                count += _rewrite(action, ("object_repr", "change_message"), without)
    return count


def _named_in(change: PolicyChange) -> list[str]:
    """Whom an entry names before and after."""
    kind = audit.kinds().get(change.kind)
    fields = kind.people if kind else ()
    sides = [side for side in (change.before, change.after) if side]
    return [side[field] for side in sides for field in fields if side.get(field)]


def _without(names: Sequence[str]) -> Rewrite:
    """Takes the names out of a value: as a whole text, and as words of a longer one."""
    whole = {folded(name) for name in names}
    longest_first = sorted(names, key=len, reverse=True)
    words = re.compile(
        rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])", re.IGNORECASE
    )

    def rewritten(value: Any) -> Any:
        match value:
            case str():
                return FORGOTTEN if folded(value) in whole else words.sub(FORGOTTEN, value)
            case list():
                return [rewritten(one) for one in value]
            case dict():
                return {name: rewritten(one) for name, one in value.items()}
            case _:
                return value

    return rewritten


def _in_json(without: Rewrite) -> Rewrite:
    """The same for texts that may be JSON, whose letters are escaped."""

    def rewritten(text: str) -> str:
        try:
            return json.dumps(without(json.loads(text)))
        except ValueError:
            return str(without(text))

    return rewritten


def _rewrite(row: Any, columns: Sequence[str], without: Rewrite) -> int:
    """Whether the row was changed, as a count."""
    old = {column: getattr(row, column) for column in columns}
    new = {column: without(value) for column, value in old.items()}
    changed = {column: value for column, value in new.items() if value != old[column]}
    if not changed:
        return 0
    return int(type(row)._default_manager.filter(pk=row.pk).update(**changed))


def _steps(rows: QuerySet[Any], number: str) -> Iterator[QuerySet[Any]]:
    """The rows in ranges of their numbers, so that no statement takes long."""
    ends = rows.aggregate(first=Min(number), last=Max(number))
    if ends["first"] is None:
        return
    for start in range(ends["first"], ends["last"] + 1, STEP):
        yield rows.filter(**{f"{number}__gte": start, f"{number}__lt": start + STEP})


@contextmanager
def _scrubbing() -> Iterator[None]:
    """What is overwritten goes from SQLite's file, too, instead of lying in its free space."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA secure_delete = ON")
        try:
            yield
        finally:
            cursor.execute("PRAGMA secure_delete = OFF")


def _write_down(done: Forgotten, why: str) -> None:
    """The audit log says that it was changed itself, and by whom; not which name it was."""
    if not done:
        return
    who = actor.current()
    PolicyChange.objects.create(
        timestamp=timezone.now(),
        actor=who.name,
        source=who.source,
        address=who.address,
        action=PolicyChange.Action.DELETED,
        kind="name",
        key="",
        label=f"{FORGOTTEN}, {why}",
        before=asdict(done),
    )
