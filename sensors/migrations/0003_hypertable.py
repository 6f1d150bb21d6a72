"""Where the engine is TimescaleDB's the readings become a hypertable of chunks of a day."""

from typing import Any

import timescale.db.models.fields
from django.db import migrations


class AlterFieldOnPostgreSQL(migrations.AlterField):
    """The column stays as it is: SQLite would copy the whole table for nothing."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        self.database_forwards(app_label, schema_editor, *states)


class Migration(migrations.Migration):
    dependencies = [("sensors", "0002_ledger_by_age")]
    operations = [
        AlterFieldOnPostgreSQL(
            model_name="sensorreading",
            name="time",
            field=timescale.db.models.fields.TimescaleDateTimeField(interval="1 day"),
        ),
    ]
