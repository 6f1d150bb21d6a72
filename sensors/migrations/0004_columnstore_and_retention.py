"""TimescaleDB compresses readings after 7 days and drops them after 90, where its licence lets it."""

from django.db import migrations

from sensors import timescale


class Migration(migrations.Migration):
    dependencies = [("sensors", "0003_hypertable")]
    operations = [migrations.RunPython(timescale.keep_readings, timescale.stop_keeping_readings)]
