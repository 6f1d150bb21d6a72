"""People admit visitors by API."""

import datetime as dt
import uuid

import pytest
from django.core.management import call_command
from django.utils import timezone

from policies.models import Card, PeopleGroup, Person, Visit, VisitEntry
from policies.moments import utc_text
from tests.conftest import ANNA_UID

VISITS = "/api/policies/visits"
HOUR = dt.timedelta(hours=1)
NEW_UID = "04:11:22:33"
FROM, UNTIL = "2030-07-31T09:00:00.000Z", "2030-07-31T12:00:00.000Z"
WHEN = {"starts_at": FROM, "ends_at": UNTIL}
NEW = WHEN | {"card_uid": "04-11-22-33", "user_name": "Plumber", "max_entries": 3}


@pytest.fixture
def visit(annas_card):
    """Anna's card is admitted for an hour around now, twice, and came in once."""
    now = timezone.now()
    visit = Visit.objects.create(
        card=annas_card, starts_at=now - HOUR, ends_at=now + HOUR, max_entries=2
    )
    VisitEntry.objects.create(id=uuid.uuid4(), visit=visit, entered_at=now)
    return visit


def at(visit):
    return f"{VISITS}/{visit.pk}"


def test_somebody_new_is_admitted_with_a_card(manager):
    PeopleGroup.objects.create(name="Cleaners")

    answer = manager.send("POST", VISITS, NEW | {"groups": ["cleaners"]})

    visit = Visit.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": str(visit.pk),
        "card_uid": NEW_UID,
        "user_name": "Plumber",
        "starts_at": FROM,
        "ends_at": UNTIL,
        "max_entries": 3,
        "entries_used": 0,
        "state": "to_come",
    }
    assert manager.send("GET", at(visit)).json() == answer.json()
    assert [group.name for group in visit.card.person.groups.all()] == ["Cleaners"]


@pytest.mark.parametrize(
    ("who", "card_uid", "whose"),
    [
        ({"card_uid": ANNA_UID}, ANNA_UID, "Anna’s card 04:A3:2B:F2:1C:80"),
        ({"user_name": "ANNA"}, None, "Anna"),
    ],
)
def test_who_is_on_record_is_admitted_and_what_that_ends_is_said(
    manager, annas_card, who, card_uid, whose
):
    first = manager.send("POST", VISITS, WHEN | who).json()
    second = manager.send("POST", VISITS, WHEN | who).json()

    assert (first["card_uid"], first["user_name"], first["max_entries"]) == (card_uid, "Anna", None)
    assert first["warning"] == (
        f"Until now {whose} needed no visit. From now on, only a visit lets in."
    )
    assert "warning" not in second


def test_a_visit_begins_now_when_nothing_else_is_said(manager, annas_card):
    answer = manager.send("POST", VISITS, {"card_uid": ANNA_UID, "ends_at": UNTIL})

    assert answer.json()["state"] == "running"
    assert abs(Visit.objects.get().starts_at - timezone.now()) < HOUR


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"card_uid": None, "user_name": None}, "card_uid"),
        ({"card_uid": "04:A3"}, "card_uid"),
        ({"user_name": None}, "card_uid"),  # nobody's card
        ({"card_uid": None}, "user_name"),  # nobody of this name
        ({"user_name": "x" * 201}, "user_name"),
        ({"user_name": "An\0na"}, "user_name"),
        ({"groups": ["nobody"]}, "groups.0"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"starts_at": UNTIL}, "ends_at"),
        ({"ends_at": None}, "ends_at"),
        ({"ends_at": "9999-12-31T23:59:59Z"}, "ends_at"),
        ({"max_entries": 0}, "max_entries"),
        ({"max_entries": 1001}, "max_entries"),
        ({"max_entries": "3"}, "max_entries"),
        ({"max_entries": True}, "max_entries"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(manager, changed, field):
    answer = manager.send("POST", VISITS, NEW | changed)

    assert answer.status_code == 422
    assert list(answer.json()["error"]["details"]) == [field]
    assert not Visit.objects.exists()
    assert not Card.objects.exists()
    assert not Person.objects.exists()


def test_a_new_card_that_is_on_record_is_a_conflict(manager, annas_card):
    answer = manager.send("POST", VISITS, NEW | {"card_uid": ANNA_UID})

    assert answer.status_code == 409
    assert not Visit.objects.exists()
    assert Person.objects.count() == 1


def test_the_list_has_what_is_over_too_and_is_searched(manager, visit):
    past = Visit.objects.create(
        card=visit.card, starts_at=timezone.now() - 3 * HOUR, ends_at=timezone.now() - 2 * HOUR
    )

    page = manager.send("GET", VISITS).json()
    found = manager.send("GET", f"{VISITS}?search=ann&limit=1&offset=1").json()
    none = manager.send("GET", f"{VISITS}?search=ben").json()

    assert [(one["state"], one["entries_used"]) for one in page["visits"]] == [
        ("running", 1),
        ("over", 0),
    ]
    assert (page["count"], found["count"], none) == (2, 2, {"count": 0, "visits": []})
    assert [one["id"] for one in found["visits"]] == [str(past.pk)]


def test_a_list_of_visits_costs_the_same_for_one_and_for_many(
    manager, visit, django_assert_max_num_queries
):
    for _ in range(5):
        Visit.objects.create(card=visit.card, ends_at=visit.ends_at)

    with django_assert_max_num_queries(5):  # who asks (3), the number, the page
        assert manager.send("GET", VISITS).json()["count"] == 6


def test_a_visit_is_changed(manager, visit):
    used_up = manager.send("PATCH", at(visit), {"max_entries": 1}).json()
    unlimited = manager.send("PATCH", at(visit), {"max_entries": None, "name": "x"}).json()
    ended = manager.send("PATCH", at(visit), {"ends_at": utc_text(timezone.now())}).json()

    assert [one["state"] for one in (used_up, unlimited, ended)] == ["used_up", "running", "over"]
    assert (used_up["entries_used"], unlimited["max_entries"]) == (1, None)


@pytest.mark.parametrize(
    "change", [{"ends_at": "2020-01-01T00:00:00Z"}, {"max_entries": 0}, {"ends_at": 5}]
)
def test_a_wrong_change_is_refused_and_nothing_is_changed(manager, visit, change):
    answer = manager.send("PATCH", at(visit), change)

    visit.refresh_from_db()
    assert answer.status_code == 422
    assert (visit.max_entries, visit.ends_at > timezone.now()) == (2, True)


def test_when_the_last_visit_is_deleted_what_follows_is_said(manager, visit):
    other = Visit.objects.create(card=visit.card, ends_at=visit.ends_at)

    answers = [manager.send("DELETE", at(one)).json() for one in (visit, other)]

    assert answers[0] == {"status": "deleted", "id": str(visit.pk)}
    assert "is let in whenever a rule allows it." in answers[1]["warning"]
    assert not Visit.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_another_id_is_no_visit(manager, visit, method):
    answer = manager.send(method, f"{VISITS}/{uuid.uuid4()}", {} if method == "PATCH" else None)

    assert answer.status_code == 404


def test_in_one_look_at_many_cards_each_has_its_own_visits(annas_card, visit):
    Card.objects.give(NEW_UID, "Ben")
    Visit.objects.create(person=Person.objects.get(name="Ben"), ends_at=visit.ends_at)
    Card.objects.give("04:11:22:34", "Carl")

    found = Card.objects.find_credentials([ANNA_UID, NEW_UID, "04:11:22:34"])

    assert [found[uid].visits and len(found[uid].visits) for uid in found] == [1, 1, None]
    assert [found[uid] == Card.objects.find_credential(uid) for uid in found] == [True] * 3


@pytest.mark.parametrize(
    ("start", "end", "most", "said"),
    [
        (1, 2, None, "the visit begins at"),
        (-2, -1, None, "the visit is over"),
        (-1, 1, 1, "all entries of the visit are used up"),
    ],
)
def test_why_a_visitor_stays_out_is_explained(door, visit, capsys, start, end, most, said):
    now = timezone.now()
    Visit.objects.update(starts_at=now + start * HOUR, ends_at=now + end * HOUR, max_entries=most)

    call_command("explain_access", ANNA_UID, "front-door")

    assert said in capsys.readouterr().out
