"""What was changed in the policies, by whom."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0006_names_in_any_case"),
    ]

    operations = [
        migrations.CreateModel(
            name="PolicyChange",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("timestamp", models.DateTimeField(verbose_name="time")),
                ("actor", models.CharField(blank=True, max_length=150, verbose_name="who")),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("console", "console"),
                            ("api", "API"),
                            ("command", "command"),
                            ("import", "import"),
                            ("house", "the house itself"),
                        ],
                        max_length=10,
                        verbose_name="way",
                    ),
                ),
                (
                    "address",
                    models.CharField(blank=True, max_length=45, verbose_name="network address"),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("added", "Added"),
                            ("changed", "Changed"),
                            ("deleted", "Deleted"),
                        ],
                        max_length=10,
                    ),
                ),
                ("kind", models.CharField(max_length=50, verbose_name="what")),
                ("key", models.CharField(max_length=100)),
                ("label", models.CharField(max_length=300, verbose_name="name")),
                ("person", models.CharField(blank=True, max_length=402)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
            ],
            options={
                "verbose_name": "policy change",
                "db_table": "policy_changes",
                "ordering": ("-number",),
                "indexes": [
                    models.Index(fields=["kind", "key", "-number"], name="policy_changes_of_one"),
                    models.Index(fields=["timestamp"], name="policy_changes_by_time"),
                ],
            },
        ),
    ]
