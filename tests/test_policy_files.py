"""The house's policies as a file: out, in, and what is said about mistakes."""

import datetime as dt
import io
import json
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from policies.management.commands import import_policies
from policies.models import (
    Card,
    Device,
    Door,
    Holiday,
    House,
    PeopleGroup,
    Person,
    PolicyChange,
    Rule,
    Schedule,
    Visit,
    Zone,
)
from tests.conftest import ANNA_UID

# What the paragraph names, and nothing of ours.
PLAIN = {
    "people": [
        {"name": "Anna", "groups": ["family"]},
        {"name": "Ben", "groups": ["cleaners"], "valid_until": "2027-07-31T22:00:00Z"},
    ],
    "cards": [
        {"uid": "04a32bf21c80", "person": "Anna", "status": "active", "label": "blue fob"},
        {"uid": "04:11:22:33", "person": "ben", "expires_at": "2027-01-01T00:00:00+01:00"},
    ],
    "zones": [{"name": "ground floor", "doors": ["front-door"]}],
    "schedules": [
        {"name": "Tuesdays", "windows": [{"days": ["tue"], "from": "09:00", "to": "12:00"}]}
    ],
    "holidays": [{"date": "2026-12-25", "name": "Christmas", "yearly": True}],
    "rules": [
        {"group": "family", "doors": ["front-door"]},
        {"group": "cleaners", "zone": "ground floor", "schedule": "Tuesdays"},
    ],
}

# Everything that a file can say, as it is exported.
WHOLE = """\
{
  "people": [
    {"name": "Anna", "groups": ["family", "wardens"], "active": true, "valid_from": null, \
"valid_until": null, "visitor": false},
    {"name": "Zoë", "groups": [], "active": false, "valid_from": "2026-01-01T00:00:00.000Z", \
"valid_until": "2027-01-01T00:00:00.500Z", "visitor": true}
  ],
  "cards": [
    {"uid": "04:11:22:33", "person": "Zoë", "status": "inactive", "label": "", \
"valid_from": "2026-01-01T00:00:00.000Z", "expires_at": "2026-02-01T00:00:00.000Z", \
"visitor": true},
    {"uid": "04:A3:2B:F2:1C:80", "person": "Anna", "status": "blocked", "label": "blue fob", \
"valid_from": null, "expires_at": null, "visitor": false}
  ],
  "zones": [
    {"name": "attic", "devices": [], "lockdown": false},
    {"name": "ground floor", "devices": ["front-door", "kitchen"], "lockdown": true}
  ],
  "schedules": [
    {"name": "never", "windows": []},
    {"name": "nights", "windows": [{"days": ["sun"], "from": "00:00", "to": "00:00"}, \
{"days": ["fri"], "from": "22:00", "to": "05:00"}, \
{"days": ["mon", "sat"], "from": "22:00", "to": "06:00"}]}
  ],
  "holidays": [
    {"date": "2026-12-25", "name": "one-off", "yearly": false, \
"windows": [{"from": "10:00", "to": "12:00"}]},
    {"date": "2024-12-25", "name": "Christmas", "yearly": true, "windows": []}
  ],
  "rules": [
    {"name": "a zone and a door", "group": null, "zone": "ground floor", "doors": ["front-door"], \
"schedule": "nights"},
    {"name": "family", "group": "family", "every_door": true, "schedule": null},
    {"name": "nowhere yet", "group": null, "doors": [], "schedule": null}
  ],
  "groups": [
    {"name": "family", "exempt_from_lockdown": true},
    {"name": "nobody yet", "exempt_from_lockdown": false},
    {"name": "wardens", "exempt_from_lockdown": false}
  ],
  "doors": [
    {"device": "front-door", "switched_on": false, "lockdown": true, "always_locked": "nights", \
"always_unlocked": "never"}
  ],
  "lockdown": true
}
"""


@pytest.fixture
def read(tmp_path):
    """Import a value or a text; what the command wrote."""

    def run(content, *options: str) -> str:
        file = tmp_path / "policies.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        out = io.StringIO()
        call_command("import_policies", str(file), *options, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def refused(read):
    """The errors that a file is refused with."""

    def run(content, *options: str) -> list[str]:
        with pytest.raises(CommandError) as caught:
            read(content, *options)
        first, *errors = str(caught.value).split("\n  ")
        assert re.fullmatch(rf"Nothing was changed; errors in .*: {len(errors)}", first)
        return errors

    return run


def exported() -> str:
    out = io.StringIO()
    call_command("export_policies", "-", stdout=out)
    return out.getvalue()


def test_a_plain_file_says_who_may_pass_where(door, door_client, read):
    out = read(PLAIN, "--replace")

    assert Card.objects.get(uid="04:11:22:33").person.name == "Ben"
    assert not Rule.objects.filter(name="everyone, every door, always").exists()
    assert {rule.name for rule in Rule.objects.all()} == {
        "family: front-door; always",
        "cleaners: ground floor; Tuesdays",
    }
    answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    assert answer.json()["granted"]
    assert out.splitlines()[-1] == "Changes: 12. Every door knows them."


def test_an_import_is_written_down_once_for_each_thing(door, read):
    read(PLAIN, "--replace")
    known = PolicyChange.objects.count()

    read({"people": [{"name": "Ben", "groups": ["family"], "valid_until": None}, {"name": "Cleo"}]})

    ben, cleo = PolicyChange.objects.order_by("number")[known:]
    assert (ben.label, ben.action, ben.source) == ("Ben", "changed", "import")
    assert set(ben.after) == {"valid_until", "groups"}
    assert (cleo.label, cleo.action, cleo.source) == ("Cleo", "added", "import")


@pytest.mark.parametrize("house", ["empty", "of others", "the same"])
def test_what_was_exported_is_the_same_after_import_and_export(door, sensor, read, house):
    if house == "of others":
        read(PLAIN)
        Zone.objects.create(name="cellar", lockdown=True)
        Schedule.objects.create(name="nights").windows.create(starts_at="01:00", ends_at="02:00")
        Person.objects.filter(name="Anna").update(name="ANNA", active=False)
    if house == "the same":
        read(WHOLE, "--replace")

    read(WHOLE, "--replace")

    assert exported() == WHOLE
    assert Holiday.objects.get(yearly=True).yearly_on == "12-25"


def test_the_same_file_again_changes_nothing(door, read):
    read(PLAIN)

    assert read(PLAIN) == "Changes: 0. Every door knows them.\n"
    assert read(PLAIN, "--replace").startswith("rules: 1 removed\n")  # the one of a fresh house


def test_a_house_whose_door_has_settings_of_its_own_is_reset_by_an_export(door, read):
    before = exported()
    Door.objects.update(lockdown=True, always_locked=Schedule.objects.create(name="nights"))
    House.current().set_lockdown(True)

    read(before, "--replace")

    assert exported() == before
    assert Schedule.objects.count() == 0


def test_without_replace_nothing_is_removed_and_what_is_not_said_stays(door, read):
    read(PLAIN)
    Card.objects.filter(uid=ANNA_UID).update(status="blocked")
    PeopleGroup.objects.filter(name="family").update(exempt_from_lockdown=True)

    read(
        {
            "people": [{"name": "BEN", "valid_until": None}, {"name": "Anna"}],
            "cards": [{"uid": ANNA_UID, "person": "Anna"}],
            "groups": [{"name": "family"}],
        }
    )

    ben = Person.objects.get(name="BEN")
    assert (ben.valid_until, [group.name for group in ben.groups.all()]) == (None, ["cleaners"])
    card = Card.objects.get(uid=ANNA_UID)
    assert (card.status, card.label) == ("blocked", "blue fob")
    assert PeopleGroup.objects.get(name="family").exempt_from_lockdown
    assert (Rule.objects.count(), Card.objects.count(), Zone.objects.count()) == (3, 2, 1)


def test_replacing_opens_nothing_that_the_file_does_not_speak_of(door, sensor, read):
    read(WHOLE, "--replace")

    read(
        {
            "people": [{"name": "Anna"}, {"name": "Zoë"}],
            "cards": [{"uid": ANNA_UID, "person": "Anna"}, {"uid": "04112233", "person": "Zoë"}],
            "zones": [{"name": "ground floor"}],
            "schedules": [
                {"name": "nights", "windows": [{"days": ["mon"], "from": "22:00", "to": "06:00"}]},
                {"name": "never", "windows": []},
            ],
        },
        "--replace",
    )

    assert [card.status for card in Card.objects.order_by("uid")] == ["inactive", "blocked"]
    assert not Person.objects.get(name="Zoë").active
    assert Zone.objects.get().lockdown
    assert Zone.objects.get().devices.count() == 2
    assert House.current().lockdown
    assert Door.objects.get().lockdown
    assert (Rule.objects.count(), PeopleGroup.objects.count(), Holiday.objects.count()) == (0, 0, 0)
    assert Device.objects.count() == 2


def admit(**visitor) -> Visit:
    return Visit.objects.create(ends_at=timezone.now() + dt.timedelta(hours=1), **visitor)


@pytest.mark.parametrize("whose", ["person", "card"])
def test_a_visitor_that_comes_with_a_file_is_to_be_admitted_again(
    annas_card, anna, door_client, read, whose
):
    admit(**({"card": annas_card} if whose == "card" else {"person": anna}))
    export = exported()
    Person.objects.all().delete()

    read(export, "--replace")

    answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    assert answer.json()["reason"] == "expired"
    assert exported() == export


def test_visits_stay_unless_a_file_that_replaces_says_that_there_are_none(annas_card, anna, read):
    before = exported()
    admit(card=annas_card)
    admit(person=anna)

    read(before)
    read(
        {"people": [{"name": "Anna"}], "cards": [{"uid": ANNA_UID, "person": "Anna"}]}, "--replace"
    )
    kept = Visit.objects.count()
    read(before, "--replace")

    assert (kept, Visit.objects.count()) == (2, 0)
    assert exported() == before


def test_what_keeps_a_door_shut_does_not_go_in_passing(door, sensor, read, refused):
    read(WHOLE, "--replace")

    assert refused({}, "--replace") == [
        'schedules: The door "front-door" follows "nights": keep the schedule, or say in "doors" '
        "what the door shall do.",
        'schedules: The door "front-door" follows "never": keep the schedule, or say in "doors" '
        "what the door shall do.",
        'zones: "ground floor" is in lockdown, which would end with it: keep the zone, or say in '
        '"lockdown" whether the house is.',
    ]
    assert exported() == WHOLE


def test_an_empty_file_that_replaces_leaves_only_devices(door, sensor, read):
    read(WHOLE, "--replace")

    read({"doors": [], "lockdown": False}, "--replace")

    models = (Person, Card, Zone, Schedule, Holiday, Rule, PeopleGroup)
    assert [model.objects.count() for model in models] == [0] * 7
    assert not Door.objects.get().lockdown
    assert Device.objects.count() == 2


def test_a_dry_run_tells_everything_and_changes_nothing(door, read):
    read(PLAIN)
    before = exported()
    news = PLAIN | {
        "people": [{"name": "Anna", "groups": []}, {"name": "Cleo"}],
        "cards": [{"uid": ANNA_UID, "person": "Cleo", "status": "blocked"}],
    }

    lines = read(news, "--replace", "--dry-run").splitlines()

    assert exported() == before
    assert '~ person "Anna": groups ["family"] → []' in lines
    assert (
        f'~ card "{ANNA_UID}": person "Anna" → "Cleo", status "active" → "blocked", '
        'label "blue fob" → ""'
    ) in lines
    assert any(line.startswith('- card {"uid": "04:11:22:33"') for line in lines)
    assert any(line.startswith('- person {"name": "Ben"') for line in lines)
    assert "people: 1 added, 1 changed, 1 removed" in lines
    assert lines[-1] == "A dry run: nothing was changed. Changes in the file: 6"


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ({"people": [{"name": "  "}]}, "people[0].name: A name has 1 to 200 characters."),
        ({"people": [{"name": "A\0"}]}, "people[0].name: A name holds no NUL"),
        ({"people": [{"name": "\ud800"}]}, "people[0].name: A name holds no NUL"),
        ({"people": [{"name": 5}]}, "people[0].name: Must be a text."),
        ({"people": [{}]}, 'people[0]: "name" is missing.'),
        ({"people": ["Anna"]}, "people[0]: Must be an object."),
        ({"people": {"Anna": {}}}, "people: Must be a list."),
        ({"people": [{"name": "Anna"}, {"name": " anna"}]}, "people[1]: This person stands twice"),
        ({"people": [{"name": "Anna", "valid_untill": "x"}]}, 'There is no member "valid_untill"'),
        ({"people": [{"name": "Anna", "active": 1}]}, "people[0].active: Must be true or false."),
        ({"people": [{"name": "A", "groups": ["x" * 101]}]}, "people[0].groups[0]: A name has"),
        (
            {"people": [{"name": "Anna", "valid_from": "2026-01-01"}]},
            "people[0].valid_from: Must be a time such as",
        ),
        (
            {
                "people": [
                    {
                        "name": "Anna",
                        "valid_from": "2026-01-01T01:00+01:00",
                        "valid_until": "2026-01-01T00:00Z",
                    }
                ]
            },
            'people[0].valid_until: Must lie after "valid_from".',
        ),
        ({"cards": [{"uid": "04:11", "person": "Zoë"}]}, "cards[0].uid: A card UID is"),
        (
            {"cards": [{"uid": "04112233", "person": "Bob"}]},
            'cards[0].person: There is no person "',
        ),
        ({"cards": [{"uid": "04112233"}]}, 'cards[0]: "person" is missing.'),
        (
            {"cards": [{"uid": "04112233", "person": "Zoë", "status": "lost"}]},
            "cards[0].status: Must be one of active, inactive, blocked.",
        ),
        (
            {"cards": [{"uid": u, "person": "Zoë"} for u in ("04112233", "04-11-22-33")]},
            "cards[1]: This card stands twice, first at cards[0].",
        ),
        (
            {"zones": [{"name": "x", "devices": ["y"]}]},
            'zones[0].devices[0]: There is no device "y',
        ),
        ({"zones": [{"name": "x", "doors": [[]]}]}, "zones[0].doors[0]: There is no device []."),
        ({"schedules": [{"name": "x"}]}, 'schedules[0]: "windows" is missing.'),
        ({"schedules": [{"name": "x", "windows": [{}]}]}, 'windows[0]: "days" is missing.'),
        (
            {
                "schedules": [
                    {"name": "x", "windows": [{"days": ["mo"], "from": "1", "to": "24:00"}]}
                ]
            },
            "schedules[0].windows[0].days: “mo” is no day",
        ),
        (
            {"holidays": [{"name": "x", "date": "2026-02-29"}]},
            "holidays[0].date: Must be a date such as",
        ),
        (
            {
                "holidays": [
                    {"name": y, "date": f"{y}-12-25", "yearly": True} for y in ("2024", "2025")
                ]
            },
            "holidays[1]: This holiday stands twice, first at holidays[0].",
        ),
        ({"rules": [{"doors": ["x"]}]}, 'rules[0].doors[0]: There is no door "x".'),
        ({"rules": [{"doors": ["kitchen"]}]}, 'rules[0].doors[0]: "kitchen" is a sensor, no door.'),
        ({"rules": [{"zone": "x"}]}, 'rules[0].zone: There is no zone "x".'),
        (
            {"rules": [{"every_door": True, "schedule": "x"}]},
            'rules[0].schedule: There is no schedule "x".',
        ),
        ({"rules": [{"group": "family"}]}, "rules[0]: Where does it hold?"),
        ({"doors": [{"device": "front-door", "always_locked": "x"}]}, "There is no schedule"),
        ({"lockdown": "yes"}, "lockdown: Must be true or false."),
        ({"visitors": []}, 'There is no member "visitors"; known are people, cards, zones,'),
        ("{", "The file is not JSON"),
        ("[]", "The file must be a JSON object."),
        ('{"people": [], "people": []}', "a key stands twice"),
        ('{"people": NaN}', "NaN is not a JSON number"),
    ],
)
def test_a_mistake_is_told_with_its_place(door, sensor, refused, part, error):
    Person.objects.create(name="Zoë")
    Zone.objects.create(name="cellar")

    errors = refused(part)

    assert error in errors[0]


def test_all_mistakes_are_told_at_once_and_nothing_is_changed(door, refused):
    before = exported()

    errors = refused(
        PLAIN
        | {
            "cards": [{"uid": "nonsense", "person": "Anna"}],
            "rules": [{"doors": ["front-door", "back-door"]}, {"zone": "attic"}],
        }
    )

    assert [error.partition(": ")[0] for error in errors] == [
        "cards[0].uid",
        "rules[0].doors[1]",
        "rules[1].zone",
    ]
    assert exported() == before


def test_what_goes_cannot_be_referred_to(door, read, refused):
    read(PLAIN)

    errors = refused({"rules": PLAIN["rules"], "cards": PLAIN["cards"]}, "--replace")

    assert [error.partition(": ")[0] for error in errors] == [
        "cards[0].person",
        "cards[1].person",
        "rules[1].zone",
        "rules[1].schedule",
    ]


def test_names_are_the_same_in_any_case(door, read):
    read(PLAIN)
    before = exported()

    rules = [
        {"group": "Family", "doors": ["front-door"]},
        {"group": "CLEANERS", "zone": "Ground Floor", "schedule": "TUESDAYS"},
    ]
    read({"rules": rules, "people": [{"name": "Anna", "groups": ["FAMILY"]}]})
    assert exported() == before
    read({"groups": [{"name": "FAMILY"}], "zones": [{"name": "Ground Floor"}]})

    assert Rule.objects.get(name="family: front-door; always").group.name == "FAMILY"
    assert Rule.objects.filter(zone__name="Ground Floor").count() == 1
    assert (PeopleGroup.objects.count(), Zone.objects.count()) == (2, 1)


def test_rules_without_names_are_told_apart(door, read):
    twice = {"rules": [{"every_door": True}, {"every_door": True}, {"name": "x", "doors": []}]}

    read(twice, "--replace")
    read(twice)

    assert [rule.name for rule in Rule.objects.all()] == [
        "everyone, every door, always",
        "everyone: every door; always",
        "x",
    ]


def test_what_is_changed_meanwhile_is_compared_again(annas_card, read, monkeypatch):
    def read_slowly(text, house):
        Card.objects.update(status="blocked")
        return original(text, house)

    original = import_policies.reading.read
    monkeypatch.setattr(import_policies.reading, "read", read_slowly)

    read({"cards": [{"uid": ANNA_UID, "person": "Anna", "label": "blue fob"}]})

    card = Card.objects.get()
    assert (card.status, card.label) == ("blocked", "blue fob")


def test_a_card_that_an_import_blocks_is_refused_at_the_next_check(annas_card, door_client, read):
    door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    read({"cards": [{"uid": ANNA_UID, "person": "Anna", "status": "blocked"}]})

    answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    assert answer.json()["reason"] == "card_blocked"


def test_somebody_who_leaves_a_group_by_import_is_refused_at_the_next_check(
    door, door_client, read
):
    read(PLAIN, "--replace")
    first = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    read({"people": [{"name": "Anna", "groups": []}]})

    answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    assert (first.json()["reason"], answer.json()["reason"]) == ("granted", "no_rule")


def test_an_export_is_its_owners_alone_and_replaces_the_one_before(annas_card, tmp_path):
    file = tmp_path / "policies.json"
    file.write_text("older")

    call_command("export_policies", str(file), stdout=io.StringIO())

    assert json.loads(file.read_text())["people"][0]["name"] == "Anna"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("command", "words"),
    [("import_policies", "cannot be read"), ("export_policies", "cannot be written")],
)
def test_a_file_that_is_not_there_is_said_in_words(db, tmp_path, command, words):
    with pytest.raises(CommandError, match=words):
        call_command(command, str(tmp_path / "none" / "policies.json"))


def test_a_file_that_is_not_utf_8_is_said_in_words(db, tmp_path):
    (tmp_path / "latin").write_bytes(b'{"people": [{"name": "Zo\xeb"}]}')

    with pytest.raises(CommandError, match="cannot be read: 'utf-8' codec"):
        call_command("import_policies", str(tmp_path / "latin"))


def test_the_example_of_the_documents_is_what_it_says(door, sensor, read):
    text = (Path(__file__).parent.parent / "docs" / "policies.md").read_text()
    example = text.partition("```json\n")[2].partition("```")[0]

    read(example, "--replace")

    assert set(json.loads(exported())) == set(json.loads(example))
    assert read(example, "--replace").startswith("Changes: 0.")
