"""The engine of `timescale://`: django-timescaledb's, which also runs without the extension."""

# ruff: noqa: S608  # names and words of our own, never somebody's text

import logging

from django.db import ProgrammingError
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from timescale.db.backends.postgresql.base import DatabaseWrapper as Timescale

from smarthome.db.timescale.schema import SchemaEditor

logger = logging.getLogger(__name__)

# The loader has settings of its own once it was preloaded; `shared_preload_libraries` itself is
# shown to superusers only.
PRELOADED = "current_setting('timescaledb.disable_load', true) IS NOT NULL"
AVAILABLE = f"""
    SELECT {PRELOADED} AND EXISTS (
        SELECT FROM pg_available_extensions
        WHERE name = 'timescaledb' AND installed_version IS NULL
    )
"""
INSTALLED = f"""
    SELECT {PRELOADED} AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
"""


class DatabaseWrapper(Timescale):
    """Without TimescaleDB this is Django's PostgreSQL engine, unchanged."""

    SchemaEditorClass = SchemaEditor

    def prepare_database(self) -> None:
        """Before migrations: create the extension where it can be and we may.

        django-timescaledb's own way fails where the extension is missing or not preloaded.
        """
        PostgreSQL.prepare_database(self)
        if not self._answer(AVAILABLE):
            return
        try:
            with self.cursor() as cursor:
                cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except ProgrammingError as error:  # this role may not
            logger.warning("going on without TimescaleDB: %s", error)

    @property
    def has_hypertables(self) -> bool:
        return self._answer(INSTALLED)

    def _answer(self, question: str) -> bool:
        with self.cursor() as cursor:
            cursor.execute(question)
            return bool(cursor.fetchone()[0])
