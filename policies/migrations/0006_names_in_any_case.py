"""Groups, zones, schedules and rules: one a name, in whatever case it is typed. And what a rule
names stays as long as it is named."""

from itertools import count
from typing import Any

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from policies.models.names import MAX_SHORT_NAME, FoldedName, folded

NAMED = ("peoplegroup", "zone", "schedule", "rule")


def fold(apps: Any, schema_editor: Any) -> None:
    """Fill the new columns; of two names that differ in case only, the later gets a number."""
    for kind in NAMED:
        taken: set[str] = set()
        for row in apps.get_model("policies", kind).objects.order_by("pk"):
            row.name = free(row.name, taken)
            taken.add(folded(row.name))
            row.save()
    for holiday in apps.get_model("policies", "holiday").objects.order_by("pk"):
        holiday.save()
    if schema_editor.connection.vendor == "postgresql":
        # The deferred triggers of the changed rows would stand in the way of changing the table.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def free(name: str, taken: set[str]) -> str:
    """The name, or the name with the first number that makes it another one."""
    kept = name
    for number in count(2):
        if folded(kept) not in taken:
            break
        kept = f"{name[: MAX_SHORT_NAME - 6]} ({number})"
    return kept


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0005_clock_confirmed"),
    ]

    operations = [
        *(
            migrations.AlterModelOptions(name=kind, options={"ordering": ("folded_name",)})
            for kind in NAMED
        ),
        *(
            migrations.AddField(
                model_name=kind,
                name="folded_name",
                field=FoldedName(default="", editable=False, max_length=300),
                preserve_default=False,
            )
            for kind in (*NAMED, "holiday")
        ),
        migrations.RunPython(fold, migrations.RunPython.noop),
        *(
            migrations.AlterField(
                model_name=kind,
                name="folded_name",
                field=FoldedName(editable=False, max_length=300, unique=True),
            )
            for kind in NAMED
        ),
        *(
            migrations.AlterField(
                model_name=kind,
                name="name",
                field=models.CharField(
                    max_length=100,
                    validators=[django.core.validators.ProhibitNullCharactersValidator()],
                ),
            )
            for kind in NAMED
        ),
        migrations.AlterField(
            model_name="rule",
            name="group",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: everyone.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="policies.peoplegroup",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="zone",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="policies.zone",
            ),
        ),
    ]
