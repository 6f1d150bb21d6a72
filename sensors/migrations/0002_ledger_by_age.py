from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sensors", "0001_readings")]
    operations = [
        migrations.AddIndex(
            model_name="acceptedreading",
            index=models.Index(fields=["accepted_at"], name="ledger_by_age"),
        ),
    ]
