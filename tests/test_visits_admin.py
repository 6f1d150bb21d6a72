"""Visitors in the console: admitted by one form, shown with what is used, ended by a click."""

import datetime as dt
import uuid

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.html import escape

from policies.models import Card, PeopleGroup, Person, Visit, VisitEntry
from tests.conftest import ANNA_UID

VISITS = "/admin/policies/visit/"
HOUR = dt.timedelta(hours=1)
NEW_UID = "04:11:22:33"
TOMORROW = {
    "starts_at_0": "2026-11-24",
    "starts_at_1": "09:00",
    "ends_at_0": "2026-11-24",
    "ends_at_1": "12:00",
}


@pytest.fixture
def console(client_of_role):
    """The console as a manager sees it."""
    client = client_of_role("manager")
    User.objects.update(is_staff=True)
    return client


@pytest.fixture
def visit(annas_card):
    """Anna's card is admitted for an hour around now, twice, and came in once."""
    now = timezone.now()
    visit = Visit.objects.create(
        card=annas_card, starts_at=now - HOUR, ends_at=now + HOUR, max_entries=2
    )
    VisitEntry.objects.create(id=uuid.uuid4(), visit=visit, entered_at=now)
    return visit


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_somebody_new_is_admitted_with_a_card(console):
    cleaners = PeopleGroup.objects.create(name="cleaners")

    form = TOMORROW | {"new_name": " Plumber ", "new_uid": "04112233", "max_entries": "3"}
    answer = console.post(f"{VISITS}add/", form | {"groups": [cleaners.pk]})

    visit = Visit.objects.get()
    assert answer.status_code == 302
    assert (visit.card_id, visit.person, visit.max_entries) == (NEW_UID, None, 3)
    assert visit.ends_at - visit.starts_at == 3 * HOUR
    assert [group.name for group in Person.objects.get(name="Plumber").groups.all()] == ["cleaners"]


@pytest.mark.parametrize(
    ("who", "warned"),
    [
        ({"card": ANNA_UID}, "Until now Anna’s card 04:A3:2B:F2:1C:80 needed no visit."),
        ({"person": "Anna"}, "Until now Anna needed no visit."),
    ],
)
def test_who_is_on_record_is_admitted_and_what_that_ends_is_said(console, annas_card, who, warned):
    if "person" in who:
        who = {"person": annas_card.person_id}

    answer = console.post(f"{VISITS}add/", TOMORROW | who, follow=True)

    visit = Visit.objects.get()
    assert warned in answer.content.decode()
    assert (visit.holder, visit.max_entries) == ("Anna", None)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Choose one: a card, a person, or somebody new with a card."),
        ({"card": ANNA_UID, "new_name": "x", "new_uid": NEW_UID}, "Choose one"),
        ({"new_name": "Plumber"}, "Somebody new has a name and a card."),
        ({"new_uid": NEW_UID}, "Somebody new has a name and a card."),
        ({"new_name": "Plumber", "new_uid": "04:A3"}, "bytes"),
        ({"new_name": "Plumber", "new_uid": ANNA_UID}, "This card is on record."),
        ({"new_name": "x" * 201, "new_uid": NEW_UID}, "A name has 1 to 200 characters."),
        ({"card": ANNA_UID, "ends_at_1": "09:00"}, "Must lie after “from”."),
        ({"card": ANNA_UID, "max_entries": "0"}, "greater than or equal to 1"),
        ({"card": ANNA_UID, "max_entries": "1001"}, "less than or equal to 1000"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_stored(console, annas_card, form, said):
    answer = console.post(f"{VISITS}add/", TOMORROW | form)

    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert (Visit.objects.count(), Card.objects.count(), Person.objects.count()) == (0, 1, 1)


@pytest.mark.parametrize(
    "path",
    [
        VISITS,
        f"{VISITS}?q=ann",
        f"{VISITS}?time=now",
        "/admin/policies/visit/{visit}/change/",
        f"/admin/policies/card/{ANNA_UID}/change/",
        "/admin/policies/person/{person}/change/",
    ],
)
def test_pages_show_how_far_a_visit_has_got(console, visit, path):
    text = page(console, path.format(visit=visit.pk, person=visit.card.person_id))

    assert "1 of 2 entries" in text
    assert "running" in text


@pytest.mark.parametrize("path", [f"{VISITS}?time=later", f"{VISITS}?time=past", f"{VISITS}?q=x"])
def test_the_list_is_narrowed(console, visit, path):
    assert "1 of 2 entries" not in page(console, path)


@pytest.mark.parametrize("model", ["card", "person"])
def test_a_new_card_or_person_has_no_visits(console, visit, model):
    assert "1 of 2 entries" not in page(console, f"/admin/policies/{model}/add/")


def test_a_visit_is_prolonged_on_its_page(console, visit):
    form = TOMORROW | {"starts_at_0": "2026-11-23", "max_entries": ""}

    answer = console.post(f"{VISITS}{visit.pk}/change/", form)

    visit.refresh_from_db()
    assert answer.status_code == 302
    assert (visit.card_id, visit.max_entries) == (ANNA_UID, None)
    assert visit.ends_at - visit.starts_at == 27 * HOUR


def test_an_end_is_now_and_the_visitor_stays_one(console, visit):
    console.post(VISITS, {"action": "end", "_selected_action": [visit.pk]})

    visit.refresh_from_db()
    assert visit.ends_at <= timezone.now()
    assert "over" in page(console, f"{VISITS}?time=past")


def test_before_the_last_visit_goes_it_is_said_what_follows(console, visit):
    asked = page(console, f"{VISITS}{visit.pk}/delete/")

    answer = console.post(f"{VISITS}{visit.pk}/delete/", {"post": "yes"})

    assert escape("Anna’s card 04:A3:2B:F2:1C:80 is let in whenever a rule allows it.") in asked
    assert "delete_selected" not in page(console, VISITS)
    assert (answer.status_code, Visit.objects.count(), VisitEntry.objects.count()) == (302, 0, 0)


def test_a_count_that_was_lost_is_said(console, visit, monkeypatch):
    monkeypatch.setattr("realtime.quota.since", lambda: 2**52)

    assert "shut: the count of entries was lost" in page(console, VISITS)
    assert "Nobody is let in until you save the visit" in page(
        console, f"{VISITS}{visit.pk}/change/"
    )
