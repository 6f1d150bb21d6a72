"""Schedules with their windows, holidays, and lockdown of a door, a zone or the whole house."""

from typing import Any

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import policies.models.schedules


def create_house(apps: Any, schema_editor: Any) -> None:
    apps.get_model("policies", "House").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0003_policy_revision"),
    ]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[django.core.validators.ProhibitNullCharactersValidator()],
                    ),
                ),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.AddField(
            model_name="door",
            name="lockdown",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="On: every card is refused, except those of groups that are exempt.",
            ),
        ),
        migrations.AddField(
            model_name="peoplegroup",
            name="exempt_from_lockdown",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="On: a lockdown does not stop these people.",
            ),
        ),
        migrations.AddField(
            model_name="zone",
            name="lockdown",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="On: every card is refused, except those of groups that are exempt.",
            ),
        ),
        migrations.CreateModel(
            name="Holiday",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "date",
                    models.DateField(help_text="Of a yearly holiday only day and month count."),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        validators=[django.core.validators.ProhibitNullCharactersValidator()],
                    ),
                ),
                (
                    "yearly",
                    models.BooleanField(default=False, help_text="On: every year on this day."),
                ),
                (
                    "yearly_on",
                    models.CharField(editable=False, max_length=5, null=True, unique=True),
                ),
            ],
            options={
                "ordering": ("date", "yearly"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("yearly", False)),
                        fields=("date",),
                        name="policies_holiday_is_once_a_date",
                        violation_error_message="There is a holiday on this date already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("yearly", True), ("yearly_on__isnull", False)),
                            models.Q(("yearly", False), ("yearly_on__isnull", True)),
                            _connector="OR",
                        ),
                        name="policies_holiday_yearly_has_a_day",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HolidayWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "starts_at",
                    models.TimeField(
                        validators=[policies.models.schedules.whole_minutes], verbose_name="from"
                    ),
                ),
                (
                    "ends_at",
                    models.TimeField(
                        help_text="Not included. Before “from”: the next morning. The same as “from”: 24 hours.",
                        validators=[policies.models.schedules.whole_minutes],
                        verbose_name="to",
                    ),
                ),
                (
                    "holiday",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="windows",
                        to="policies.holiday",
                    ),
                ),
            ],
            options={
                "ordering": ("holiday", "starts_at", "id"),
            },
        ),
        migrations.CreateModel(
            name="House",
            fields=[
                (
                    "lockdown",
                    models.BooleanField(
                        default=False,
                        db_default=False,
                        help_text="On: every card is refused, except those of groups that are exempt.",
                    ),
                ),
                (
                    "id",
                    models.PositiveSmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "house",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("pk", 1)), name="policies_house_is_one"
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="door",
            name="always_locked",
            field=models.ForeignKey(
                blank=True,
                help_text="While it holds the door answers every card with “door disabled”, holidays included.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="locks",
                to="policies.schedule",
            ),
        ),
        migrations.AddField(
            model_name="door",
            name="always_unlocked",
            field=models.ForeignKey(
                blank=True,
                help_text="While it holds the door is told to stay open; not on holidays. It grants no card anything.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="unlocks",
                to="policies.schedule",
            ),
        ),
        migrations.AddField(
            model_name="rule",
            name="schedule",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: always, holidays included.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="policies.schedule",
            ),
        ),
        migrations.CreateModel(
            name="ScheduleWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "days",
                    models.PositiveSmallIntegerField(
                        default=127,
                        help_text="The days on which it begins, added up: Monday 1, Tuesday 2, Wednesday 4, Thursday 8, Friday 16, Saturday 32, Sunday 64.",
                    ),
                ),
                (
                    "starts_at",
                    models.TimeField(
                        validators=[policies.models.schedules.whole_minutes], verbose_name="from"
                    ),
                ),
                (
                    "ends_at",
                    models.TimeField(
                        help_text="Not included. Before “from”: the next morning. The same as “from”: 24 hours.",
                        validators=[policies.models.schedules.whole_minutes],
                        verbose_name="to",
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="windows",
                        to="policies.schedule",
                    ),
                ),
            ],
            options={
                "ordering": ("schedule", "starts_at", "id"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("days__gte", 1), ("days__lte", 127)),
                        name="policies_window_begins_on_some_day",
                        violation_error_message="A window begins on at least one day of the week.",
                    )
                ],
            },
        ),
        migrations.RunPython(create_house, migrations.RunPython.noop),
    ]
