"""Why a card opens a door or does not, on the command line."""

import datetime as dt
import io
import json
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from access.models import AccessLog
from policies.models import (
    Card,
    Door,
    Holiday,
    House,
    PeopleGroup,
    Person,
    Rule,
    Schedule,
    Zone,
)
from tests.conftest import ANNA_UID
from tests.test_card_commands import run

BEN_UID = "04:11:22:33"
MONDAY_NOON = "2026-11-23T12:00:00Z"


@pytest.fixture(autouse=True)
def _building(settings):
    settings.TIME_ZONE = "UTC"


@pytest.fixture
def house(annas_card, anna, door):
    """Anna may pass on Mondays from 9 to 12:30, but not at Christmas; cleaners always."""
    Rule.objects.all().delete()
    family, cleaners = (PeopleGroup.objects.create(name=n) for n in ("family", "cleaners"))
    anna.groups.add(family)
    mondays = Schedule.objects.create(name="mondays")
    mondays.windows.create(days=1, starts_at="09:00", ends_at="12:30")
    Rule.objects.create(name="family", group=family, every_door=True, schedule=mondays)
    Rule.objects.create(name="cleaners", group=cleaners, every_door=True)
    Rule.objects.create(name="attic", group=family)
    Holiday.objects.create(date="2026-12-28", name="Christmas")
    return door


def explained(capsys, at: str = MONDAY_NOON) -> list[str]:
    out, _ = run(capsys, "explain_access", "04a32bf21c80", "front-door", "--at", at)
    return out.splitlines()


def test_a_grant_is_explained_with_its_rule(house, capsys):
    assert explained(capsys, "2026-11-23T09:00:00+01:00")[-1].endswith("(outside_schedule)")
    assert explained(capsys, "2026-11-23T10:37:01+01:00") == [
        f"card: {ANNA_UID}, Anna",
        "door: front door (front-door)",
        "time: 2026-11-23T09:37:01.000Z",
        "here: Monday, 2026-11-23 09:37:01 (UTC)",
        "rule: family",
        "  “attic” is for other doors",
        "  “family” lets this card through",
        "granted: allowed (granted)",
    ]


def test_a_refusal_is_explained_by_every_rule_for_this_door(house, capsys):
    assert explained(capsys, "2026-11-23T12:30:00Z")[4:] == [
        "rule: none",
        "  “attic” is for other doors",
        "  “family” does not hold now, by its schedule “mondays”",
        "  “cleaners” is for the group “cleaners”, which Anna is not in",
        "refused: not at this time (outside_schedule)",
    ]


def test_a_holiday_is_called_by_its_name(house, capsys):
    assert explained(capsys, "2026-12-28T12:00:00Z")[4:] == [
        "rule: none",
        "  “attic” is for other doors",
        "  “family” rests today, “Christmas” is a holiday",
        "  “cleaners” is for the group “cleaners”, which Anna is not in",
        "why: “Christmas” is a holiday",
        "refused: closed on this holiday (holiday)",
    ]


def test_explaining_leaves_no_trace(annas_card, door, capsys):
    run(capsys, "explain_access", ANNA_UID, "front-door")

    assert not AccessLog.objects.exists()


def lock_zone():
    Zone.objects.create(name="ground floor", lockdown=True).devices.add("front-door")


def lock_always():
    always = Schedule.objects.create(name="always")
    always.windows.create(starts_at="00:00", ends_at="00:00")
    Door.objects.update(always_locked=always)


@pytest.mark.parametrize(
    ("spoil", "why", "last_line"),
    [
        (lambda: Card.objects.all().delete(), None, "unknown card (unknown_card)"),
        (
            lambda: Card.objects.update(status="blocked"),
            None,
            "card reported lost or stolen (card_blocked)",
        ),
        (
            lambda: Card.objects.update(status="inactive"),
            "the card is suspended",
            "card or person suspended (card_inactive)",
        ),
        (
            lambda: Person.objects.update(active=False),
            "Anna is suspended",
            "card or person suspended (card_inactive)",
        ),
        (
            lambda: Card.objects.update(valid_from="2026-12-01T00:00Z"),
            "valid from 2026-12-01 00:00:00 UTC",
            "not valid yet (not_yet_valid)",
        ),
        (
            lambda: Card.objects.update(valid_until=MONDAY_NOON),
            "valid until 2026-11-23 12:00:00 UTC",
            "expired (expired)",
        ),
        (
            lambda: Door.objects.update(switched_on=False),
            "the door is switched off",
            "(door_disabled)",
        ),
        (
            lock_always,
            "it is always locked by the schedule “always”",
            "(door_disabled)",
        ),
        (lambda: House.current().set_lockdown(True), "lockdown of the house", "(lockdown)"),
        (lambda: Door.objects.update(lockdown=True), "lockdown of this door", "(lockdown)"),
        (lock_zone, "lockdown of the zone “ground floor”", "(lockdown)"),
        (
            lambda: Rule.objects.all().delete(),
            None,
            "no rule lets this person through this door (no_rule)",
        ),
    ],
)
def test_a_refusal_is_explained_in_words_and_code(house, capsys, spoil, why, last_line):
    spoil()

    lines = explained(capsys)

    assert lines[-1].startswith("refused: ")
    assert lines[-1].endswith(last_line)
    assert [line for line in lines if line.startswith("why: ")] == ([f"why: {why}"] if why else [])


@pytest.mark.parametrize(
    ("at", "result"),
    [("2026-11-23T07:59:59Z", "granted"), ("2026-11-23T08:00:00Z", "refused")],
)
def test_another_time_may_be_asked_for(annas_card, door, capsys, at, result):
    Card.objects.update(valid_until="2026-11-23T08:00:00Z")

    assert explained(capsys, at)[-1].startswith(result)


def test_a_suspended_device_is_mentioned(annas_card, door, capsys):
    door.enabled = False
    door.save()

    out, err = run(capsys, "explain_access", ANNA_UID, "front-door")

    assert out.splitlines()[-1] == "granted: allowed (granted)"
    assert err == "note: the device is suspended, so it may not even ask."


def test_a_clock_that_is_not_believed_is_mentioned(house, capsys, batch):
    Schedule.objects.get().windows.update(days=127, starts_at="00:00", ends_at="00:00")
    granted, _ = run(capsys, "explain_access", ANNA_UID, "front-door")
    now = timezone.now()
    AccessLog.objects.create(
        log_id=uuid.uuid4(), timestamp=now + dt.timedelta(days=1), granted=False, latency_ms=1
    )

    out, err = run(capsys, "explain_access", ANNA_UID, "front-door")
    answers, _ = batch(f"{ANNA_UID} front-door\n{ANNA_UID} front-door {now.isoformat()}")

    assert granted.endswith("granted: allowed (granted)")
    assert out.endswith("(outside_schedule)")
    assert err.startswith("note: The clock shows ")
    assert [answer["reason"] for answer in answers] == ["outside_schedule", "granted"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", "front-door"), "4 to 10 bytes of hex"),
        ((ANNA_UID, "back-door"), "no device 'back-door'"),
        ((ANNA_UID, "front-door\0"), "no device"),
        ((ANNA_UID, "kitchen"), "kitchen is a sensor; only doors ask"),
        ((ANNA_UID, "front-door", "--at", "tomorrow"), "no time with an offset"),
        ((ANNA_UID, "front-door", "--at", "2026-11-23T07:37:01"), "no time with an offset"),
        ((ANNA_UID,), "Give UID and DEVICE, or --batch FILE"),
        ((ANNA_UID, "front-door", "--batch", "-"), "either UID and DEVICE or --batch"),
    ],
)
def test_what_cannot_be_explained_is_said_in_words(annas_card, door, sensor, arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("explain_access", *arguments)


@pytest.fixture
def batch(tmp_path):
    """The answers to a batch, and what the command complained of at its end."""

    def ask(text: str) -> tuple[list[dict[str, object]], str]:
        file = tmp_path / "questions"
        file.write_text(text)
        out = io.StringIO()
        complaint = ""
        try:
            call_command("explain_access", batch=str(file), stdout=out)
        except CommandError as error:
            complaint = str(error)
        return [json.loads(line) for line in out.getvalue().splitlines()], complaint

    return ask


def test_a_batch_is_answered_line_by_line(house, batch):
    answers, complaint = batch(
        f"{ANNA_UID} front-door 2026-11-23T10:37:01+01:00\n"
        "04-11-22-33\tfront-door  2026-11-23T09:37Z\r\n"
        "\n"
        f"{ANNA_UID} front-door 2026-12-28 09:37+00:00"
    )

    assert answers == [
        {
            "card_uid": ANNA_UID,
            "device_id": "front-door",
            "timestamp": "2026-11-23T09:37:01.000Z",
            "granted": True,
            "reason": "granted",
            "rule": "family",
        },
        {
            "card_uid": BEN_UID,
            "device_id": "front-door",
            "timestamp": "2026-11-23T09:37:00.000Z",
            "granted": False,
            "reason": "unknown_card",
            "rule": None,
        },
        {
            "card_uid": ANNA_UID,
            "device_id": "front-door",
            "timestamp": "2026-12-28T09:37:00.000Z",
            "granted": False,
            "reason": "holiday",
            "rule": None,
        },
    ]
    assert complaint == ""
    assert not AccessLog.objects.exists()


def test_a_line_without_a_time_asks_for_now(annas_card, door, batch):
    before = f"{timezone.now():%FT%H}"

    (answer,), _ = batch(f"{ANNA_UID} front-door\n")

    assert answer["granted"]
    assert answer["timestamp"] >= before


def test_a_wrong_line_is_answered_by_an_error_in_its_place(annas_card, door, sensor, batch):
    answers, complaint = batch(
        "nonsense front-door\n"
        f"{ANNA_UID} front-door\n"
        f"{ANNA_UID}\n"
        f"{ANNA_UID} kitchen\n"
        f"{ANNA_UID} back-door\n"
        f"{ANNA_UID} front-door tomorrow\n"
    )

    assert [(answer["granted"], answer.get("line")) for answer in answers] == [
        (False, 1),
        (True, None),
        (False, 3),
        (False, 4),
        (False, 5),
        (False, 6),
    ]
    assert answers[3]["error"] == "kitchen is a sensor; only doors ask for access."
    assert complaint == "Lines without an answer: 5 of 6."


def test_many_credentials_at_once_are_what_each_is_alone(house, anna):
    Holiday.objects.create(date=dt.date(2026, 12, 25), name="Christmas", yearly=True)
    wardens = PeopleGroup.objects.create(name="wardens", exempt_from_lockdown=True)
    for number in range(4):
        person = Person.objects.create(name=f"person {number}", active=number != 2)
        person.groups.set([anna.groups.get()] * (number % 2) + [wardens] * (number // 2))
        for card in range(2):
            Card.objects.create(
                uid=f"04:00:00:{number:02}:{card:02}",
                person=person,
                valid_until="2027-01-01T00:00Z" if card else None,
                status="blocked" if number == card else "active",
            )
    uids = list(Card.objects.values_list("uid", flat=True))

    found = Card.objects.find_credentials([*uids, BEN_UID])

    assert found == {uid: Card.objects.find_credential(uid) for uid in uids}
