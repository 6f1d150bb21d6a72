"""Lockdown, holidays and schedules are reasons too."""

from django.db import migrations, models

import access.decision


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0001_access_log"),
    ]

    operations = [
        migrations.AlterField(
            model_name="accesslog",
            name="reason",
            field=models.CharField(
                choices=[
                    (access.decision.Reason["UNKNOWN_CARD"], "unknown card"),
                    (access.decision.Reason["CARD_BLOCKED"], "card reported lost or stolen"),
                    (access.decision.Reason["CARD_INACTIVE"], "card or person suspended"),
                    (access.decision.Reason["NOT_YET_VALID"], "not valid yet"),
                    (access.decision.Reason["EXPIRED"], "expired"),
                    (
                        access.decision.Reason["DOOR_DISABLED"],
                        "door switched off or locked by its schedule",
                    ),
                    (access.decision.Reason["LOCKDOWN"], "lockdown"),
                    (
                        access.decision.Reason["NO_RULE"],
                        "no rule lets this person through this door",
                    ),
                    (access.decision.Reason["HOLIDAY"], "closed on this holiday"),
                    (access.decision.Reason["OUTSIDE_SCHEDULE"], "not at this time"),
                    (access.decision.Reason["GRANTED"], "allowed"),
                ],
                max_length=20,
            ),
        ),
    ]
