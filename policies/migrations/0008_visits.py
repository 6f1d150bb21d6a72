"""Visitors, and the entries of those whose entries are counted."""

import uuid

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import policies.models.visits


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0007_policy_changes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Visit",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "starts_at",
                    models.DateTimeField(
                        default=policies.models.visits.this_moment, verbose_name="from"
                    ),
                ),
                ("ends_at", models.DateTimeField(help_text="Not included.", verbose_name="until")),
                (
                    "max_entries",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Each door that opens is one entry. Empty: any number.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="entries at most",
                    ),
                ),
                ("saved_at", models.DateTimeField(auto_now=True)),
                (
                    "card",
                    models.ForeignKey(
                        blank=True,
                        help_text="This card only. Other cards of the same person are not bound to the visit.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visits",
                        to="policies.card",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        help_text="All cards of this person.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visits",
                        to="policies.person",
                    ),
                ),
            ],
            options={
                "ordering": ("-starts_at", "pk"),
            },
        ),
        migrations.CreateModel(
            name="VisitEntry",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("entered_at", models.DateTimeField()),
                (
                    "visit",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="entries",
                        to="policies.visit",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "visit entries",
                "ordering": ("-entered_at",),
            },
        ),
        migrations.AddConstraint(
            model_name="visit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("card__isnull", False), ("person", None)),
                    models.Q(("card", None), ("person__isnull", False)),
                    _connector="OR",
                ),
                name="policies_visit_is_of_a_card_or_of_a_person",
                violation_error_message="A visit is of a card or of a person: choose one of them.",
            ),
        ),
        migrations.AddConstraint(
            model_name="visit",
            constraint=models.CheckConstraint(
                condition=models.Q(("starts_at__lte", models.F("ends_at"))),
                name="policies_visit_ends_after_it_starts",
                violation_error_message="“From” must lie before “until”.",
            ),
        ),
        migrations.AddConstraint(
            model_name="visit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("max_entries", None),
                    models.Q(("max_entries__gte", 1), ("max_entries__lte", 1000)),
                    _connector="OR",
                ),
                name="policies_visit_admits_somebody",
            ),
        ),
    ]
