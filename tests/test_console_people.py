"""People and their cards on one page, and what is done to them by button and by action."""

import datetime as dt
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from policies.models import Card, PeopleGroup, Person
from tests.conftest import ANNA_UID

QUOTED = ANNA_UID.replace(":", "_3A")


def page(name: str, *arguments) -> str:
    return reverse(f"admin:policies_{name}", args=arguments)


@pytest.fixture
def manager(console) -> Client:
    return console("manager")


def said(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def here(text: str) -> dt.datetime:
    """A moment by the building's clock."""
    return timezone.make_aware(dt.datetime.fromisoformat(text))


def act(client: Client, model: str, action: str, *keys: object, **more: str):
    form = {"action": action, "_selected_action": keys} | more
    return client.post(page(f"{model}_changelist"), form)


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        ("active", ["block", "revoke"]),
        ("inactive", ["block", "reactivate"]),
        ("blocked", ["reactivate"]),
    ],
)
@pytest.mark.parametrize("back", ["person", "card"])
def test_the_buttons_of_a_card(manager, annas_card, status, buttons, back):
    Card.objects.update(status=status)
    own = page("person_change", annas_card.person_id)
    path = own if back == "person" else page("card_change", QUOTED)

    shown = manager.get(path).content.decode()

    links = {verb: f"{page('card_verb', QUOTED, verb)}?back={back}" for verb in
             ("block", "revoke", "reactivate")}  # fmt: skip
    assert [verb for verb, link in links.items() if link in shown] == buttons


@pytest.mark.parametrize(
    ("verb", "before", "after", "words"),
    [
        ("block", "active", "blocked", "1 card is blocked as lost or stolen."),
        ("revoke", "active", "inactive", "1 card is revoked."),
        ("reactivate", "blocked", "active", "1 card is active again."),
    ],
)
def test_one_button_and_back_to_the_person(manager, annas_card, verb, before, after, words):
    Card.objects.update(status=before)

    answer = manager.post(f"{page('card_verb', QUOTED, verb)}?back=person", {"name": "ignored"})

    assert answer["Location"] == page("person_change", annas_card.person_id)
    assert said(answer) == [words]
    assert Card.objects.get().status == after
    assert LogEntry.objects.get().object_id == ANNA_UID


@pytest.mark.parametrize("path", [(QUOTED, "explode"), ("04_3A99", "block")])
def test_no_such_button_no_such_card(manager, annas_card, path):
    assert manager.post(page("card_verb", *path)).status_code == 404
    assert Card.objects.get().status == "active"


def test_an_operator_sees_cards_and_no_buttons(console, annas_card):
    shown = console("operator").get(page("person_change", annas_card.person_id)).content.decode()

    assert ANNA_UID in shown
    assert "formaction" not in shown
    assert "give another card" not in shown.lower()
    assert "Wait for it there" not in shown


def test_a_card_on_the_page_of_another_cannot_be_taken_over(manager, annas_card):
    ben = Person.objects.create(name="Ben")
    form = {
        "name": "Ben", "active": "on", "cards-TOTAL_FORMS": "1", "cards-INITIAL_FORMS": "1",
        "cards-0-uid": ANNA_UID, "cards-0-status": "blocked", "cards-2-TOTAL_FORMS": "0",
        "cards-2-INITIAL_FORMS": "0",
    }  # fmt: skip

    answer = manager.post(page("person_change", ben.pk), form)

    assert answer.status_code == 200
    card = Card.objects.get()
    assert (card.person.name, card.status) == ("Anna", "active")


@pytest.mark.parametrize("name", ["person", "card"])
def test_enter_saves_and_presses_no_card_s_button(manager, annas_card, name):
    key = annas_card.person_id if name == "person" else QUOTED
    shown = manager.get(page(f"{name}_change", key)).content.decode()

    form = shown[shown.index(f'id="{name}_form"') :]
    first, *_ = re.findall(r'<(?:button(?! type="button")|input type="submit")[^>]*>', form)
    assert 'name="_save"' in first


def test_a_page_that_was_opened_before_a_card_was_stolen_does_not_open_it_again(
    manager, annas_card
):
    annas_card.block()
    card = {"uid": ANNA_UID, "status": "active", "label": "fob"}
    form = {"name": "Anna", "active": "on", "cards-TOTAL_FORMS": "1", "cards-INITIAL_FORMS": "1",
            "cards-2-TOTAL_FORMS": "0", "cards-2-INITIAL_FORMS": "0",
            **{f"cards-0-{name}": value for name, value in card.items()}}  # fmt: skip

    on_persons_page = manager.post(page("person_change", annas_card.person_id), form)
    on_its_own = manager.post(page("card_change", QUOTED), card | {"person": annas_card.person_id})

    assert (on_persons_page.status_code, on_its_own.status_code) == (302, 302)
    assert (Card.objects.get().status, Card.objects.get().label) == ("blocked", "fob")


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_year_that_some_time_zones_do_not_have_is_refused(manager, annas_card, year):
    form = {"person": annas_card.person_id, "valid_until_0": f"{year}-01-01",
            "valid_until_1": "00:00"}  # fmt: skip

    answer = manager.post(page("card_change", QUOTED), form)

    assert answer.status_code == 200
    assert Card.objects.get().valid_until is None


UNTIL = {"until_0": "2126-07-31", "until_1": "18:00"}


@pytest.mark.parametrize("model", ["card", "person"])
def test_reactivate_until_asks_first(manager, annas_card, model):
    Card.objects.update(status="blocked")
    Person.objects.update(active=False)
    key = annas_card.pk if model == "card" else annas_card.person_id

    asked = act(manager, model, "reactivate_until", key)
    assert asked.status_code == 200
    assert 'name="until_0"' in asked.content.decode()
    done = act(manager, model, "reactivate_until", key, **UNTIL)

    noun = {"card": "1 card is", "person": "1 person is"}[model]
    assert said(done) == [f"{noun} active until 31 Jul 2126, 18:00."]
    thing = (Card if model == "card" else Person).objects.get()
    assert thing.active
    assert thing.valid_until == here("2126-07-31T18:00")


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ({"until_0": "", "until_1": ""}, "This field is required."),
        ({"until_0": "2020-01-01", "until_1": "00:00"}, "That is over."),
        ({"until_0": "soon", "until_1": "18:00"}, "Enter a valid date."),
        ({"until_0": "2126-07-31", "until_1": "18:00"}, "is not valid before that."),
    ],
)
@pytest.mark.parametrize("model", ["card", "person"])
def test_reactivate_until_refuses_what_cannot_be(manager, annas_card, model, until, words):
    late = here("2127-01-01")
    Card.objects.update(status="blocked", valid_from=late)
    Person.objects.update(valid_from=late)
    key = annas_card.pk if model == "card" else annas_card.person_id

    answer = act(manager, model, "reactivate_until", key, **until)

    assert words in answer.content.decode()
    assert Card.objects.get().status == "blocked"


@pytest.mark.parametrize(
    ("action", "words", "active", "status"),
    [
        ("suspend", "1 person is suspended.", False, "active"),
        ("block_cards", "1 card blocked as lost or stolen.", True, "blocked"),
        ("reactivate", "1 person is active again.", True, "active"),
    ],
)
def test_what_is_done_to_people(manager, annas_card, action, words, active, status):
    Person.objects.update(active=action != "reactivate")

    answer = act(manager, "person", action, annas_card.person_id)

    assert said(answer) == [words]
    assert (Person.objects.get().active, Card.objects.get().status) == (active, status)


def test_who_has_expired_is_not_said_to_open_again(manager, annas_card):
    past = timezone.now() - dt.timedelta(days=1)
    Card.objects.update(status="inactive", valid_until=past)
    Person.objects.update(active=False, valid_until=past)

    for model, key in (("card", annas_card.pk), ("person", annas_card.person_id)):
        answer = act(manager, model, "reactivate", key)
        assert [message for message in said(answer) if "expired all the same" in message]


def test_members_come_and_go_one_by_one(manager, anna):
    family = PeopleGroup.objects.create(name="family")
    ben, cem = (Person.objects.create(name=name) for name in ("Ben", "Cem"))
    family.people.add(anna, ben)
    path = page("peoplegroup_change", family.pk)

    form = {"name": "family", "newcomers": [cem.pk], "leavers": [anna.pk]}
    answer = manager.post(path, form)

    assert answer.status_code == 302
    assert set(family.people.all()) == {ben, cem}
    shown = manager.get(path).content.decode()
    assert f'<a href="{page("person_change", ben.pk)}">Ben</a>' in shown


def test_a_big_group_names_some_and_leads_to_all(manager, db):
    tenants = PeopleGroup.objects.create(name="tenants")
    tenants.people.add(*(Person.objects.create(name=f"person {n:03}") for n in range(120)))

    shown = manager.get(page("peoplegroup_change", tenants.pk)).content.decode()

    assert "person 099" in shown
    assert "person 100" not in shown
    assert "all 120 people" in shown


def test_seconds_of_a_validity_are_kept(manager, annas_card):
    end = here("2126-07-31T23:59:59")
    Card.objects.update(valid_until=end)

    shown = manager.get(page("card_change", QUOTED)).content.decode()

    assert 'value="23:59:59"' in shown
    assert 'type="date"' in shown


def test_a_list_of_people_costs_the_same_for_any_number(manager, django_assert_max_num_queries):
    family = PeopleGroup.objects.create(name="family")
    for number in range(30):
        person = Person.objects.create(name=f"person {number}")
        person.groups.add(family)
        Card.objects.create(uid=f"04:00:00:{number:02}", person=person)

    for name in ("person_changelist", "card_changelist", "peoplegroup_changelist"):
        with django_assert_max_num_queries(18):
            assert manager.get(page(name)).status_code == 200
