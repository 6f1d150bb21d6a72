"""The audit log: every change of a policy, whatever path it took, with who, whence and what."""

import datetime as dt
import getpass

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import IntegrityError, NotSupportedError, connection, transaction
from django.db.models import ProtectedError
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from policies import audit, second_factor
from policies.audit import ledger
from policies.models import (
    Card,
    Certificate,
    Device,
    Door,
    House,
    PeopleGroup,
    Person,
    PolicyChange,
    Rule,
    Schedule,
    ScheduleWindow,
    Zone,
)
from tests.conftest import ANNA_UID, PASSWORD

CARD = f"/api/policies/cards/{ANNA_UID}"
SEVEN, NINE = dt.time(7), dt.time(9)


def written() -> list[tuple]:
    """What is in the audit log, oldest first."""
    rows = PolicyChange.objects.order_by("number")
    return [(row.action, row.kind, row.label, row.before, row.after) for row in rows]


@pytest.fixture
def house(door, sensor, annas_card):
    """Anna, whose card, group, rule, zone and schedule are all called something."""
    family = PeopleGroup.objects.create(name="family")
    annas_card.person.groups.add(family)
    nights = Schedule.objects.create(name="nights")
    ScheduleWindow.objects.create(schedule=nights, starts_at=SEVEN, ends_at=NINE)
    rule = Rule.objects.create(name="family at night", group=family, schedule=nights)
    rule.doors.add(door.door)
    Zone.objects.create(name="cellar").devices.add(door)
    PolicyChange.objects.all().delete()  # by the tests' own database role


def anna() -> Person:
    return Person.objects.get()


def card() -> Card:
    return Card.objects.get()


def rule() -> Rule:
    return Rule.objects.get(name="family at night")


def save(row, **values) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


BEN = {"name": "Ben", "active": True}
NEW_CARD = {"person": "Anna", "status": "active"}
OLD_CARD = ("deleted", "card", ANNA_UID, NEW_CARD, None)
WINDOW = "every day, 07:00 to 09:00"
EVERY_PATH = {
    "a person made": (
        lambda: Person.objects.create(name="Ben"),
        [("added", "person", "Ben", None, BEN)],
    ),
    "a person renamed": (
        lambda: save(anna(), name="Anne"),
        [("changed", "person", "Anna", {"name": "Anna"}, {"name": "Anne"})],
    ),
    "a person saved as he was": (lambda: anna().save(), []),
    "people made in bulk": (
        lambda: Person.objects.bulk_create([Person(name="Ben", folded_name="ben")]),
        [("added", "person", "Ben", None, BEN)],
    ),
    "a card that another person gets": (
        lambda: card().change({"user_name": "Ben"}),
        [
            ("added", "person", "Ben", None, BEN),
            ("changed", "card", ANNA_UID, {"person": "Anna"}, {"person": "Ben"}),
        ],
    ),
    "a card blocked": (
        lambda: card().block(),
        [("changed", "card", ANNA_UID, {"status": "active"}, {"status": "blocked"})],
    ),
    "cards changed by a query": (
        lambda: Card.objects.filter(person__name="Anna").update(status="blocked"),
        [("changed", "card", ANNA_UID, {"status": "active"}, {"status": "blocked"})],
    ),
    "cards changed by a query to what they were": (
        lambda: Card.objects.update(status="active"),
        [],
    ),
    "cards changed one by one in bulk": (
        lambda: Card.objects.bulk_update([Card(uid=ANNA_UID, label="blue fob")], ["label"]),
        [("changed", "card", ANNA_UID, {"label": ""}, {"label": "blue fob"})],
    ),
    "cards made in bulk, one of which is known": (
        lambda: Card.objects.bulk_create(
            [Card(uid=uid, person=anna(), label="new") for uid in (ANNA_UID, "04:11:22:33")],
            update_conflicts=True,
            unique_fields=["uid"],
            update_fields=["label"],
        ),
        [
            ("changed", "card", ANNA_UID, {"label": ""}, {"label": "new"}),
            ("added", "card", "04:11:22:33 (new)", None, NEW_CARD | {"label": "new"}),
        ],
    ),
    "people made in bulk, one of whom is known": (
        lambda: Person.objects.bulk_create(
            [Person(name=name, folded_name=name.lower()) for name in ("ANNA", "Ben")],
            update_conflicts=True,
            unique_fields=["folded_name"],
            update_fields=["name"],
        ),
        [
            ("changed", "person", "Anna", {"name": "Anna"}, {"name": "ANNA"}),
            ("added", "person", "Ben", None, BEN),
        ],
    ),
    "a card deleted": (lambda: card().delete(), [OLD_CARD]),
    "cards deleted by a query": (lambda: Card.objects.all().delete(), [OLD_CARD]),
    "a person deleted with his cards": (
        lambda: Person.objects.all().delete(),
        [
            ("deleted", "person", "Anna", {"name": "Anna", "active": True, "groups": ["family"]},
             None),
            OLD_CARD,
        ],
    ),
    "a group left": (
        lambda: anna().groups.clear(),
        [("changed", "person", "Anna", {"groups": ["family"]}, {"groups": []})],
    ),
    "a group entered from its own side": (
        lambda: PeopleGroup.objects.create(name="friends").people.add(anna()),
        [
            ("added", "peoplegroup", "friends", None,
             {"name": "friends", "exempt_from_lockdown": False}),
            ("changed", "person", "Anna", {"groups": ["family"]},
             {"groups": ["family", "friends"]}),
        ],
    ),
    "memberships made in bulk": (
        lambda: Zone.devices.through.objects.bulk_create(
            [Zone.devices.through(zone=Zone.objects.get(), device_id="kitchen")]
        ),
        [("changed", "zone", "cellar", {"devices": ["front door"]},
          {"devices": ["front door", "kitchen"]})],
    ),
    "a membership saved, as the console does": (
        lambda: Zone.devices.through(zone=Zone.objects.get(), device_id="kitchen").save(),
        [("changed", "zone", "cellar", {"devices": ["front door"]},
          {"devices": ["front door", "kitchen"]})],
    ),
    "a membership deleted, as the console does": (
        lambda: Zone.devices.through.objects.get().delete(),
        [("changed", "zone", "cellar", {"devices": ["front door"]}, {"devices": []})],
    ),
    "a rule deleted": (
        lambda: rule().delete(),
        [("deleted", "rule", "family at night",
          {"name": "family at night", "group": "family", "every_door": False,
           "schedule": "nights", "doors": ["front door"]}, None)],
    ),
    "a group deleted": (
        lambda: (rule().delete(), PeopleGroup.objects.get().delete()),
        [
            ("deleted", "rule", "family at night",
             {"name": "family at night", "group": "family", "every_door": False,
              "schedule": "nights", "doors": ["front door"]}, None),
            ("deleted", "peoplegroup", "family",
             {"name": "family", "exempt_from_lockdown": False}, None),
            ("changed", "person", "Anna", {"groups": ["family"]}, {"groups": []}),
        ],
    ),
    "memberships deleted in bulk": (
        lambda: Person.groups.through.objects.all().delete(),
        [("changed", "person", "Anna", {"groups": ["family"]}, {"groups": []})],
    ),
    "a rule for other doors": (
        lambda: rule().doors.set([]),
        [("changed", "rule", "family at night", {"doors": ["front door"]}, {"doors": []})],
    ),
    "a window more": (
        lambda: Schedule.objects.get().windows.create(days=65, starts_at=NINE, ends_at=SEVEN),
        [("changed", "schedule", "nights", {"windows": [WINDOW]},
          {"windows": [WINDOW, "mon, sun, 09:00 to 07:00"]})],
    ),
    "a window less": (
        lambda: ScheduleWindow.objects.all().delete(),
        [("changed", "schedule", "nights", {"windows": [WINDOW]}, {"windows": []})],
    ),
    "windows moved by a query": (
        lambda: ScheduleWindow.objects.update(ends_at=dt.time(8)),
        [("changed", "schedule", "nights", {"windows": [WINDOW]},
          {"windows": ["every day, 07:00 to 08:00"]})],
    ),
    "a schedule made with its windows": (
        lambda: make_schedule(),
        [("added", "schedule", "days", None, {"name": "days", "windows": [WINDOW]})],
    ),
    "the clock confirmed": (
        lambda: save(House.current(), clock_confirmed=7),
        [("changed", "house", "house", {"clock_confirmed": 0}, {"clock_confirmed": 7})],
    ),
    "a lockdown": (
        lambda: House.current().set_lockdown(True),
        [("changed", "house", "house", {"lockdown": False}, {"lockdown": True})],
    ),
    "a door switched off": (
        lambda: Door.objects.update(switched_on=False),
        [("changed", "door", "front door", {"switched_on": True}, {"switched_on": False})],
    ),
    "what a device says of itself": (lambda: Device.objects.update(firmware_version="2"), []),
}  # fmt: skip


def make_schedule() -> None:
    with audit.recording():
        days = Schedule.objects.create(name="day")
        days.name = "days"
        days.save()
        days.windows.create(starts_at=SEVEN, ends_at=NINE)


@pytest.mark.parametrize("path", EVERY_PATH)
def test_a_change_is_written_down_whatever_path_it_took(house, path):
    change, expected = EVERY_PATH[path]

    change()

    assert written() == expected


def test_what_goes_with_a_device_is_written_down_too(house):
    Device.objects.get(kind="door").delete()

    assert {(action, kind) for action, kind, *_ in written()} == {
        ("deleted", "device"),
        ("deleted", "door"),
        ("deleted", "certificate"),
        ("changed", "zone"),
        ("changed", "rule"),
    }


def test_a_refused_deletion_ruins_no_transaction_and_is_not_written_down(house):
    with pytest.raises(ProtectedError):
        PeopleGroup.objects.get().delete()
    with pytest.raises(ProtectedError):
        PeopleGroup.objects.all().delete()

    assert PeopleGroup.objects.exists()
    assert written() == []


def test_revoked_certificates_are_written_down(house):
    Certificate.objects.filter(device="kitchen").revoke()

    change = PolicyChange.objects.get()
    assert (change.kind, change.before, change.label[:8]) == (
        "certificate", {"revoked_at": None}, "kitchen,",
    )  # fmt: skip
    assert change.after["revoked_at"].endswith("Z")


@pytest.fixture
def user(user_of_role) -> User:
    made = user_of_role("viewer")
    PolicyChange.objects.all().delete()
    return made


def promote() -> None:
    User.objects.get().groups.set(Group.objects.filter(name="owner"))


WHO_SIGNS_IN = {
    "a user suspended": (
        lambda: User.objects.update(is_active=False),
        [("changed", "user", "the-viewer", {"is_active": True}, {"is_active": False})],
    ),
    "a user promoted": (
        promote,
        [
            ("changed", "user", "the-viewer", {"groups": ["viewer"]}, {"groups": []}),
            ("changed", "user", "the-viewer", {"groups": []}, {"groups": ["owner"]}),
        ],
    ),
    "a user deleted": (
        lambda: User.objects.all().delete(),
        [("deleted", "user", "the-viewer",
          {"username": "the-viewer", "password": "set", "is_active": True, "is_staff": False,
           "is_superuser": False, "groups": ["viewer"]}, None)],
    ),
    "a role deleted": (
        lambda: Group.objects.get(name="viewer").delete(),
        [("deleted", "group", "viewer", {"name": "viewer", "permissions": [
            "Access | access log entry | Can view access log entry",
            "Sensors | reading | Can view reading",
            "people, cards and devices | device | Can view device"]}, None),
         ("changed", "user", "the-viewer", {"groups": ["viewer"]}, {"groups": []})],
    ),
    "a second factor set up": (
        lambda: set_up_second_factor(),
        [("added", "totpdevice", "App (the-viewer)", None,
          {"user": "the-viewer", "confirmed": False}),
         ("changed", "totpdevice", "App (the-viewer)", {"confirmed": False}, {"confirmed": True}),
         ("added", "staticdevice", "Recovery codes (the-viewer)", None, {"user": "the-viewer"})],
    ),
    "a role that may more": (
        lambda: Group.objects.create(name="x").permissions.add(
            Permission.objects.get(codename="add_card")),
        [("added", "group", "x", None, {"name": "x"}),
         ("changed", "group", "x", {"permissions": []},
          {"permissions": ["people, cards and devices | card | Can add card"]})],
    ),
}  # fmt: skip


def set_up_second_factor() -> None:
    app = second_factor.begin(User.objects.get())
    second_factor.confirm(app.user, f"{totp(app.bin_key):06}")


@pytest.mark.parametrize("path", WHO_SIGNS_IN)
def test_so_is_a_change_of_who_may_sign_in(user, path):
    change, expected = WHO_SIGNS_IN[path]

    change()

    assert written() == expected


def test_a_password_is_never_written_down(user):
    user.set_password("another one, and secret")
    user.save()

    assert written() == [
        ("changed", "user", "the-viewer", {"password": "set"}, {"password": "changed"})
    ]


def test_so_are_secrets_of_the_second_factor(user):
    set_up_second_factor()

    kept = [TOTPDevice.objects.get().key, *StaticToken.objects.values_list("token", flat=True)]
    assert len(kept) == 11
    text = str(PolicyChange.objects.values_list())
    assert not any(secret in text for secret in kept)


def test_signing_in_is_no_change_also_when_the_password_is_hashed_anew(nobody, user, settings):
    settings.PASSWORD_HASHERS = [
        f"{PBKDF2PasswordHasher.__module__}.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    before = user.password

    nobody.send("POST", "/api/auth/token", {"username": "the-viewer", "password": PASSWORD})

    assert User.objects.get().password != before
    assert written() == []


def who() -> tuple[str, str, str]:
    change = PolicyChange.objects.latest("number")
    return (change.actor, change.source, change.address)


def test_a_change_by_session_is_its_users(manager, annas_card):
    manager.send("PATCH", CARD, {"active": False}, REMOTE_ADDR="192.0.2.7")

    assert who() == ("the-manager", "api", "192.0.2.7")


def test_a_change_by_token_is_its_users(nobody, user_of_role, annas_card):
    user_of_role("manager")
    body = {"username": "the-manager", "password": PASSWORD}
    token = nobody.send("POST", "/api/auth/token", body).json()["access"]

    nobody.send("DELETE", CARD, headers={"Authorization": f"Bearer {token}"})

    assert who() == ("the-manager", "api", "127.0.0.1")


def test_a_change_in_the_console_is_its_users(client, annas_card):
    client.force_login(User.objects.create_superuser("root"))

    client.post("/admin/policies/card/", {"action": "block", "_selected_action": [ANNA_UID]})

    assert who() == ("root", "console", "127.0.0.1")


def test_a_change_by_a_command_is_the_machines_users(annas_card):
    call_command("revoke_card", ANNA_UID)

    assert who() == (getpass.getuser(), "command", "")


def test_an_import_says_so_and_writes_an_entry_for_each_object(house, tmp_path):
    sheet = tmp_path / "cards.csv"
    sheet.write_text("card_uid,user_name,groups\n04112233,Ben,family|friends\n04112234,Ben,\n")

    call_command("import_cards", sheet)

    assert who() == (getpass.getuser(), "import", "")
    assert [(action, label) for action, _, label, *_ in written()] == [
        ("added", "friends"),
        ("added", "Ben"),
        ("added", "04:11:22:33"),
        ("added", "04:11:22:34"),
    ]


def test_a_change_by_the_api_is_one_entry(manager, house):
    change = {"name": "Anne", "groups": []}
    manager.send("PATCH", f"/api/policies/people/{anna().pk}", change)

    change = PolicyChange.objects.get(kind="person")
    assert change.before == {"name": "Anna", "groups": ["family"]}
    assert change.after == {"name": "Anne", "groups": []}


def test_a_process_that_serves_is_nobody(settings, annas_card):
    settings.SERVES = True

    annas_card.block()

    assert who() == ("", "house", "")


def test_after_a_request_its_user_is_at_work_no_more(manager, annas_card):
    manager.send("PATCH", CARD, {"active": False})

    annas_card.block()

    assert who()[1] == "command"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_change_that_cannot_be_written_down_does_not_happen(annas_card, monkeypatch):
    def full_disk(*arguments) -> None:
        raise IntegrityError

    monkeypatch.setattr(ledger, "_store", full_disk)

    for change in (
        lambda: save(card(), label="x"),
        lambda: Card.objects.update(label="x"),
        lambda: card().delete(),
        lambda: Person.objects.bulk_create([Person(name="Ben", folded_name="ben")]),
    ):
        with pytest.raises(IntegrityError):
            change()

    assert [(c.uid, c.label) for c in Card.objects.all()] == [(ANNA_UID, "")]
    assert Person.objects.count() == 1


def test_what_was_rolled_back_is_not_written_down(house):
    with audit.recording():
        with transaction.atomic():
            card().block()
            Person.objects.create(name="Ben")
            transaction.set_rollback(True)
        anna().save()

    assert written() == []


def test_steps_that_undo_each_other_are_no_change(house):
    with audit.recording():
        card().block()
        card().reactivate()
        Person.objects.create(name="Ben").delete()

    assert written() == []


def test_several_steps_in_a_block_are_one_entry(house):
    with audit.recording():
        card().block()
        save(card(), label="blue fob")

    assert written() == [
        (
            "changed",
            "card",
            ANNA_UID,
            {"status": "active", "label": ""},
            {"status": "blocked", "label": "blue fob"},
        )
    ]


def test_a_card_is_found_by_either_holder(house):
    card().change({"user_name": "Ben"})

    assert PolicyChange.objects.get(kind="card").person == "Anna, Ben"


def test_rows_of_which_nobody_knows_whether_they_are_new_are_refused(db):
    with pytest.raises(NotSupportedError):
        PeopleGroup.objects.bulk_create([PeopleGroup(name="x")], ignore_conflicts=True)


@pytest.mark.parametrize("count", [10, 100])
def test_many_rows_cost_few_questions(anna, django_assert_max_num_queries, count):
    cards = [Card(uid=f"04:00:00:{n:02X}", person=anna) for n in range(count)]

    with django_assert_max_num_queries(8):
        Card.objects.bulk_create(cards)
    with django_assert_max_num_queries(8):
        Card.objects.update(status="blocked")
    with django_assert_max_num_queries(16):
        Card.objects.all().delete()

    assert PolicyChange.objects.filter(kind="card").count() == 3 * count


def test_a_check_reads_no_audit_log(door_client, annas_card, django_assert_max_num_queries):
    before = PolicyChange.objects.count()
    with connection.execute_wrapper(_without_audit):
        door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    assert PolicyChange.objects.count() == before


def _without_audit(execute, sql, *arguments):
    assert "policy_changes" not in sql
    return execute(sql, *arguments)
