"""Up to which entry of the access log somebody said that the clock is right."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0004_schedules_and_lockdown"),
    ]

    operations = [
        migrations.AddField(
            model_name="house",
            name="clock_confirmed",
            field=models.BigIntegerField(default=0, editable=False),
        ),
    ]
