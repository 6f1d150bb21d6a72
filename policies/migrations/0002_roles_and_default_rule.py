"""The four roles, and the one rule of a fresh house: everyone, every door, always."""

from typing import Any

from django.db import migrations

ROLES = ("viewer", "operator", "manager", "owner")


def create(apps: Any, schema_editor: Any) -> None:
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)
    apps.get_model("policies", "Rule").objects.get_or_create(
        name="everyone, every door, always", defaults={"every_door": True}
    )


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0001_trust"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
