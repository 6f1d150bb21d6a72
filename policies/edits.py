"""Writing a policy from fields that are validated already, whoever sent them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model

from policies.models import Holiday, Schedule


def write(row: Model, fields: Mapping[str, Any]) -> None:
    """Give a row these values and save it: its columns first, then its links and its windows.

    Django's ValidationError when it cannot be like that, with the code `unique` where another one
    stands in its place. To be called in a transaction.
    """
    links = {field.name for field in row._meta.many_to_many} & fields.keys()
    for name in fields.keys() - links - {"windows"}:
        setattr(row, name, fields[name])
    row.full_clean(exclude={field.name for field in row._meta.fields if not field.editable})
    row.save()
    for name in links:
        getattr(row, name).set(fields[name])
    if isinstance(row, Schedule | Holiday) and "windows" in fields:
        put_windows(row, fields["windows"])


def put_windows(row: Schedule | Holiday, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Make these its windows. One that it has already keeps its row, for the sake of the record."""
    missing = list(wanted)
    for window in row.windows.all():
        kept = next((one for one in missing if _is(window, one)), None)
        if kept is None:
            window.delete()
        else:
            missing.remove(kept)
    for values in missing:
        row.windows.create(**values)


def _is(window: Model, values: Mapping[str, Any]) -> bool:
    return all(getattr(window, name) == value for name, value in values.items())
