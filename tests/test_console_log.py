"""The access log in the console: what is filtered, what is taken along, and what a viewer sees."""

import csv
import datetime as dt
import io
import re

import pytest
from django.test import Client
from django.urls import reverse

from access.models import AccessLog
from policies.ids import uuid7
from policies.spreadsheet import MARK
from tests.conftest import ANNA_UID
from tests.test_admin import NOW

LIST = "/admin/access/accesslog/"
STRANGER = "04:99:99:99"


def row(minutes: int = 0, **fields) -> AccessLog:
    moment = NOW + dt.timedelta(minutes=minutes)
    known = {
        "device_id": "front-door", "device_name": "Front door", "card_uid": ANNA_UID,
        "user_name": "Anna", "granted": True, "reason": "granted", "rule": "family",
        "latency_ms": 3,
    }  # fmt: skip
    return AccessLog.objects.create(log_id=uuid7(moment), timestamp=moment, **(known | fields))


@pytest.fixture
def rows(door) -> None:
    row()
    row(1, user_name="Ben", card_uid="04:11:22:33", granted=False, reason="lockdown", rule="")
    row(2, user_name="", card_uid=STRANGER, granted=False, reason="unknown_card", rule="")
    row(60 * 24, device_id="garage", device_name="Garage")


@pytest.fixture
def operator(console) -> Client:
    return console("operator")


@pytest.fixture
def viewer(console) -> Client:
    return console("viewer")


def table(client: Client, **query: str) -> list[list[str]]:
    answer = client.get(f"{LIST}csv/", query)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    return list(csv.reader(io.StringIO(text.removeprefix(MARK), newline="")))


def test_the_whole_log_is_taken_along(operator, rows):
    answer = operator.get(f"{LIST}csv/")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "access-log-" in answer["Content-Disposition"]
    header, *found = table(operator)
    assert header == [
        "time",
        "door",
        "device_id",
        "person",
        "card_uid",
        "granted",
        "reason",
        "rule",
    ]
    assert len(found) == 4
    assert found[-1][1:] == [
        "Front door",
        "front-door",
        "Anna",
        ANNA_UID,
        "yes",
        "allowed",
        "family",
    ]
    assert dt.datetime.fromisoformat(found[-1][0]) == NOW


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"door": "garage"}, 1),
        ({"from": "2026-11-24"}, 1),
        ({"to": "2026-11-23"}, 3),
        ({"person": "Anna"}, 2),
        ({"granted__exact": "0"}, 2),
        ({"reason__exact": "lockdown"}, 1),
        ({"q": "04-99"}, 1),
        ({"q": "garage"}, 1),
        ({"q": "nobody"}, 0),
        ({"door": "garage", "person": "Ben"}, 0),
    ],
)
def test_the_list_and_the_table_are_filtered_alike(operator, rows, query, count):
    answer = operator.get(LIST, query)

    assert len(answer.context["cl"].result_list) == count
    assert len(table(operator, **query)) == count + 1
    assert all(f"{name}=" in answer.content.decode() for name in query)


@pytest.mark.parametrize("query", [{"from": "soon"}, {"to": "2026-13-01"}, {"page": "x", "p": "x"}])
def test_a_wrong_filter_shows_everything(operator, rows, query):
    assert operator.get(LIST, query, follow=True).status_code in (200, 400)
    assert operator.get(f"{LIST}csv/", query).status_code in (302, 400)


def test_a_name_is_found_in_any_case_when_it_is_on_record(operator, rows, anna):
    answer = operator.get(LIST, {"person": "ANNA"})

    assert len(answer.context["cl"].result_list) == 2


def test_a_viewer_sees_no_numbers_anywhere(viewer, rows):
    number = AccessLog.objects.get(card_uid=STRANGER).pk
    pages = [LIST, f"{LIST}{number}/change/", f"{LIST}{number}/history/"]

    shown = [viewer.get(path).content.decode() for path in pages]
    header, *found = table(viewer)

    assert not [text for text in shown if STRANGER in text or ANNA_UID in text]
    assert "Unknown card" in shown[0]
    assert header == ["time", "door", "device_id", "person", "granted", "reason"]
    assert not [cell for line in found for cell in line if "04:" in cell]


@pytest.mark.parametrize("query", [{"q": "04:99"}, {"q": STRANGER}])
def test_a_viewer_does_not_search_by_number(viewer, rows, query):
    assert len(viewer.get(LIST, query).context["cl"].result_list) == 0
    assert len(table(viewer, **query)) == 1


@pytest.mark.parametrize("lookup", ["card_uid", "card_uid__startswith", "rule__contains"])
@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nothing_is_asked_that_no_filter_asks(console, rows, lookup, role):
    client = console(role)

    assert client.get(LIST, {lookup: "04:99"}).status_code == 400
    assert client.get(f"{LIST}csv/", {lookup: "04:99"}).status_code == 400


def test_why_leads_to_who_may_enter_with_the_moment_and_the_card(operator, rows, annas_card):
    link = f"{reverse('admin:policies_door_entry', args=['front-door'])}?at=2026-11-23T07%3A37"

    shown = operator.get(LIST).content.decode()

    assert link.replace("&", "&amp;") in shown
    assert "card=04%3AA3" in shown


def test_a_list_of_the_log_costs_the_same_for_any_number(
    operator, rows, django_assert_max_num_queries
):
    for number in range(150):
        row(number)

    with django_assert_max_num_queries(12):
        operator.get(LIST)
    with django_assert_max_num_queries(9):
        assert len(table(operator)) == 155


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_days_without_neighbours_are_refused(operator, rows, day, name):
    assert operator.get(LIST, {name: day}).status_code == 302  # with “?e=1”, as Django does


def test_a_choice_of_days_keeps_the_person(operator, rows):
    shown = operator.get(LIST, {"person": "Anna", "p": "1"}).content.decode()

    days = re.findall(r'href="(\?[^"]*from=[^"]*)"', shown)
    assert days
    assert all("person=Anna" in link for link in days)


def test_nobody_s_door_is_no_error(viewer, rows):
    assert viewer.get(f"{LIST}?door=%00").status_code == 200
