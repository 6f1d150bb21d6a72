"""People manage people, groups, zones, schedules, holidays and rules by API."""

import datetime as dt
from typing import Any

import pytest

from policies.models import (
    Card,
    Device,
    Door,
    Holiday,
    PeopleGroup,
    Person,
    PolicyChange,
    Rule,
    Schedule,
    Zone,
)
from tests.conftest import ANNA_UID

NIGHT = {"days": ["mon", "fri"], "from": "22:00", "to": "06:00"}
NOON = {"from": "11:00", "to": "13:00"}
SUNDAY = {"days": ["sun"], "from": "00:00", "to": "00:00"}
MODELS = {
    "people": Person,
    "groups": PeopleGroup,
    "zones": Zone,
    "schedules": Schedule,
    "holidays": Holiday,
    "rules": Rule,
}
EVERYBODY = "everyone, every door, always"  # the rule of a fresh house


def at(noun: str, row: Any = "") -> str:
    return f"/api/policies/{noun}" + (f"/{getattr(row, 'pk', row)}" if row else "")


def error_of(answer) -> dict[str, Any]:
    return answer.json()["error"]


@pytest.fixture
def house(door, sensor) -> None:
    """Some of everything, and no rule but for the cleaners."""
    Rule.objects.all().delete()
    cleaners = PeopleGroup.objects.create(name="Cleaners")
    PeopleGroup.objects.create(name="Büro", exempt_from_lockdown=True)
    cellar = Zone.objects.create(name="Cellar")
    cellar.devices.set([door, sensor])
    nights = Schedule.objects.create(name="Nights")
    nights.windows.create(days=17, starts_at=dt.time(22), ends_at=dt.time(6))
    christmas = Holiday.objects.create(name="Christmas", date=dt.date(2026, 12, 25), yearly=True)
    christmas.windows.create(starts_at=dt.time(11), ends_at=dt.time(13))
    anna = Person.objects.create(name="Anna")
    anna.groups.add(cleaners)
    rule = Rule.objects.create(name="Cleaners at night", group=cleaners, schedule=nights)
    rule.doors.add(door.door)


def row_of(noun: str) -> Any:
    """The first of a kind that the house has."""
    return MODELS[noun].objects.order_by("pk").first()


ADDED = [
    ("people", {"name": " Ben "}, {"name": "Ben", "groups": [], "active": True, "valid_from": None,
                                   "valid_until": None}),
    ("people", {"name": "Ben", "groups": ["büro", "CLEANERS", "Büro"], "active": False,
                "valid_from": "2026-01-01T00:00:00+01:00", "valid_until": None},
     {"groups": ["Büro", "Cleaners"], "active": False, "valid_from": "2025-12-31T23:00:00.000Z"}),
    ("groups", {"name": "Family"}, {"name": "Family", "exempt_from_lockdown": False}),
    ("groups", {"name": "A/B", "exempt_from_lockdown": True}, {"exempt_from_lockdown": True}),
    ("zones", {"name": "Attic"}, {"name": "Attic", "devices": [], "lockdown": False}),
    ("zones", {"name": "Attic", "devices": ["kitchen", "front-door"], "lockdown": True},
     {"devices": ["front-door", "kitchen"], "lockdown": True}),
    ("schedules", {"name": "Tuesdays", "windows": []}, {"name": "Tuesdays", "windows": []}),
    ("schedules", {"name": "Two", "windows": [NIGHT, NOON | {"days": ["sun", "mon"]}]},
     {"windows": [NOON | {"days": ["mon", "sun"]}, NIGHT]}),
    ("schedules", {"name": "Sundays", "windows": [SUNDAY]}, {"windows": [SUNDAY]}),
    ("holidays", {"date": "2026-12-25", "name": "Christmas 2026"},
     {"date": "2026-12-25", "name": "Christmas 2026", "yearly": False, "windows": []}),
    ("holidays", {"date": "2028-02-29", "name": "Leap", "yearly": True, "windows": [NOON]},
     {"yearly": True, "windows": [NOON]}),
    ("rules", {"name": "All", "group": None, "every_door": True},
     {"name": "All", "group": None, "every_door": True, "doors": [], "zone": None,
      "schedule": None}),
    ("rules", {"name": "Some", "group": "CLEANERS", "doors": ["front-door"], "zone": "cellar",
               "schedule": "nights"},
     {"group": "Cleaners", "every_door": False, "doors": ["front-door"], "zone": "Cellar",
      "schedule": "Nights"}),
    ("rules", {"group": "Cleaners", "doors": ["front-door"], "zone": "Cellar"},
     {"name": "Cleaners: front-door, Cellar; always"}),
    ("rules", {"group": None, "every_door": True, "schedule": "Nights"},
     {"name": "everyone: every door; Nights"}),
    ("groups", {"name": "Family", "id": 77, "color": "red", "exempt_from_lockdown": None},
     {"name": "Family", "exempt_from_lockdown": False}),
]  # fmt: skip


@pytest.mark.parametrize(("noun", "body", "wanted"), ADDED)
def test_one_is_added_and_read(manager, operator, house, noun, body, wanted):
    answer = manager.send("POST", at(noun), body)

    assert answer.status_code == 201
    assert answer.json().items() >= wanted.items()
    assert answer["X-RateLimit-Limit"] == "60"
    added = MODELS[noun].objects.get(pk=answer.json()["id"])
    assert operator.send("GET", at(noun, added)).json() == answer.json()
    assert answer.json() in operator.send("GET", at(noun)).json()[noun]


WRONG = [
    ("people", {"name": "  "}, "name"),
    ("people", {"name": "x" * 201}, "name"),
    ("people", {"name": "x\0"}, "name"),
    ("people", {"name": "Ben", "groups": ["Cleaners", "Nobody"]}, "groups.1"),
    ("people", {"name": "Ben", "groups": "Cleaners"}, "groups"),
    ("people", {"name": "Ben", "groups": [1]}, "groups.0"),
    ("people", {"name": "Ben", "groups": ["\0"]}, "groups.0"),
    ("people", {"name": "Ben", "active": "yes"}, "active"),
    ("people", {"name": "Ben", "valid_until": "2026-12-24"}, "valid_until"),
    ("people", {"name": "Ben", "valid_until": "9999-12-31T23:59:59Z"}, "valid_until"),
    ("people", {"name": "Ben", "valid_from": "2026-02-01T00:00:00Z",
                "valid_until": "2026-02-01T00:00:00Z"}, "valid_until"),
    ("groups", {}, "name"),
    ("groups", {"name": None}, "name"),
    ("groups", {"name": "x" * 101}, "name"),
    ("groups", {"name": "\ud800"}, "name"),
    ("groups", {"name": "Family", "exempt_from_lockdown": 1}, "exempt_from_lockdown"),
    ("zones", {"name": "Attic", "devices": ["front-door", "FRONT-DOOR"]}, "devices.1"),
    ("zones", {"name": "Attic", "lockdown": "on"}, "lockdown"),
    ("schedules", {"name": "Tuesdays"}, "windows"),
    ("schedules", {"name": "Tuesdays", "windows": [NIGHT | {"to": "24:00"}]}, "windows.0.to"),
    ("schedules", {"name": "Tuesdays", "windows": [NIGHT | {"days": ["day"]}]}, "windows.0.days"),
    ("schedules", {"name": "Tuesdays", "windows": [NIGHT, NIGHT]}, "windows.1"),
    ("holidays", {"name": "New"}, "date"),
    ("holidays", {"date": "2027-02-29", "name": "Leap"}, "date"),
    ("holidays", {"date": "2026-12-26", "name": "New", "windows": [NOON, {}]}, "windows.1.from"),
    ("rules", {"name": "All", "every_door": True}, "group"),  # everyone has to be said
    ("rules", {"name": "All", "group": None}, "doors"),
    ("rules", {"name": "All", "group": None, "doors": []}, "doors"),
    ("rules", {"name": "All", "group": "nobody", "every_door": True}, "group"),
    ("rules", {"name": "All", "group": None, "zone": "nowhere"}, "zone"),
    ("rules", {"name": "All", "group": None, "doors": ["kitchen"]}, "doors.0"),  # a sensor
    ("rules", {"name": "All", "group": None, "every_door": True, "schedule": "never"}, "schedule"),
    ("rules", {"name": "All", "group": None, "every_door": True, "schedule": ""}, "schedule"),
    ("rules", {"name": "All", "group": "", "every_door": True}, "group"),
    ("rules", {"name": "All", "group": False, "every_door": True}, "group"),
]  # fmt: skip


def test_a_wrong_field_is_named_and_nothing_is_stored(manager, house, limit):
    limit("policies", "0")
    before = {noun: model.objects.count() for noun, model in MODELS.items()}

    answers = [(body, field, manager.send("POST", at(noun), body)) for noun, body, field in WRONG]

    assert {answer.status_code for *_, answer in answers} == {422}
    assert {error_of(answer)["code"] for *_, answer in answers} == {"VALIDATION_ERROR"}
    unnamed = [(b, f) for b, f, answer in answers if f not in error_of(answer)["details"]]
    assert unnamed == []
    assert {noun: model.objects.count() for noun, model in MODELS.items()} == before


CHANGED = [
    ("people", {"name": "Anna M."}, {"name": "Anna M.", "groups": ["Cleaners"]}),
    ("people", {"name": "ANNA"}, {"name": "ANNA"}),
    ("people", {"groups": []}, {"name": "Anna", "groups": []}),
    ("people", {"groups": None, "active": None}, {"groups": ["Cleaners"], "active": True}),
    ("people", {"groups": ["büro"], "active": False}, {"groups": ["Büro"], "active": False}),
    ("groups", {"exempt_from_lockdown": True}, {"name": "Cleaners", "exempt_from_lockdown": True}),
    ("zones", {"devices": ["kitchen"]}, {"name": "Cellar", "devices": ["kitchen"]}),
    ("zones", {"lockdown": True}, {"devices": ["front-door", "kitchen"], "lockdown": True}),
    ("schedules", {"name": "Late"}, {"name": "Late", "windows": [NIGHT]}),
    ("schedules", {"windows": []}, {"name": "Nights", "windows": []}),
    ("schedules", {"windows": [NOON | {"days": ["sat"]}, NIGHT]},
     {"windows": [NOON | {"days": ["sat"]}, NIGHT]}),
    ("holidays", {"windows": []}, {"date": "2026-12-25", "yearly": True, "windows": []}),
    ("holidays", {"yearly": False}, {"yearly": False, "windows": [NOON]}),
    ("holidays", {"date": "2027-12-26"}, {"date": "2027-12-26", "yearly": True}),
    ("rules", {"group": "Büro"}, {"group": "Büro", "schedule": "Nights"}),
    ("rules", {"group": None}, {"group": None, "schedule": "Nights"}),
    ("rules", {"schedule": None}, {"group": "Cleaners", "schedule": None}),
    ("rules", {"zone": "Cellar", "doors": []}, {"zone": "Cellar", "doors": []}),
    ("rules", {"zone": None, "doors": None}, {"zone": None, "doors": ["front-door"]}),
    ("rules", {}, {"name": "Cleaners at night", "group": "Cleaners", "every_door": False}),
]  # fmt: skip


@pytest.mark.parametrize(("noun", "change", "wanted"), CHANGED)
def test_one_is_changed_and_the_rest_stays(manager, house, noun, change, wanted):
    path = at(noun, row_of(noun))

    answer = manager.send("PATCH", path, change)

    assert answer.status_code == 200
    assert answer.json().items() >= wanted.items()
    assert manager.send("GET", path).json() == answer.json()


def test_the_ends_of_a_persons_time_are_set_kept_and_cleared(manager, house):
    path = at("people", row_of("people"))

    answers = [
        manager.send("PATCH", path, change).json()
        for change in (
            {"valid_from": "2026-12-01T00:00:00Z", "valid_until": "2026-12-24T18:00:00Z"},
            {"active": True},
            {"valid_until": None},
        )
    ]

    assert [answer["valid_until"] for answer in answers] == [
        "2026-12-24T18:00:00.000Z",
        "2026-12-24T18:00:00.000Z",
        None,
    ]
    assert answers[-1]["valid_from"] == "2026-12-01T00:00:00.000Z"


def test_a_change_is_judged_by_what_comes_of_it_and_changes_nothing_else(manager, house):
    path = at("people", row_of("people"))
    manager.send("PATCH", path, {"valid_from": "2026-12-01T00:00:00Z"})

    answer = manager.send("PATCH", path, {"name": "Ben", "valid_until": "2026-11-01T00:00:00Z"})

    assert answer.status_code == 422
    assert error_of(answer)["details"].keys() == {"valid_until"}
    assert Person.objects.get().name == "Anna"


def test_a_window_that_stays_is_not_written_again(manager, house):
    kept = row_of("schedules").windows.get()

    manager.send(
        "PATCH", at("schedules", kept.schedule), {"windows": [NOON | {"days": ["sat"]}, NIGHT]}
    )

    assert kept in kept.schedule.windows.all()


TAKEN = [
    ("people", {"name": "aNNA"}),
    ("groups", {"name": " cleaners "}),
    ("groups", {"name": "Bu\u0308RO"}),
    ("zones", {"name": "CELLAR"}),
    ("schedules", {"name": "nights", "windows": []}),
    ("holidays", {"name": "Another", "date": "1999-12-25", "yearly": True}),
    ("rules", {"name": "CLEANERS AT NIGHT", "group": None, "every_door": True}),
]


@pytest.mark.parametrize(("noun", "body"), TAKEN)
def test_another_one_of_that_name_is_a_conflict(manager, house, noun, body):
    added = manager.send("POST", at(noun), body)
    free = {"name": "Free", "date": "2026-01-06"}
    other = manager.send("POST", at(noun), body | free).json()
    changed = manager.send("PATCH", at(noun, other["id"]), body)

    for answer in (added, changed):
        assert answer.status_code == 409
        assert error_of(answer)["code"] == "CONFLICT"
        assert "already" in error_of(answer)["message"]
    assert manager.send("GET", at(noun, other["id"])).json() == other


def test_who_is_second_by_a_moment_has_a_conflict_too(manager, house, monkeypatch):
    monkeypatch.setattr(PeopleGroup, "clean", lambda group: None)  # it was not there yet

    answer = manager.send("POST", at("groups"), {"name": "cleaners"})

    assert answer.status_code == 409


def test_what_is_not_there_is_not_found(manager, house, limit):
    limit("policies", "0")

    for noun in MODELS:
        for method in ("GET", "PATCH", "DELETE"):
            for id in ("0", "999999", "9" * 30, "-1", "anna", "%00", "1/2"):
                answer = manager.send(method, at(noun, id), {} if method == "PATCH" else None)
                assert answer.status_code == 404, (method, noun, id)
                assert error_of(answer)["code"] == "NOT_FOUND"


@pytest.mark.parametrize("noun", MODELS)
def test_what_is_deleted_is_gone(manager, house, noun):
    Rule.objects.exclude(name=row_of("rules").name if noun == "rules" else "").delete()
    row = row_of(noun)

    deleted = manager.send("DELETE", at(noun, row))
    again = manager.send("DELETE", at(noun, row))

    assert (deleted.status_code, again.status_code) == (200, 404)
    assert deleted.json() == {"status": "deleted", "id": row.pk}


def test_the_cards_go_with_a_deleted_person(manager, house):
    anna = Person.objects.get()
    Card.objects.create(uid=ANNA_UID, person=anna)

    manager.send("DELETE", at("people", anna))

    assert not Card.objects.exists()


def in_a_rule(noun: str) -> None:
    Rule.objects.update(zone=Zone.objects.get())


def at_a_door(noun: str) -> None:
    Rule.objects.update(schedule=None)
    Door.objects.update(always_locked=Schedule.objects.get())


@pytest.mark.parametrize(
    ("noun", "used", "details"),
    [
        ("groups", in_a_rule, {"rules": ["Cleaners at night"]}),
        ("zones", in_a_rule, {"rules": ["Cleaners at night"]}),
        ("schedules", in_a_rule, {"rules": ["Cleaners at night"]}),
        ("schedules", at_a_door, {"doors": ["front-door"]}),
    ],
)
def test_what_is_in_use_stays_and_is_said_to_be(manager, house, noun, used, details):
    used(noun)
    before = manager.send("GET", at("rules")).json()

    answer = manager.send("DELETE", at(noun, row_of(noun)))

    assert answer.status_code == 409
    assert error_of(answer)["details"] == details
    assert f"“{next(iter(details.values()))[0]}”" in error_of(answer)["message"]
    assert manager.send("GET", at("rules")).json() == before


def test_of_many_users_a_few_are_named(manager, house):
    for number in range(7):
        Rule.objects.create(name=f"rule {number}", group=row_of("groups"))

    answer = manager.send("DELETE", at("groups", row_of("groups")))

    assert error_of(answer)["message"].endswith("and 3 more. Change or delete those first.")
    assert len(error_of(answer)["details"]["rules"]) == 8


def test_a_zone_is_not_deleted_out_of_its_lockdown(manager, house):
    Rule.objects.update(zone=None)
    zone = row_of("zones")
    zone.set_lockdown(True)

    refused = manager.send("DELETE", at("zones", zone))
    manager.send("PATCH", at("zones", zone), {"lockdown": False})
    deleted = manager.send("DELETE", at("zones", zone))

    assert (refused.status_code, deleted.status_code) == (409, 200)


def test_each_change_is_one_entry_of_the_audit_log(manager, house):
    rule = {"name": "Ours", "group": "Cleaners", "doors": ["front-door"], "zone": "Cellar"}
    PolicyChange.objects.all().delete()

    schedule = manager.send("POST", at("schedules"), {"name": "Late", "windows": [NIGHT]}).json()
    manager.send("PATCH", at("schedules", schedule["id"]), {"windows": [NOON | {"days": ["sat"]}]})
    rule = manager.send("POST", at("rules"), rule).json()
    manager.send("PATCH", at("rules", rule["id"]), {"group": None, "doors": [], "zone": "Cellar"})
    manager.send("DELETE", at("rules", rule["id"]))
    manager.send("PATCH", at("lockdown"), {"house": True, "zones": {"Cellar": True}})

    changes = PolicyChange.objects.order_by("number")
    assert {(change.actor, change.source) for change in changes} == {("the-manager", "api")}
    assert [(change.action, change.label) for change in changes] == [
        ("added", "Late"),
        ("changed", "Late"),
        ("added", "Ours"),
        ("changed", "Ours"),
        ("deleted", "Ours"),
        ("changed", "house"),
        ("changed", "Cellar"),
    ]


def three_people() -> None:
    for name in ("Ada", "ben", "Čapek"):
        Person.objects.create(name=name)
    Card.objects.create(uid=ANNA_UID, person=Person.objects.get(name="Ada"))
    Card.objects.create(uid="04:A3:2B:FF", person=Person.objects.get(name="Ada"))


@pytest.mark.parametrize(
    ("query", "count", "found"),
    [
        ("", 3, ["Ada", "ben", "Čapek"]),
        ("?limit=1&offset=1", 3, ["ben"]),
        ("?offset=9", 3, []),
        ("?search=BE", 1, ["ben"]),
        ("?search=%C4%8DAPEK", 1, ["Čapek"]),
        ("?search=04a3-2b", 1, ["Ada"]),
        ("?search=%25", 0, []),
        ("?unknown=1", 3, ["Ada", "ben", "Čapek"]),
    ],
)
def test_people_are_listed_and_searched(operator, db, query, count, found):
    three_people()

    answer = operator.send("GET", at("people") + query)

    assert answer.status_code == 200
    assert answer.json()["count"] == count
    assert [person["name"] for person in answer.json()["people"]] == found


@pytest.mark.parametrize(
    ("noun", "term", "found"),
    [
        ("groups", "büR", ["Büro"]),
        ("zones", "CELL", ["Cellar"]),
        ("schedules", "igh", ["Nights"]),
        ("holidays", "christ", ["Christmas"]),
        ("rules", "at NIGHT", ["Cleaners at night"]),
        ("rules", "nowhere", []),
    ],
)
def test_the_others_are_searched_by_name(operator, house, noun, term, found):
    answer = operator.send("GET", f"{at(noun)}?search={term}").json()

    assert [row["name"] for row in answer[noun]] == found
    assert answer["count"] == len(found)


def test_query_parameters_are_validated_like_fields(operator, house):
    for noun in MODELS:
        for query in ("limit=0", "limit=1001", "offset=x", "search=%00"):
            answer = operator.send("GET", f"{at(noun)}?{query}")
            assert answer.status_code == 422, (noun, query)
            assert error_of(answer)["details"].keys() == {query.partition("=")[0]}


def many(noun: str) -> None:
    """Three more of each, that hang on as much as they can."""
    cast = [PeopleGroup.objects.get(name="Cleaners"), Zone.objects.get(), Schedule.objects.get()]
    group, zone, schedule = cast
    for number in range(3):
        name = f"another {number}"
        Person.objects.create(name=name).groups.add(group)
        PeopleGroup.objects.create(name=name)
        Zone.objects.create(name=name).devices.set(Device.objects.all())
        rule = Rule.objects.create(name=name, group=group, zone=zone, schedule=schedule)
        rule.doors.set(Door.objects.all())
        for kind, more in ((Schedule, {}), (Holiday, {"date": dt.date(2026, 1, 1 + number)})):
            row = kind.objects.create(name=name, **more)
            row.windows.create(starts_at=dt.time(8), ends_at=dt.time(9))


QUERIES = {"people": 6, "groups": 5, "zones": 6, "schedules": 6, "holidays": 6, "rules": 6}


@pytest.mark.parametrize("noun", MODELS)
def test_a_list_costs_the_same_for_any_number(operator, house, noun, django_assert_num_queries):
    many(noun)

    # Session, user, role, count, rows, and what hangs on the rows.
    with django_assert_num_queries(QUERIES[noun]):
        assert len(operator.send("GET", at(noun)).json()[noun]) >= 4
