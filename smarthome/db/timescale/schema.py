"""Tables become hypertables, and plain tables again, where TimescaleDB is there."""

# ruff: noqa: S608  # names and words of our own, never somebody's text

from typing import Any

from django.db.models import Model
from timescale.db.backends.postgresql.schema import TimescaleSchemaEditor
from timescale.db.models.fields import TimescaleDateTimeField


class SchemaEditor(TimescaleSchemaEditor):
    """django-timescaledb's, without hypertables where they cannot be, and with a way back."""

    def alter_field(
        self, model: type[Model], old_field: Any, new_field: Any, strict: bool = False
    ) -> None:
        super().alter_field(model, old_field, new_field, strict)
        was, becomes = (isinstance(f, TimescaleDateTimeField) for f in (old_field, new_field))
        if was and not becomes and self._is_hypertable(model):
            self._make_plain(model)

    def _create_hypertable(
        self, model: type[Model], field: Any, should_migrate: bool = False
    ) -> None:
        if self.connection.has_hypertables:
            super()._create_hypertable(model, field, should_migrate)

    def _set_chunk_time_interval(self, model: type[Model], field: Any) -> None:
        if self._is_hypertable(model):
            super()._set_chunk_time_interval(model, field)

    def _make_plain(self, model: type[Model]) -> None:
        """Copy a hypertable into a plain table with its key; of rows with one key the first."""
        table = self.quote_name(model._meta.db_table)
        plain = self.quote_name(f"{model._meta.db_table}_plain")
        key = self.quote_name(model._meta.pk.column)
        self.execute(f"CREATE TABLE {plain} (LIKE {table} INCLUDING DEFAULTS)")
        self.execute(
            f"INSERT INTO {plain} SELECT DISTINCT ON ({key}) * FROM {table} ORDER BY {key}"
        )
        self.execute(f"DROP TABLE {table}")
        self.execute(f"ALTER TABLE {plain} RENAME TO {table}")
        self.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
        for index in model._meta.indexes:
            self.add_index(model, index)

    def _is_hypertable(self, model: type[Model]) -> bool:
        if not self.connection.has_hypertables:
            return False
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = %s",
                [model._meta.db_table],
            )
            return bool(cursor.rowcount)
