"""Operators lock the house down, and what the policies of the API do at the doors."""

import pytest

from policies.models import PeopleGroup, Zone
from tests.conftest import ANNA_UID

LOCKDOWN = "/api/policies/lockdown"
NOTHING = {"house": False, "zones": [], "doors": []}


@pytest.fixture
def cellar(door) -> Zone:
    zone = Zone.objects.create(name="Cellar")
    zone.devices.add(door)
    return zone


def reason(door_client) -> str:
    return door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).json()["reason"]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"house": True}, {"house": True}),
        ({"zones": {"CELLAR": True}}, {"zones": ["Cellar"]}),
        ({"doors": {"front-door": True}}, {"doors": ["front-door"]}),
        (
            {"house": True, "zones": {"Cellar": True}, "doors": {"front-door": True}},
            {"house": True, "zones": ["Cellar"], "doors": ["front-door"]},
        ),
    ],
)
def test_what_is_locked_down_is_so_from_the_next_check_on(
    operator, door_client, cellar, annas_card, change, state
):
    off = {
        name: dict.fromkeys(value, False) if isinstance(value, dict) else False
        for name, value in change.items()
    }

    before = operator.send("GET", LOCKDOWN).json(), reason(door_client)
    locked = operator.send("PATCH", LOCKDOWN, change)
    during = operator.send("GET", LOCKDOWN).json(), reason(door_client)
    ended = operator.send("PATCH", LOCKDOWN, off)
    after = operator.send("GET", LOCKDOWN).json(), reason(door_client)

    assert before == after == (NOTHING, "granted")
    assert during == (NOTHING | state, "lockdown")
    assert (locked.json(), ended.json()) == (NOTHING | state, NOTHING)


def test_what_is_not_mentioned_stays_as_it_is(operator, cellar):
    operator.send("PATCH", LOCKDOWN, {"house": True, "zones": {"Cellar": True}})

    for change in ({}, {"house": None, "zones": None}, {"zones": {"Cellar": None}}, {"doors": {}}):
        answer = operator.send("PATCH", LOCKDOWN, change)
        assert answer.json() == {"house": True, "zones": ["Cellar"], "doors": []}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"house": 1}, "house"),
        ({"zones": ["Cellar"]}, "zones"),
        ({"zones": {"Cellar": "yes"}}, "zones.Cellar"),
        ({"zones": {"Attic": True}}, "zones.Attic"),
        ({"zones": {"Cellar": True, "cellar": False}}, "zones"),
        ({"doors": {"kitchen": True}}, "doors.kitchen"),
        ({"doors": {"\0": True}}, "doors.\0"),
        ({"doors": {"": True}}, "doors."),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_locked(operator, cellar, sensor, change, field):
    answer = operator.send("PATCH", LOCKDOWN, {"house": True} | change)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"].keys() == {field}
    assert operator.send("GET", LOCKDOWN).json() == NOTHING


def test_a_group_that_is_exempt_passes(operator, manager, door_client, annas_card):
    operator.send("PATCH", LOCKDOWN, {"house": True})
    guards = manager.send(
        "POST", "/api/policies/groups", {"name": "Guards", "exempt_from_lockdown": True}
    ).json()

    shut = reason(door_client)
    manager.send("PATCH", f"/api/policies/people/{annas_card.person_id}", {"groups": ["guards"]})
    passes = reason(door_client)
    manager.send("PATCH", f"/api/policies/groups/{guards['id']}", {"exempt_from_lockdown": False})

    assert (shut, passes, reason(door_client)) == ("lockdown", "granted", "lockdown")


def test_a_rule_holds_from_the_next_check_on(manager, door_client, annas_card):
    PeopleGroup.objects.create(name="Family")
    person = f"/api/policies/people/{annas_card.person_id}"
    (everybody,) = manager.send("GET", "/api/policies/rules").json()["rules"]
    rule = f"/api/policies/rules/{everybody['id']}"
    manager.send("POST", "/api/policies/schedules", {"name": "Never", "windows": []})

    reasons = []
    for path, change in (
        (person, {}),
        (rule, {"group": "Family"}),
        (person, {"groups": ["Family"]}),
        (rule, {"every_door": False}),
        (rule, {"doors": ["front-door"]}),
        (rule, {"schedule": "Never"}),
        (rule, {"schedule": None}),
        (person, {"active": False}),
        (person, {"active": True, "valid_until": "2020-01-01T00:00:00Z"}),
        (person, {"valid_until": None}),
    ):
        assert manager.send("PATCH", path, change).status_code == 200
        reasons.append(reason(door_client))
    manager.send("DELETE", rule)

    assert [*reasons, reason(door_client)] == [
        "granted",
        "no_rule",
        "granted",
        "no_rule",
        "granted",
        "outside_schedule",
        "granted",
        "card_inactive",
        "expired",
        "granted",
        "no_rule",
    ]
