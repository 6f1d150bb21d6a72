"""Cards on the command line: add, revoke, explain."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from access.models import AccessLog
from policies.models import Card, Door, Person, Rule
from tests.conftest import ANNA_UID


def run(capsys, *arguments: str) -> tuple[str, str]:
    """What a command wrote on stdout and stderr."""
    call_command(*arguments)
    written = capsys.readouterr()
    return written.out.strip(), written.err.strip()


def test_a_card_is_added_for_a_new_person(db, capsys):
    out, err = run(capsys, "add_card", "04a32bf21c80", "--holder", " Anna ")

    card = Card.objects.get()
    assert (card.uid, card.person.name, card.status) == (ANNA_UID, "Anna", "active")
    assert (out, err) == (f"{ANNA_UID} was given to Anna.", "")


def test_a_known_person_gets_another_card(annas_card, capsys):
    out, _ = run(capsys, "add_card", "04:11:22:33", "--holder", "ANNA")

    assert out == "04:11:22:33 was given to Anna."
    assert Person.objects.get().cards.count() == 2


def test_a_random_uid_warns_on_stderr(db, capsys):
    out, err = run(capsys, "add_card", "08:11:22:33", "--holder", "Anna")

    assert out == "08:11:22:33 was given to Anna."
    assert err.startswith("warning: ")
    assert "random" in err


@pytest.mark.parametrize(
    ("uid", "holder", "words"),
    [
        (ANNA_UID, "Ben", "on record already"),
        ("04a32bf21c80", "Ben", "on record already"),
        ("nonsense", "Ben", "4 to 10 bytes of hex"),
        ("04:A3:2B:F2\0", "Ben", "4 to 10 bytes of hex"),
        ("04:11:22:33", "  ", "1 to 200 characters"),
        ("04:11:22:33", "x" * 201, "1 to 200 characters"),
        ("04:11:22:33", "B\0en", "no NUL"),
        ("04:11:22:33", "B\udcffen", "no half characters"),  # not UTF-8 in the shell
    ],
)
def test_what_cannot_be_added_is_said_in_words(annas_card, uid, holder, words):
    with pytest.raises(CommandError, match=words):
        call_command("add_card", uid, "--holder", holder)

    assert [card.uid for card in Card.objects.all()] == [ANNA_UID]
    assert [person.name for person in Person.objects.all()] == ["Anna"]


@pytest.mark.parametrize("uid", [ANNA_UID, "04-a3-2b-f2-1c-80"])
def test_a_revoked_card_is_refused_at_the_next_check(annas_card, door_client, capsys, uid):
    out, _ = run(capsys, "revoke_card", uid)

    answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    assert answer.json()["reason"] == "card_inactive"
    assert out == f"{ANNA_UID} of Anna is inactive."


def test_a_blocked_card_stays_blocked(annas_card, capsys):
    annas_card.block()

    out, _ = run(capsys, "revoke_card", ANNA_UID)

    assert Card.objects.get().status == "blocked"
    assert out == f"{ANNA_UID} of Anna is blocked (lost or stolen)."


@pytest.mark.parametrize(
    ("uid", "words"),
    [("04:11:22:33", "on nobody's record"), ("nonsense", "4 to 10 bytes"), ("\0", "4 to 10 bytes")],
)
def test_a_card_that_is_not_there_is_said_to_be_so(annas_card, uid, words):
    with pytest.raises(CommandError, match=words):
        call_command("revoke_card", uid)


def test_a_grant_is_explained_with_its_rule(annas_card, door, capsys):
    out, err = run(
        capsys, "explain_access", "04a32bf21c80", "front-door", "--at", "2026-11-23T08:37:01+01:00"
    )

    assert out.splitlines() == [
        f"card: {ANNA_UID}, Anna",
        "door: front door (front-door)",
        "time: 2026-11-23T07:37:01.000Z",
        "rule: everyone, every door, always",
        "granted: allowed (granted)",
    ]
    assert err == ""


def test_explaining_leaves_no_trace(annas_card, door, capsys):
    run(capsys, "explain_access", ANNA_UID, "front-door")

    assert not AccessLog.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "last_line"),
    [
        (lambda: Card.objects.all().delete(), "refused: unknown card (unknown_card)"),
        (
            lambda: Card.objects.update(status="blocked"),
            "refused: card reported lost or stolen (card_blocked)",
        ),
        (
            lambda: Person.objects.update(active=False),
            "refused: card or person suspended (card_inactive)",
        ),
        (lambda: Card.objects.update(valid_until=timezone.now()), "refused: expired (expired)"),
        (
            lambda: Door.objects.update(switched_on=False),
            "refused: door switched off or locked by its schedule (door_disabled)",
        ),
        (
            lambda: Rule.objects.all().delete(),
            "refused: no rule lets this person through this door (no_rule)",
        ),
    ],
)
def test_a_refusal_is_explained_in_words_and_code(annas_card, door, capsys, spoil, last_line):
    spoil()

    out, _ = run(capsys, "explain_access", ANNA_UID, "front-door")

    assert out.splitlines()[-1] == last_line


@pytest.mark.parametrize(
    ("at", "result"),
    [("2026-11-23T07:59:59Z", "granted"), ("2026-11-23T08:00:00Z", "refused")],
)
def test_another_time_may_be_asked_for(annas_card, door, capsys, at, result):
    Card.objects.update(valid_until="2026-11-23T08:00:00Z")

    out, _ = run(capsys, "explain_access", ANNA_UID, "front-door", "--at", at)

    assert out.splitlines()[-1].startswith(result)


def test_a_suspended_device_is_mentioned(annas_card, door, capsys):
    door.enabled = False
    door.save()

    out, err = run(capsys, "explain_access", ANNA_UID, "front-door")

    assert out.splitlines()[-1] == "granted: allowed (granted)"
    assert err == "note: the device is suspended, so it may not even ask."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", "front-door"), "4 to 10 bytes of hex"),
        ((ANNA_UID, "back-door"), "no device 'back-door'"),
        ((ANNA_UID, "front-door\0"), "no device"),
        ((ANNA_UID, "kitchen"), "kitchen is a sensor; only doors ask"),
        ((ANNA_UID, "front-door", "--at", "tomorrow"), "no time with an offset"),
        ((ANNA_UID, "front-door", "--at", "2026-11-23T07:37:01"), "no time with an offset"),
    ],
)
def test_what_cannot_be_explained_is_said_in_words(annas_card, door, sensor, arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("explain_access", *arguments)
