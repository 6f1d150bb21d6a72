import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from access.decision import WORDS, Decision, decide
from policies import uid
from policies.models import Card, Device
from policies.moments import parse_moment, utc_text


class Command(BaseCommand):
    help = "Say whether a card would open a door, and why. Nothing is recorded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("card_uid", metavar="UID", help="4 to 10 bytes of hex")
        parser.add_argument("device_id", metavar="DEVICE", help="the id of a door")
        parser.add_argument("--at", metavar="TIME", help="ISO 8601 with an offset; now if absent")

    def handle(
        self, *, card_uid: str, device_id: str, at: str | None = None, **options: Any
    ) -> None:
        moment = _moment(at)
        door = _door(device_id)
        decision = decide(
            Card.objects.find_credential(_uid(card_uid)),
            door.door.state(),
            timezone.localtime(moment),
        )
        self.stdout.write(f"card: {_uid(card_uid)}, {_holder(decision)}")
        self.stdout.write(f"door: {door} ({door.device_id})")
        self.stdout.write(f"time: {utc_text(moment)}")
        self.stdout.write(f"rule: {decision.rule or 'none'}")
        if not door.enabled:
            self.stderr.write("note: the device is suspended, so it may not even ask.")
        result = "granted" if decision.granted else "refused"
        self.stdout.write(f"{result}: {WORDS[decision.reason]} ({decision.reason})")


def _moment(text: str | None) -> dt.datetime:
    if text is None:
        return timezone.now()
    try:
        return parse_moment(text)
    except ValueError:
        raise CommandError(
            f"{text!r} is no time with an offset, such as 2026-11-23T07:37:01+01:00."
        ) from None


def _uid(text: str) -> str:
    try:
        return uid.canonical(text)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _door(device_id: str) -> Device:
    device = (
        None
        if "\0" in device_id
        else Device.objects.select_related("door").filter(device_id=device_id).first()
    )
    if device is None:
        raise CommandError(f"There is no device {device_id!r}.")
    if device.kind != Device.Kind.DOOR:
        raise CommandError(f"{device} is a {device.kind}; only doors ask for access.")
    return device


def _holder(decision: Decision) -> str:
    return decision.credential.holder if decision.credential else "given to nobody"
