"""A hypertable has no key, and an index by a random id took a fifth of the time of storing a row."""

from typing import Any

from django.db import migrations

INDEX = "sensor_readings_by_id"  # which the hypertable was given before


def drop(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


class Migration(migrations.Migration):
    dependencies = [("sensors", "0005_continuous_aggregates")]
    operations = [migrations.RunPython(drop, migrations.RunPython.noop)]
