"""The devices and cards of the house under test, what they send, how answers are judged."""

import contextlib
import io
import itertools
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import Job, Payload, Results
from benchmarks.table import say

DOORS = [f"bench-door-{n}" for n in range(1, 5)]
SENSORS = [f"bench-sensor-{n:02}" for n in range(1, 11)]
CARDS = 500  # besides the four classes: a house with history

HOLDER = "04:A3:2B:F2:1C:80"
REVOKED = "04:A3:2B:F2:1C:81"
STRANGER = "04:A3:2B:F2:1C:82"
SHUT_OUT = DOORS[-1]  # no rule lets anybody through this one


def expected(door: str, uid: str) -> tuple[bool, str]:
    """The four classes: granted, revoked, unknown, wrong door."""
    if uid == STRANGER:
        return False, "unknown_card"
    if uid == REVOKED:
        return False, "card_inactive"
    return (False, "no_rule") if door == SHUT_OUT else (True, "granted")


def settle(files: Path) -> None:
    """Enrol everybody and add the cards: by the same commands that people use. Django is set up."""
    say(f"preparing a house of {len(DOORS)} doors, {len(SENSORS)} sensors, {CARDS + 2} cards")
    from django.core.management import call_command

    from policies.models import Card, Door, Person, Rule

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        call_command("bootstrap")
        for device_id in DOORS + SENSORS:
            kind = "door" if device_id in DOORS else "sensor"
            call_command("enrol_device", device_id, f"--kind={kind}", f"--out={files}")
        call_command("add_card", HOLDER, "--holder=Anna")
        call_command("add_card", REVOKED, "--holder=Bert")
        call_command("revoke_card", REVOKED)
    crowd = Person.objects.named("everybody else")
    Card.objects.bulk_create(
        Card(uid=f"05:00:{n // 256:02X}:{n % 256:02X}", person=crowd) for n in range(CARDS)
    )
    rule = Rule.objects.get(every_door=True)
    Rule.objects.filter(pk=rule.pk).update(every_door=False)
    rule.doors.set(Door.objects.exclude(pk=SHUT_OUT))


def jobs(
    checks: Results,
    readings: Results,
    checks_per_second: float,
    readings_per_second: float,
    sockets: int = 0,
) -> list[Job]:
    """Who sends what: every door all four classes, every sensor readings with ids, the first
    `sockets` of them as frames."""
    check, ingest = "/api/access/check", "/api/sensors/ingest"
    a_door, a_sensor = checks_per_second / len(DOORS), readings_per_second / len(SENSORS)
    return [
        *[Job(door, check, a_door, scans(door), judge_check, checks) for door in DOORS],
        *[
            Job(sensor, "/ws", a_sensor, samples(sensor), judge_ack, readings)
            for sensor in SENSORS[:sockets]
        ],
        *[
            Job(sensor, ingest, a_sensor, samples(sensor), judge_reading, readings)
            for sensor in SENSORS[sockets:]
        ],
    ]


def scans(door: str) -> Iterator[Payload]:
    chance = random.Random(door)  # noqa: S311  # the same cards every run
    while True:
        uid = chance.choice((HOLDER, HOLDER, REVOKED, STRANGER))
        yield {"device_id": door, "card_uid": uid, "timestamp": "T+00h00m12s"}


def samples(sensor: str) -> Iterator[Payload]:
    boot_id = secrets.randbits(31)
    for seq in itertools.count():
        yield {
            "device_id": sensor,
            "boot_id": boot_id,
            "seq": seq,
            "temperature": 20 + seq / 1000,  # tells viewers which reading it is
            "humidity": 48.5,
            "pressure": 1013.25,
        }


def judge_check(body: Payload, status: int, reply: Payload) -> str:
    wanted = expected(body["device_id"], body["card_uid"])
    got = (reply.get("granted"), reply.get("reason"))
    same_card = reply.get("card_uid") == body["card_uid"]
    return "" if status == 200 and got == wanted and same_card else f"expected {wanted}"


def judge_reading(body: Payload, status: int, reply: Payload) -> str:
    accepted = status == 202 and reply.get("status") == "accepted"
    return "" if accepted and reply.get("device_id") == body["device_id"] else "expected 202"


def judge_ack(body: Payload, status: int, reply: Payload) -> str:
    return "" if reply.get("type") == "ack" else "expected an ack"
