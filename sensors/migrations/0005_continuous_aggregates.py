"""TimescaleDB keeps the running sums itself: views of the same columns instead of tables."""

from django.db import migrations

from sensors import timescale


class Migration(migrations.Migration):
    dependencies = [("sensors", "0004_columnstore_and_retention")]
    operations = [migrations.RunPython(timescale.keep_sums, timescale.stop_keeping_sums)]
