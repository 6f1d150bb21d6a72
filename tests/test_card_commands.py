"""Cards on the command line: add and revoke."""

import pytest
from django.core.management import CommandError, call_command

from policies.models import Card, Person
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
