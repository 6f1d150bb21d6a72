"""Cards from a spreadsheet."""

import io

import pytest
from django.core.management import CommandError, call_command

from policies.models import Card, PeopleGroup, Person
from tests.conftest import ANNA_UID


@pytest.fixture
def read(tmp_path):
    """Import a sheet; what the command wrote."""

    def run(content: str | bytes, *options: str) -> str:
        file = tmp_path / "cards.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = io.StringIO()
        call_command("import_cards", str(file), *options, stdout=out)
        return out.getvalue()

    return run


SHEET = """\
card_uid,user_name,label,status,valid_from,expires_at,groups
04a32bf21c80,Anna,blue fob,active,2026-01-01T00:00+01:00,2027-01-01T00:00+01:00,family|wardens
04-11-22-33,"Miller, Ben",,,,,
04:11:22:34,ANNA,spare,inactive,,,tenants

"""


def test_a_sheet_gives_cards_to_people_in_groups(db, read):
    out = read(SHEET)

    first, second, third = Card.objects.order_by("-uid")
    assert (first.uid, first.person.name, first.label, first.status) == (
        ANNA_UID,
        "Anna",
        "blue fob",
        "active",
    )
    assert (f"{first.valid_from:%F %H}", f"{first.valid_until:%F %H}") == (
        "2025-12-31 23",
        "2026-12-31 23",
    )
    assert (second.uid, second.person.name, second.status) == ("04:11:22:34", "Anna", "inactive")
    assert (third.uid, third.person.name, third.valid_until) == ("04:11:22:33", "Miller, Ben", None)
    groups = Person.objects.get(name="Anna").groups.values_list("name", flat=True)
    assert list(groups) == ["family", "tenants", "wardens"]
    assert out.splitlines() == [
        "people: 2 added",
        "cards: 3 added",
        "groups: 3 added",
        "Changes: 8. Every door knows them.",
    ]


@pytest.mark.parametrize(
    "sheet",
    [
        f"uid;Person\n{ANNA_UID};Anna\n",
        f"UID , Holder\r\n {ANNA_UID} , Anna \r\n",
        f"holder,uid\rAnna,{ANNA_UID}",
        f"\ufeffcard_uid,user_name\n{ANNA_UID},Anna",
        f'"card_uid";"user_name"\n"{ANNA_UID}";"Anna"\n;\n',
    ],
    ids=["semicolons", "spaces", "returns", "byte order mark", "quotes"],
)
def test_what_spreadsheets_write_is_read(db, read, sheet):
    read(sheet)

    assert [(card.uid, card.person.name) for card in Card.objects.all()] == [(ANNA_UID, "Anna")]


def test_a_known_card_takes_what_its_row_says_and_keeps_the_rest(annas_card, anna, read):
    anna.groups.add(PeopleGroup.objects.create(name="family"))
    Card.objects.update(label="blue fob", status="inactive", valid_until="2027-01-01T00:00Z")

    read(f"card_uid,user_name,label,expires_at,groups\n{ANNA_UID},ANNA,green fob,,wardens\n")

    card = Card.objects.get()
    assert (card.person.name, card.label, card.status) == ("Anna", "green fob", "inactive")
    assert f"{card.valid_until:%F}" == "2027-01-01"
    assert [group.name for group in card.person.groups.all()] == ["family", "wardens"]


def test_the_same_sheet_again_changes_nothing(db, read):
    read(SHEET)

    assert read(SHEET) == "Changes: 0. Every door knows them.\n"


def test_a_sheet_moves_a_card_to_another_person(annas_card, read):
    out = read(f"card_uid,user_name\n{ANNA_UID},Ben\n", "--dry-run")
    assert f'~ card "{ANNA_UID}": person "Anna" → "Ben"' in out.splitlines()

    read(f"card_uid,user_name\n{ANNA_UID},Ben\n")

    assert Card.objects.get().person.name == "Ben"
    assert Person.objects.filter(name="Anna").exists()


def test_an_old_sheet_unblocks_no_card(annas_card, read):
    annas_card.block()

    with pytest.raises(CommandError, match=f"line 2, status: {ANNA_UID} is blocked"):
        read(f"card_uid,user_name,status\n{ANNA_UID},Anna,active\n")
    read(f"card_uid,user_name,label\n{ANNA_UID},Anna,blue fob\n")

    card = Card.objects.get()
    assert (card.status, card.label) == ("blocked", "blue fob")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_every_wrong_row_is_told_and_nothing_is_imported(annas_card, read, options):
    sheet = f"""card_uid,user_name,label,status,expires_at,groups
04:11:22:33,Ben,"two
lines",,,
nonsense,Ben,,,,
04:11:22:34,,,,,
04:11:22:35,Miller, Ann,,,,
04:11:22:36,Ben,{"x" * 101},lost,31.12.2026,
04-11-22-33,Ben,,,,
{ANNA_UID},Anna,,,,{"y" * 101}
"""

    with pytest.raises(CommandError) as caught:
        read(sheet, *options)

    first, *errors = str(caught.value).split("\n  ")
    assert [error.partition(": ")[0] for error in errors] == [
        "line 4, card_uid",
        "line 5, user_name",
        "line 6",
        "line 7, label",
        "line 7, status",
        "line 7, expires_at",
        "line 8, card_uid",
        "line 9, groups",
    ]
    assert errors[2].startswith("line 6: Has 7 cells, the first line 6.")
    assert errors[6] == "line 8, card_uid: 04:11:22:33 stands twice, first in line 2."
    assert first.startswith("Nothing was changed; errors in ")
    assert [card.uid for card in Card.objects.all()] == [ANNA_UID]


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        ("", "line 1: card_uid is missing"),
        ("card_uid\n", "line 1: user_name is missing"),
        ("card_uid,user_name,colour\n", 'line 1: There is no column "colour"; known are card_uid,'),
        ("card_uid,uid,user_name\n", "line 1: card_uid stands twice"),
        ('card_uid,user_name\n04:11:22:33,"Ben\n', "unexpected end of data"),
        (b"card_uid,user_name\n04:11:22:33,Zo\xeb\n", "cannot be read"),
        ("card_uid,user_name\n04:11:22:33,A\0\n", "line 2, user_name: A name holds no NUL"),
        (
            "card_uid,user_name,valid_from,expires_at\n"
            "04112233,Ben,2026-01-02T00:00Z,2026-01-01T00:00Z\n",
            'line 2.expires_at: Must lie after "valid_from"',
        ),
    ],
)
def test_a_sheet_that_is_none_is_said_to_be_so(db, read, sheet, words):
    with pytest.raises(CommandError, match=words):
        read(sheet)

    assert not Person.objects.exists()
