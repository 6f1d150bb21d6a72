"""Enrol by presenting: the next unknown card at a door is offered, and whose it is is asked."""

import datetime as dt
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from access.check import check_access
from access.models import AccessLog
from policies.models import Card, Device, Door, Person
from tests.conftest import ANNA_UID

START = "/admin/access/accesslog/wait/"
NEW = "04:11:22:33"


@pytest.fixture
def manager(console) -> Client:
    return console("manager")


def start(client: Client, **form: object) -> str:
    """Press the button; the page that waits."""
    answer = client.post(START, {"door": "front-door"} | form)
    assert answer.status_code == 302
    return answer["Location"]


def state(client: Client, page: str) -> dict:
    path = urlsplit(page)
    return client.get(f"{path.path}state/?{path.query}").json()


def said(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def earlier(page: str, seconds: int) -> str:
    """As if the button had been pressed so many seconds before."""
    since = int(parse_qs(urlsplit(page).query)["since"][0])
    return page.replace(f"since={since}", f"since={since - seconds * 1000}")


def test_a_card_is_given_to_the_person_on_whose_page_it_began(manager, door, anna):
    shown = manager.get(reverse("admin:policies_person_change", args=[anna.pk])).content.decode()
    assert "Wait for it there" in shown
    page = start(manager, person=anna.pk)
    assert state(manager, page)["state"] == "waiting"
    assert "Hold the new card to the reader" in manager.get(page).content.decode()

    check_access(door, NEW)
    assert state(manager, page)["state"] == "found"
    offered = manager.get(page).content.decode()
    answer = manager.post(page, {"card_uid": NEW, "holder": "Anna"})

    assert NEW in offered
    assert 'value="Anna"' in offered
    assert answer["Location"] == reverse("admin:policies_person_change", args=[anna.pk])
    assert said(answer) == [f"{NEW} is a card of Anna now."]
    assert Card.objects.get().person == anna
    assert check_access(door, NEW).decision.granted


def test_somebody_new_is_added(manager, door):
    page = start(manager)
    check_access(door, NEW)

    answer = manager.post(page, {"card_uid": NEW, "holder": " Ben "})

    assert said(answer) == [f"{NEW} is a card of Ben now. Ben is new on record."]
    assert Person.objects.get().name == "Ben"


@pytest.mark.parametrize(
    ("holder", "words"),
    [("", "This field is required."), ("x" * 201, "200 characters"), ("An\0na", "Null characters")],
)
def test_a_wrong_name_is_refused_in_words(manager, door, holder, words):
    page = start(manager)
    check_access(door, NEW)

    answer = manager.post(page, {"card_uid": NEW, "holder": holder})

    assert words in answer.content.decode()
    assert not Card.objects.exists()


def test_only_the_next_unknown_card_at_that_door_since_then(manager, door, annas_card):
    garage = Device.objects.create(device_id="garage", kind="door")
    Door.objects.create(device=garage)
    check_access(door, "04:00:00:01")
    AccessLog.objects.update(timestamp=AccessLog.objects.get().timestamp - dt.timedelta(seconds=1))
    page = start(manager)

    check_access(door, ANNA_UID)
    check_access(garage, "04:00:00:02")
    assert state(manager, page)["state"] == "waiting"
    check_access(door, "04:00:00:03")
    check_access(door, "04:00:00:04")

    assert "04:00:00:03" in manager.get(page).content.decode()


def test_a_card_that_somebody_got_meanwhile_is_not_offered(manager, door, anna):
    page = start(manager)
    check_access(door, NEW)
    Card.objects.create(uid=NEW, person=anna)

    assert state(manager, page)["state"] == "waiting"
    answer = manager.post(page, {"card_uid": NEW, "holder": "Ben"})

    assert said(answer) == ["That card is not waiting any more. Present it once more."]
    assert Card.objects.get().person == anna


def test_a_number_that_nobody_presented_is_not_given(manager, door):
    page = start(manager)
    check_access(door, NEW)

    manager.post(page, {"card_uid": "04:66:66:66", "holder": "Mallory"})

    assert not Card.objects.exists()


def test_after_a_minute_it_is_over(manager, door):
    page = earlier(start(manager), 61)
    check_access(door, NEW)

    assert state(manager, page) == {"state": "over", "seconds_left": 0}
    shown = manager.get(page).content.decode()
    assert "No unknown card came" in shown
    assert NEW not in shown


def test_what_came_in_time_waits_for_an_answer_but_not_for_ever(manager, door):
    page = start(manager)
    check_access(door, NEW)
    for seconds, wanted in ((70, "found"), (601, "over")):
        AccessLog.objects.update(
            timestamp=AccessLog.objects.get().timestamp - dt.timedelta(seconds=seconds)
        )
        assert state(manager, earlier(page, seconds))["state"] == wanted
        AccessLog.objects.update(
            timestamp=AccessLog.objects.get().timestamp + dt.timedelta(seconds=seconds)
        )


def test_a_random_number_warns(manager, door):
    page = start(manager)
    check_access(door, "08:11:22:33")

    assert "is random" in manager.get(page).content.decode()
    answer = manager.post(page, {"card_uid": "08:11:22:33", "holder": "Anna"})

    assert any("is random" in message for message in said(answer))


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_who_gives_cards_waits_for_them(console, door, role):
    client = console(role)

    assert client.post(START, {"door": "front-door"}).status_code == 403
    assert client.get(f"{START}front-door/?since=0").status_code == 403
    assert client.get(f"{START}front-door/state/?since=0").status_code == 403


@pytest.mark.parametrize(
    "path",
    ["front-door/?since=x", "front-door/?since=-1", "front-door/", f"front-door/?since={10**20}",
     "no-door/?since=0", "kitchen/?since=0", "%00/?since=0"],
)  # fmt: skip
def test_what_cannot_be_waited_for_is_404(manager, door, sensor, path):
    assert manager.get(START + path).status_code == 404


def test_a_wrong_person_is_nobody(manager, door):
    for person in ("x", "999", "9" * 30):
        assert manager.get(start(manager, person=person)).status_code == 200
