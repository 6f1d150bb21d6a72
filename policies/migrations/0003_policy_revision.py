"""Which state of the policies the cache stands for."""

import uuid
from typing import Any

from django.db import migrations, models


def create(apps: Any, schema_editor: Any) -> None:
    apps.get_model("policies", "PolicyRevision").objects.get_or_create(
        pk=1, defaults={"value": uuid.uuid4()}
    )


class Migration(migrations.Migration):
    dependencies = [("policies", "0002_roles_and_default_rule")]
    operations = [
        migrations.CreateModel(
            name="PolicyRevision",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("value", models.UUIDField()),
            ],
        ),
        migrations.RunPython(create, migrations.RunPython.noop),
    ]
