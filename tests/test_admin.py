"""The console: what each role finds there, and what it does."""

import datetime as dt

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from access import door_events
from access.models import AccessLog, DoorEvent
from policies.ids import uuid7
from policies.models import Card, Certificate, Device, Door, Person, Presence, Rule, Zone
from tests.conftest import ANNA_UID

NOW = dt.datetime(2026, 11, 23, 7, 37, tzinfo=dt.UTC)
NO_CARDS = {
    "cards-TOTAL_FORMS": "0",
    "cards-INITIAL_FORMS": "0",
    "cards-MIN_NUM_FORMS": "0",
    "cards-MAX_NUM_FORMS": "1000",
}


@pytest.fixture
def manager(console) -> Client:
    return console("manager")


@pytest.fixture
def owner(console) -> Client:
    return console("owner")


def page(name: str, *arguments) -> str:
    return reverse(f"admin:{name}", args=arguments)


def said(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def act(client: Client, model: str, action: str, *keys: str) -> list[str]:
    """Run an action on rows of a list; what the console said of it."""
    answer = client.post(
        page(f"policies_{model}_changelist"), {"action": action, "_selected_action": keys}
    )
    assert answer.status_code == 302
    return said(answer)[-1:]


@pytest.fixture
def log_row(db) -> AccessLog:
    return AccessLog.objects.create(
        log_id=uuid7(NOW),
        timestamp=NOW,
        device_id="front-door",
        device_name="Front door",
        card_uid=ANNA_UID,
        user_name="Anna",
        granted=False,
        reason="card_blocked",
        latency_ms=3.5,
    )


@pytest.fixture
def furnished(annas_card, door, sensor, log_row) -> None:
    """One of everything."""
    Zone.objects.create(name="ground floor").devices.add(door)
    Rule.objects.create(name="front door only").doors.add(door.door)
    door_events.record(door, {"event": "forced_open", "battery": 71})
    Presence.objects.all().delete()


MODELS = ("person", "card", "peoplegroup", "zone", "rule", "door", "device", "certificate")
PAGES = [f"policies_{model}" for model in MODELS] + ["access_accesslog", "access_doorevent"]


@pytest.mark.parametrize("name", PAGES)
def test_an_owner_opens_every_list_and_every_row(owner, furnished, name):
    model = next(
        model for model in site._registry if model._meta.label_lower.replace(".", "_") == name
    )

    statuses = [owner.get(page(f"{name}_changelist")).status_code]
    statuses += [
        owner.get(page(f"{name}_change", row.pk)).status_code for row in model.objects.all()
    ]

    assert set(statuses) == {200}


def test_a_door_event_is_in_words_and_only_read(owner, furnished):
    event = DoorEvent.objects.get()

    shown = owner.get(page("access_doorevent_changelist")).content.decode()

    assert "forced open" in shown
    assert "front door" in shown
    assert owner.get(page("access_doorevent_add")).status_code == 403
    assert owner.post(page("access_doorevent_delete", event.pk)).status_code == 403


@pytest.mark.parametrize(
    ("role", "opened"),
    [
        ("viewer", {"policies_device", "access_accesslog"}),
        ("operator", set(PAGES) - {"policies_certificate"}),
        ("manager", set(PAGES) - {"policies_certificate"}),
        ("owner", set(PAGES)),
    ],
)
def test_a_role_finds_what_it_may_see(console, furnished, role, opened):
    client = console(role)

    found = {name for name in PAGES if client.get(page(f"{name}_changelist")).status_code == 200}

    assert found == opened


@pytest.mark.parametrize(
    ("role", "added"),
    [
        ("viewer", set()),
        ("operator", set()),
        ("manager", {"person", "card", "peoplegroup", "zone", "rule"}),
        ("owner", {"person", "card", "peoplegroup", "zone", "rule"}),
    ],
)
def test_a_role_adds_what_it_may_write(console, role, added):
    client = console(role)

    found = {m for m in MODELS if client.get(page(f"policies_{m}_add")).status_code == 200}

    assert found == added


def test_who_is_not_staff_stays_outside(client_of_role):
    answer = client_of_role("owner").get(page("index"))

    assert answer.status_code == 302
    assert answer["Location"].startswith(page("login"))


def test_what_changes_every_second_and_tokens_are_not_in_the_console():
    assert not {"Presence", "TokenFamily"} & {model.__name__ for model in site._registry}


def test_the_console_has_the_houses_name(owner):
    assert "Smart home" in owner.get(page("index")).content.decode()


def known_card(**changes) -> dict:
    """The part of a person's page about the one card that there is."""
    card = {"uid": ANNA_UID, "label": "", "status": "active"} | changes
    form = {f"cards-0-{name}": value for name, value in card.items()}
    return form | {"cards-TOTAL_FORMS": "1", "cards-INITIAL_FORMS": "1"}


def new_card(**changes) -> dict:
    return {"uid": "04a32bf21c80", "label": "", "status": "active"} | changes


def test_a_card_is_added_in_any_way_of_writing(manager, anna):
    answer = manager.post(page("policies_card_add"), new_card(person=anna.pk))

    assert answer.status_code == 302
    assert Card.objects.get().uid == ANNA_UID
    assert not any("random" in message for message in said(answer))


def test_a_random_uid_warns(manager, anna):
    answer = manager.post(page("policies_card_add"), new_card(uid="08112233", person=anna.pk))

    assert any("08:11:22:33: A 4-byte UID that begins with 08 is random" in m for m in said(answer))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uid": "nonsense"}, "4 to 10 bytes of hex"),
        ({"uid": "04a32bf2\0"}, "Null characters"),
        ({"uid": "04:11:22:33"}, "already exists"),
        ({"label": "\0"}, "Null characters"),
        (
            {
                "valid_from_0": "2026-11-24",
                "valid_from_1": "00:00",
                "valid_until_0": "2026-11-23",
                "valid_until_1": "00:00",
            },
            "Must lie after",
        ),
    ],
)
def test_a_wrong_card_is_refused_in_words(manager, anna, changes, words):
    Card.objects.create(uid="04:11:22:33", person=anna)

    answer = manager.post(page("policies_card_add"), new_card(person=anna.pk, **changes))

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert Card.objects.count() == 1


def test_a_known_card_is_changed_but_keeps_its_uid(manager, annas_card):
    answer = manager.post(
        page("policies_card_change", ANNA_UID),
        new_card(uid="04:99:99:99", label="blue fob", person=annas_card.person_id),
    )

    assert answer.status_code == 302
    assert [(card.uid, card.label) for card in Card.objects.all()] == [(ANNA_UID, "blue fob")]


@pytest.mark.parametrize(
    ("action", "before", "after", "words"),
    [
        ("revoke", "active", "inactive", "1 card is revoked."),
        ("revoke", "blocked", "blocked", "1 card is revoked."),
        ("block", "active", "blocked", "1 card is blocked as lost or stolen."),
        ("reactivate", "blocked", "active", "1 card is active again."),
    ],
)
def test_one_button_for_a_lost_card(manager, annas_card, action, before, after, words):
    Card.objects.update(status=before)

    messages = act(manager, "card", action, ANNA_UID)

    assert messages == [words]
    assert Card.objects.get().status == after
    assert LogEntry.objects.get().object_id == ANNA_UID


def test_several_cards_at_once(manager, annas_card, anna):
    Card.objects.create(uid="04:11:22:33", person=anna)

    assert act(manager, "card", "revoke", ANNA_UID, "04:11:22:33") == ["2 cards are revoked."]


def test_an_operator_revokes_nothing(console, annas_card):
    console("operator").post(
        page("policies_card_changelist"), {"action": "revoke", "_selected_action": [ANNA_UID]}
    )

    assert Card.objects.get().status == "active"


def test_a_person_is_added_with_a_card(manager):
    answer = manager.post(
        page("policies_person_add"),
        {
            "name": " Anna ",
            "active": "on",
            **NO_CARDS,
            "cards-TOTAL_FORMS": "1",
            "cards-0-uid": "08112233",
        },
    )

    assert answer.status_code == 302
    assert Person.objects.get().name == "Anna"
    assert Card.objects.get().uid == "08:11:22:33"
    assert any("random" in message for message in said(answer))


def test_a_known_person_gets_a_second_card_and_keeps_the_first(manager, annas_card):
    given = {"cards-2-TOTAL_FORMS": "1", "cards-2-INITIAL_FORMS": "0", "cards-2-0-uid": "04112233"}
    answer = manager.post(
        page("policies_person_change", annas_card.person_id),
        {"name": "Anna", "active": "on", **known_card(label="grey"), **given},
    )

    assert answer.status_code == 302
    assert {card.uid: card.label for card in Card.objects.all()} == {
        ANNA_UID: "grey",
        "04:11:22:33": "",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ANNA", "There is a person of this name already."),
        ("क़" * 200, "1 to 200 characters"),  # composed it is 400
        ("An\0na", "Null characters"),
        ("  ", "This field is required."),
    ],
)
def test_a_wrong_name_is_refused_in_words(manager, anna, name, words):
    answer = manager.post(page("policies_person_add"), {"name": name, **NO_CARDS})

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert Person.objects.count() == 1


@pytest.mark.parametrize("name", ["policies_person", "policies_card", "access_accesslog"])
@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("ann", 1),
        ("ANNA", 1),
        ("04a32bf21c80", 1),
        ("04-A3-2b-f2", 1),
        ("ben", 0),
        ("04:99", 0),
        ("%", 0),
        ("\0", 1),  # refused, so everything is shown
    ],
)
def test_people_cards_and_evidence_are_found_by_name_and_number(
    manager, annas_card, log_row, name, term, found
):
    answer = manager.get(page(f"{name}_changelist"), {"q": term})

    assert answer.status_code == 200
    assert len(answer.context["cl"].result_list) == found


def test_a_person_with_two_cards_is_found_once(manager, annas_card, anna):
    Card.objects.create(uid="04:A3:00:00", person=anna)

    answer = manager.get(page("policies_person_changelist"), {"q": "04:A3"})

    assert len(answer.context["cl"].result_list) == 1


def test_the_log_speaks_in_words(manager, log_row):
    shown = manager.get(page("access_accesslog_changelist")).content.decode()

    assert "Anna" in shown
    assert "Front door" in shown
    assert "card reported lost or stolen" in shown
    assert "card_blocked</td>" not in shown


def test_a_row_without_names_shows_numbers(manager, log_row):
    AccessLog.objects.update(user_name="", device_name="")

    shown = manager.get(page("access_accesslog_changelist")).content.decode()

    assert ANNA_UID in shown
    assert "front-door" in shown


def test_evidence_is_only_read(owner, db, log_row):
    root = User.objects.create_superuser("root")
    for client in (owner, Client()):
        client.force_login(root) if client is not owner else None
        change = page("access_accesslog_change", log_row.pk)

        assert client.get(change).status_code == 200
        assert client.post(change, {"user_name": "Ben"}).status_code == 403
        assert (
            client.post(page("access_accesslog_delete", log_row.pk), {"post": "yes"}).status_code
            == 403
        )
        assert client.get(page("access_accesslog_add")).status_code == 403
        client.post(
            page("access_accesslog_changelist"),
            {"action": "delete_selected", "_selected_action": [log_row.pk], "post": "yes"},
        )

    assert AccessLog.objects.get().user_name == "Anna"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 1),
        ({"door": "front-door"}, 1),
        ({"door": "garage"}, 0),
        ({"granted__exact": "0"}, 1),
        ({"granted__exact": "1"}, 0),
        ({"reason__exact": "card_blocked"}, 1),
        ({"reason__exact": "expired"}, 0),
        ({"from": "2026-11-23"}, 1),
        ({"from": "2026-11-24"}, 0),
        ({"to": "2026-11-23"}, 1),
        ({"to": "2026-11-22"}, 0),
        ({"from": "2026-11-23", "to": "2026-11-23", "person": "Anna"}, 1),
        ({"person": "Ann"}, 0),
        ({"person": "\0"}, 1),
    ],
)
def test_the_log_is_filtered(manager, door, log_row, query, found):
    answer = manager.get(page("access_accesslog_changelist"), query)

    assert answer.status_code == 200
    assert len(answer.context["cl"].result_list) == found


def test_the_log_filter_names_doors(manager, door, sensor, log_row):
    shown = manager.get(page("access_accesslog_changelist")).content.decode()

    assert "?door=front-door" in shown
    assert "?door=kitchen" not in shown


def device_form(**changes) -> dict:
    form = {"name": "front door", "enabled": "on"}
    for prefix, count in (("Zone_devices", "0"), ("certificates", "1")):
        form |= {
            f"{prefix}-TOTAL_FORMS": count,
            f"{prefix}-INITIAL_FORMS": count,
            f"{prefix}-MIN_NUM_FORMS": "0",
            f"{prefix}-MAX_NUM_FORMS": "1000",
        }
    return form | changes


def test_a_device_is_renamed_suspended_and_put_into_a_zone(owner, door, door_client):
    zone = Zone.objects.create(name="ground floor")
    form = device_form(name="main door", kind="sensor", device_id="other")
    form |= {"Zone_devices-TOTAL_FORMS": "1", "Zone_devices-0-zone": zone.pk}
    del form["enabled"]

    answer = owner.post(page("policies_device_change", "front-door"), form)

    device = Device.objects.get()
    assert answer.status_code == 302
    assert (device.device_id, device.kind, device.name) == ("front-door", "door", "main door")
    assert list(device.zones.all()) == [zone]
    assert door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).status_code == 403


def test_a_device_and_its_door_are_not_deleted_in_the_console(owner, door):
    statuses = [
        owner.post(page(f"policies_{model}_delete", "front-door"), {"post": "yes"}).status_code
        for model in ("device", "door")
    ]

    assert statuses == [403, 403]


def test_a_devices_certificates_are_revoked(owner, door, door_client):
    messages = act(owner, "device", "revoke_certificates", "front-door")

    assert messages == ["1 certificate revoked."]
    assert door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).status_code == 403
    assert act(owner, "device", "revoke_certificates", "front-door") == ["0 certificates revoked."]


def test_one_certificate_is_revoked_and_the_other_is_not(owner, door, sensor):
    mine, other = Certificate.objects.get(device=door), Certificate.objects.get(device=sensor)

    messages = act(owner, "certificate", "revoke", mine.pk)

    assert messages == ["1 certificate revoked."]
    mine.refresh_from_db()
    other.refresh_from_db()
    assert mine.revoked_at is not None
    assert other.revoked_at is None


def test_a_certificate_is_not_edited(owner, door):
    certificate = Certificate.objects.get()

    owner.post(page("policies_certificate_change", certificate.pk), {"serial": "2"})

    certificate.refresh_from_db()
    assert certificate.serial == "1"


def test_a_door_is_switched_off(manager, door, door_client, annas_card):
    Rule.objects.all().delete()  # nobody loses anything, so it is saved at once
    answer = manager.post(page("policies_door_change", "front-door"), {"unlock_seconds": "5"})

    assert answer.status_code == 302
    reply = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).json()
    assert reply["reason"] == "door_disabled"


def test_a_rule_says_who_and_where(manager, furnished):
    Rule.objects.create(name="opens nothing")

    shown = manager.get(page("policies_rule_changelist")).content.decode()

    for words in ("everyone", "every door", "front door", "nowhere"):
        assert words in shown


@pytest.mark.parametrize("model", ["person", "card", "device", "rule", "zone"])
def test_a_list_costs_the_same_for_any_number_of_rows(
    owner, furnished, django_assert_max_num_queries, model
):
    for number in range(20):
        person = Person.objects.create(name=f"person {number}")
        Card.objects.create(uid=f"04:00:00:{number:02}", person=person)
        device = Device.objects.create(device_id=f"sensor-{number}", kind="sensor")
        Zone.objects.create(name=f"zone {number}").devices.add(device)
        Rule.objects.create(name=f"rule {number}").doors.add(Door.objects.get())

    with django_assert_max_num_queries(18):
        owner.get(page(f"policies_{model}_changelist"))
