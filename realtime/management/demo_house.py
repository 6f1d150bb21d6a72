"""The demo's devices, people and cards, and what a person is told about them."""

import datetime as dt
import io
import json
import secrets
import shlex
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.core.management import call_command
from django.db.models import Max
from django.utils import timezone

from access.decision import WORDS, Reason, decide
from policies.authentication import fingerprint
from policies.enrolment import pki_folder, revoke
from policies.models import Card, Certificate, Device, Door, Person
from policies.rules import CardStatus, DoorState
from realtime.management import rooms
from sensors.models import SensorReading

DOORS = ("front door", "garage door", "back door", "cellar door")
LABEL = "demo"
STRANGER = ("DE:AD:BE:EF", "a stranger")


@dataclass(frozen=True, slots=True)
class Identity:
    """A demo device and where its files lie."""

    device_id: str
    kind: str
    name: str
    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.device_id}.crt"

    @property
    def key(self) -> Path:
        return self.folder / f"{self.device_id}.key"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"


@dataclass(frozen=True, slots=True)
class DemoCard:
    """A card that simulated people hold to doors, and what a door said of it at the start."""

    uid: str
    holder: str
    reason: Reason


def devices(folder: Path, door_count: int, sensor_count: int) -> list[Identity]:
    """The identities of so many doors and sensors, doors first."""
    more = [f"door {number}" for number in range(len(DOORS) + 1, door_count + 1)]
    doors = [*DOORS, *more][:door_count]
    sensors = [rooms.room(number).name for number in range(sensor_count)]
    return [
        Identity(f"demo-{name.replace(' ', '-')}", kind, name, folder)
        for kind, names in (("door", doors), ("sensor", sensors))
        for name in names
    ]


def settle(house: Iterable[Identity]) -> None:
    """Enrol the devices that are new or lost their files; at the very first, people move in.

    Only then: whoever was deleted since must stay away, as a device that was revoked.
    """
    if not Device.objects.filter(device_id__startswith="demo-").exists():
        move_in(timezone.now())
    for device in house:
        if not _is_enrolled(device):
            _enrol(device)


def move_in(now: dt.datetime) -> None:
    """People whose cards open, and people whose cards do not.

    The UIDs are random: a number that stands in this file would open doors in every house
    that once showed the demo.
    """
    yesterday = now - dt.timedelta(days=1)
    _give("Anna")
    _give("Ben")
    _give("Ben", "lost", status=CardStatus.BLOCKED)
    _give("Clara", "cleaner")
    _give("Former tenant", status=CardStatus.INACTIVE)
    _give("Guest", valid_until=yesterday)


def cards(door: Identity | None, now: dt.datetime) -> list[DemoCard]:
    """The demo's cards that still exist and one that nobody was given, with their decisions."""
    state = DoorState("", switched_on=True)
    if door:
        state = Door.objects.get(pk=door.device_id).state()
    given = [
        (card.uid, card.person.name)
        for card in Card.objects.filter(label__startswith=LABEL).select_related("person")
    ]
    return [
        DemoCard(uid, holder, decide(Card.objects.find_credential(uid), state, now).reason)
        for uid, holder in [*given, STRANGER]
    ]


def leaflet(house: list[Identity], shown: list[DemoCard], url: str) -> list[str]:
    """What a person who looks at the demo wants to know, in lines."""
    lines = [f"Demo devices keep their files in {house[0].folder}"] if house else []
    lines += ["Cards that open:"]
    lines += [f"  {card.uid}  {card.holder}" for card in shown if card.reason is Reason.GRANTED]
    lines += ["Cards that do not:"]
    lines += [
        f"  {card.uid}  {card.holder}, {WORDS[card.reason]}"
        for card in shown
        if card.reason is not Reason.GRANTED
    ]
    doors = [device for device in house if device.kind == "door"]
    if doors:
        lines += [
            f"Hold a card to the {doors[0].name} yourself:",
            f"  {curl(doors[0], shown, url)}",
        ]
    return lines


def curl(door: Identity, shown: list[DemoCard], url: str) -> str:
    """A line for a shell that asks what the door would ask, with the door's own files."""
    best = next((card for card in shown if card.reason is Reason.GRANTED), shown[-1])
    words = ["curl", "--cacert", str(door.ca), "--cert", str(door.certificate)]
    words += ["--key", str(door.key), "-H", "Content-Type: application/json"]
    words += ["-d", json.dumps({"card_uid": best.uid}), f"{url}/api/access/check"]
    return shlex.join(words)


def silent_since(device: Identity, now: dt.datetime, most: dt.timedelta) -> dt.datetime:
    """The time of a device's newest reading, at most so long ago."""
    readings = SensorReading.objects.filter(device_id=device.device_id)
    newest = readings.aggregate(newest=Max("time"))["newest"]
    return max(newest, now - most) if newest else now - most


def _give(name: str, note: str = "", **rights: dt.datetime | CardStatus) -> None:
    uid = ":".join(f"{byte:02X}" for byte in b"\x04" + secrets.token_bytes(6))
    label = f"{LABEL}, {note}" if note else LABEL
    Card.objects.create(uid=uid, person=Person.objects.named(name), label=label, **rights)


def _is_enrolled(device: Identity) -> bool:
    """Its files are there and fit, from the present CA, and the certificate is on record."""
    try:
        same_ca = device.ca.read_bytes() == (pki_folder() / "ca.crt").read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(device.certificate, device.key)
        der = ssl.PEM_cert_to_DER_cert(device.certificate.read_text())
    except (OSError, ValueError):
        return False
    lasting = Certificate.objects.filter(device=device.device_id, not_after__gt=timezone.now())
    return same_ca and lasting.filter(fingerprint=fingerprint(der)).exists()


def _enrol(device: Identity) -> None:
    known = Device.objects.filter(device_id=device.device_id).exists()
    if known:
        revoke(device.device_id)
    # A name that somebody gave it since is better than ours.
    name = "" if known else device.name
    call_command(
        "enrol_device",
        device.device_id,
        kind=device.kind,
        out=device.folder,
        name=name,
        stdout=io.StringIO(),
    )
