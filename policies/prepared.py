"""Questions that every door asks: Django makes their SQL once, and after that they are only asked.

Building a query set and its SQL anew takes several times as long as the database takes to answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.compiler import SQLCompiler

Row = Any  # a tuple, or a list where Django converted something


@dataclass(frozen=True, slots=True)
class _Place:
    """Stands for the value that is asked with."""

    number: int


class Prepared:
    """A `values_list` with places for values, which `build` gets as expressions.

    Each place holds one value, never a list: `IN` takes a query set instead.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self._build = build
        self._made: dict[str, _Made] = {}  # by the kind of database

    def rows(self, *values: Any) -> list[Row]:
        """The rows for these values, one a place."""
        made = self._made.get(connection.vendor) or self._make()
        with connection.cursor() as cursor:
            cursor.execute(made.sql, made.parameters(values))
            rows = cursor.fetchall()
        return made.converted(rows)

    def row(self, *values: Any) -> Row | None:
        """The first row, or None."""
        return next(iter(self.rows(*values)), None)

    def _make(self) -> "_Made":
        count = len(signature(self._build).parameters)
        places = [RawSQL("%s", (_Place(number),)) for number in range(count)]
        compiler = self._build(*places).query.get_compiler(connection=connection)
        made = self._made[connection.vendor] = _Made(compiler, *compiler.as_sql())
        return made


class _Made:
    def __init__(self, compiler: SQLCompiler, sql: str, known: tuple[Any, ...]) -> None:
        self.sql, self._known, self._compiler = sql, known, compiler
        columns = [column for column, *_ in compiler.select[: compiler.col_count]]
        self._converters = compiler.get_converters(columns)

    def parameters(self, values: tuple[Any, ...]) -> list[Any]:
        return [values[one.number] if isinstance(one, _Place) else one for one in self._known]

    def converted(self, rows: list[Row]) -> list[Row]:
        """SQLite knows neither times nor truth."""
        if not self._converters:
            return rows
        return list(self._compiler.apply_converters(rows, self._converters))
