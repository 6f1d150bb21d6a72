"""The one row that the house counts in."""

from typing import Any

from django.db import migrations


def create(apps: Any, schema_editor: Any) -> None:
    apps.get_model("realtime", "Feed").objects.create()


class Migration(migrations.Migration):
    dependencies = [("realtime", "0001_feed")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
