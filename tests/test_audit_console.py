"""The audit log as people see it: its own page, and the history of each object."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from policies.change_words import in_short, in_words
from policies.models import PolicyChange, Rule
from tests.conftest import ANNA_UID, JsonClient

LIST = "/admin/policies/policychange/"


@pytest.fixture
def staff(client_of_role):
    def make(role: str) -> JsonClient:
        client = client_of_role(role)
        User.objects.filter(username=f"the-{role}").update(is_staff=True)
        return client

    return make


@pytest.fixture
def changed(manager, annas_card) -> PolicyChange:
    """Anna's card was blocked by the manager."""
    manager.send("PATCH", f"/api/policies/cards/{ANNA_UID}", {"status": "blocked"})
    return PolicyChange.objects.latest("number")


def found(client: JsonClient, **query: str) -> list[str]:
    answer = client.get(LIST, query)
    assert answer.status_code == 200
    rows = answer.context["cl"].result_list
    return [f"{row.kind} {row.action}" for row in rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"actor": "the-manager"}, ["card changed"]),
        ({"kind": "card"}, ["card changed", "card added"]),
        ({"kind": "rule"}, []),
        ({"action__exact": "added"}, ["card added", "person added"]),
        ({"source__exact": "api"}, ["card changed"]),
        ({"from": "2126-01-01"}, []),
        ({"q": "anna"}, ["card changed", "card added", "person added"]),
        ({"q": "04-a3-2b"}, ["card changed", "card added"]),
        ({"q": "THE-MANAGER", "kind": "card"}, ["card changed"]),
        ({"q": "nobody"}, []),
    ],
)
def test_it_is_filtered_and_searched(staff, changed, query, expected):
    assert found(staff("operator"), **query) == expected


def test_only_owners_see_changes_of_who_may_sign_in(staff, changed):
    operator, owner = staff("operator"), staff("owner")
    user = PolicyChange.objects.filter(kind="user").first()

    assert "user added" not in found(operator)
    assert "user added" in found(owner)
    assert operator.get(f"{LIST}{user.pk}/change/").status_code == 302


def test_an_entry_says_who_and_what_in_words(staff, changed):
    page = staff("operator").get(f"{LIST}{changed.pk}/change/").content.decode()

    for words in ("the-manager", "API, 127.0.0.1", f"card {ANNA_UID}, Anna: changed",
                  "<th scope=\"row\">status</th><td>active</td><td>blocked</td>"):  # fmt: skip
        assert words in page


@pytest.mark.parametrize("key", ["add/", "{}/delete/"])
def test_nobody_edits_it(staff, changed, key):
    client = staff("owner")

    assert client.post(LIST + key.format(changed.pk), {"post": "yes"}).status_code == 403
    assert client.post(f"{LIST}{changed.pk}/change/", {"actor": "x"}).status_code == 403


def test_the_history_of_an_object_is_its_part_of_the_log(staff, changed):
    url = reverse("admin:policies_card_history", args=[ANNA_UID.replace(":", "_3A")])

    page = staff("operator").get(url).content.decode()

    for words in (
        "the-manager",
        "API, 127.0.0.1",
        "<td>active</td>",
        "<td>blocked</td>",
        "added, person",
    ):
        assert words in page


def test_a_viewer_sees_a_device_and_not_who_changed_it(staff, door):
    url = reverse("admin:policies_device_history", args=["front-door"])

    assert "Nothing was changed here" not in staff("operator").get(url).content.decode()
    assert "Nothing was changed here" in staff("viewer").get(url).content.decode()


def test_what_never_changed_says_so(staff, db):
    PolicyChange.objects.all().delete()
    url = reverse("admin:policies_rule_history", args=[Rule.objects.get().pk])

    assert "Nothing was changed here" in staff("operator").get(url).content.decode()


def test_the_list_costs_the_same_for_any_number_of_entries(
    staff, changed, django_assert_max_num_queries
):
    client = staff("owner")
    changed.pk = None
    PolicyChange.objects.bulk_create([changed] * 50)

    with django_assert_max_num_queries(12):
        client.get(LIST)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        ([], "–"),
        (True, "yes"),
        (["cellar", "attic"], "cellar, attic"),
        ("2026-11-23T07:37:01.542Z", "2026-11-23 "),
        (5, "5"),
    ],
)
def test_values_are_in_words(value, words):
    assert in_words(value).startswith(words)


@pytest.mark.parametrize(
    ("before", "after", "action", "words"),
    [
        ({"valid_until": None}, {"valid_until": "x"}, "changed", "valid until: – → x"),
        (None, {"name": "Ben", "active": True}, "added", "name: Ben; active: yes"),
        ({"name": "Ben"}, None, "deleted", "name: Ben"),
        (None, {"name": "x" * 300}, "added", "name: " + "x" * 193 + "…"),
    ],
)
def test_an_entry_fits_into_a_line(before, after, action, words):
    change = PolicyChange(
        before=before, after=after, action=action, timestamp=dt.datetime.now(dt.UTC)
    )

    assert in_short(change) == words
