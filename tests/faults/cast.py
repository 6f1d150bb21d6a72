"""The devices and cards that the load speaks for: `python -m tests.faults.cast FOLDER`.

Runs with a house's settings in the environment and uses the commands that people use.
"""

import contextlib
import datetime as dt
import io
import os
import sys

import django

from tests.faults.load import (
    BEGAN,
    COLD,
    DOORS,
    EXPIRES,
    HOLDERS,
    REVOKED,
    SENSORS,
    SHUT_OUT,
    TOGGLED,
)


def main(folder: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "smarthome.settings"
    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from policies.models import Card, Door, Person, Rule

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for device_id in DOORS + SENSORS:
            kind = "door" if device_id in DOORS else "sensor"
            call_command("enrol_device", device_id, f"--kind={kind}", f"--out={folder}")
        for uid in (*HOLDERS, REVOKED, TOGGLED):
            call_command("add_card", uid, f"--holder=Holder of {uid}")
        call_command("revoke_card", REVOKED)
    at, half_an_hour = timezone.now(), dt.timedelta(minutes=30)
    crowd = Person.objects.named("everybody else")
    Card.objects.bulk_create(Card(uid=uid, person=crowd) for uid in COLD)
    Card.objects.create(uid=EXPIRES, person=crowd, valid_until=at + half_an_hour)
    Card.objects.create(uid=BEGAN, person=crowd, valid_from=at - half_an_hour)
    rule = Rule.objects.get(every_door=True)
    Rule.objects.filter(pk=rule.pk).update(every_door=False)
    rule.doors.set(Door.objects.exclude(pk=SHUT_OUT))


if __name__ == "__main__":
    main(sys.argv[1])
