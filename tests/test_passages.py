"""The page of who was at which door."""

import datetime as dt
import uuid
from urllib.parse import quote_plus

import pytest
from django.utils import timezone

from access.models import AccessLog
from smarthome.passages import ROWS
from tests.conftest import ANNA_UID

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def passed(who="Anna", door="front-door", at=NOON, **changes):
    values = {
        "granted": True,
        "reason": "granted",
        "card_uid": ANNA_UID,
        "rule": "family",
    } | changes
    return AccessLog.objects.create(
        log_id=uuid.uuid4(), timestamp=at, device_id=door, device_name=door.replace("-", " "),
        user_name=who, latency_ms=3, **values,
    )  # fmt: skip


@pytest.fixture
def rows(door):
    """Anna passed on Monday, Ben was refused on Tuesday, and an unknown card at another door."""
    passed()
    passed("Ben", at=NOON + DAY, granted=False, reason="expired", card_uid="04:BB:BB:BB")
    passed(
        "", "garage", NOON + 2 * DAY, granted=False, reason="unknown_card", card_uid="04:CC:CC:CC"
    )


def shown(client, query=""):
    answer = client.get(f"/access{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def names(page):
    return [part.partition("</th>")[0] for part in page.split('<th scope="row">')[1:]]


def test_it_says_who_was_where_and_why_a_door_stayed_shut(operator, rows):
    page = shown(operator)

    assert names(page) == ["Unknown card", "Ben", "Anna"]
    assert "refused: expired" in page
    for words in (ANNA_UID, "family", "front door"):
        assert words in page


def test_a_viewer_sees_neither_numbers_nor_rules(viewer, rows):
    page = shown(viewer)

    assert names(page) == ["Unknown card", "Ben", "Anna"]
    for words in (ANNA_UID, "04:BB", "family", "Why?"):
        assert words not in page


def test_a_viewer_does_not_find_people_by_their_numbers(viewer, operator, rows):
    assert names(shown(viewer, f"?who={quote_plus(ANNA_UID)}")) == []
    assert names(shown(operator, f"?who={quote_plus(ANNA_UID)}")) == ["Anna"]


def test_who_runs_the_house_gets_from_a_row_to_its_reason(console, rows):
    page = shown(console("operator"))

    assert "Why?" in page
    assert "/admin/policies/door/front-door/entry/?at=2026-11-23T12%3A00%3A00.000Z" in page


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("?who=ann", ["Anna"]),
        ("?who=garage", ["Unknown card"]),
        ("?door=front-door", ["Ben", "Anna"]),
        ("?result=true", ["Anna"]),
        ("?result=false&door=front-door", ["Ben"]),
        ("?since=2026-11-24", ["Unknown card", "Ben"]),
        ("?until=2026-11-24", ["Ben", "Anna"]),
        ("?since=2026-11-24&until=2026-11-24", ["Ben"]),
        ("?since=2026-11-25&until=2026-11-24", []),
    ],
)
def test_it_shows_what_is_asked_for(viewer, rows, query, who):
    assert names(shown(viewer, query)) == who


@pytest.mark.parametrize(
    "query",
    [
        "since=0001-01-01",
        "until=9999-12-31",
        "until=soon",
        "door=nowhere",
        "result=2",
        "who=%00",
    ],
)
def test_what_cannot_be_understood_is_said(viewer, rows, query):
    page = shown(viewer, f"?{query}")

    assert 'role="alert"' in page
    assert len(names(page)) == 3


def test_a_day_is_the_buildings(viewer, door, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    with timezone.override("Pacific/Auckland"):
        passed(at=dt.datetime(2026, 11, 23, 11, 30, tzinfo=dt.UTC))  # 00:30 on the 24th

        assert names(shown(viewer, "?since=2026-11-24&until=2026-11-24")) == ["Anna"]
        assert names(shown(viewer, "?until=2026-11-23")) == []


def test_older_rows_are_a_page_further_and_keep_the_filter(viewer, door):
    for n in range(ROWS + 2):
        passed(f"No. {n}", at=NOON + n * dt.timedelta(seconds=1))
    passed("Somebody else", "garage")

    page = shown(viewer, "?door=front-door")
    older = page.partition('">Older')[0].rpartition('href="')[2].replace("&amp;", "&")
    rest = shown(viewer, older.removeprefix("/access"))

    assert len(names(page)) == ROWS
    assert names(rest) == ["No. 1", "No. 0"]
    assert "Older" not in rest
    assert 'data-newest="false"' in rest


def test_a_cursor_from_elsewhere_leads_to_the_newest(viewer, rows):
    answer = viewer.get("/access?before=elsewhere")

    assert (answer.status_code, answer["Location"]) == (302, "/access")


def test_it_costs_the_same_for_any_number(viewer, door, django_assert_max_num_queries):
    for n in range(ROWS):
        passed(f"No. {n}")

    with django_assert_max_num_queries(6):
        viewer.get("/access")
