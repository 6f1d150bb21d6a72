"""Insert rows, and hear which of them were new.

`bulk_create(ignore_conflicts=True)` does not tell, and asking before or after is another question
to the database, with another answer when somebody else writes the same rows.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.db import connection, models

MOST_VALUES = 10_000  # in a statement, where the database sets no limit of its own


def insert_new(rows: Sequence[models.Model], key: str) -> set[str]:
    """Insert rows of one model; the `key` (a unique field) of those that were not there yet."""
    if not rows:
        return set()
    model = type(rows[0])
    fields = _fields(model)
    unique: Any = model._meta.get_field(key)
    new: set[str] = set()
    with connection.cursor() as cursor:
        for part in _parts(rows, len(fields)):
            values = [
                field.get_db_prep_save(getattr(row, field.attname), connection)
                for row in part
                for field in fields
            ]
            cursor.execute(_sql(model, unique.column, len(part)), values)
            new |= {str(unique.to_python(value)) for (value,) in cursor.fetchall()}
    return new


def _parts(rows: Sequence[models.Model], columns: int) -> Iterator[Sequence[models.Model]]:
    at_once = (connection.features.max_query_params or MOST_VALUES) // columns
    for start in range(0, len(rows), at_once):
        yield rows[start : start + at_once]


@cache
def _fields(model: type[models.Model]) -> list[Any]:
    """What is written; the database numbers its own keys."""
    return [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]


@cache
def _sql(model: type[models.Model], returned: str, rows: int) -> str:
    columns = [field.column for field in _fields(model)]
    marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * rows)
    return (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES {marks} "  # noqa: S608  # our own names
        f"ON CONFLICT DO NOTHING RETURNING {returned}"
    )
