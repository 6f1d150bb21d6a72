"""A policy is saved in two steps: first who gains and who loses which door."""

import datetime as dt

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from policies.consequences import compare
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
    ScheduleWindow,
    Zone,
)
from policies.reach import Reach

TUESDAY = {"days": ["2"], "starts_at": "09:00", "ends_at": "12:00"}


def page(name: str, *arguments) -> str:
    return reverse(f"admin:policies_{name}", args=arguments)


def inline(prefix: str, *rows: dict, known: int = 0) -> dict:
    """The part of a form about rows of another model."""
    form = {f"{prefix}-TOTAL_FORMS": str(len(rows)), f"{prefix}-INITIAL_FORMS": str(known)}
    for place, row in enumerate(rows):
        form |= {f"{prefix}-{place}-{name}": value for name, value in row.items()}
    return form


@pytest.fixture
def garage(db) -> Device:
    device = Device.objects.create(device_id="garage", kind="door", name="garage")
    Door.objects.create(device=device)
    return device


@pytest.fixture
def house(door, garage, anna) -> dict:
    """Anna's family passes every door, Ben cleans on Tuesdays."""
    Rule.objects.all().delete()
    family, cleaners = (PeopleGroup.objects.create(name=name) for name in ("family", "cleaners"))
    ben = Person.objects.create(name="Ben")
    anna.groups.add(family)
    ben.groups.add(cleaners)
    tuesdays = Schedule.objects.create(name="Tuesdays")
    ScheduleWindow.objects.create(
        schedule=tuesdays, days=2, starts_at=dt.time(9), ends_at=dt.time(12)
    )
    ground = Zone.objects.create(name="ground floor")
    ground.devices.add(door)
    cleaning = Rule.objects.create(name="cleaning", group=cleaners, zone=ground, schedule=tuesdays)
    everywhere = Rule.objects.create(name="everywhere", group=family, every_door=True)
    return {
        "anna": anna, "ben": ben, "family": family, "cleaners": cleaners, "tuesdays": tuesdays,
        "ground": ground, "cleaning": cleaning, "everywhere": everywhere,
    }  # fmt: skip


@pytest.fixture
def manager(console) -> Client:
    return console("manager")


def lines(answer) -> list[str]:
    """What a page says of people and doors: `Ben + front door: …`."""
    found = answer.context.get("consequences") if answer.context else None
    return [
        f"{one.who} {'+' if one.gains else '-'} {one.where}: {one.when}"
        for one in (found.changes if found else ())
    ]


MORNING = "Tue 09:00–12:00 (3 hours a week)"
NO_CARDS = inline("cards") | inline("cards-2")


def rule_form(house, **changes) -> dict:
    rule = house["cleaning"]
    form = {"name": rule.name, "group": rule.group_id, "zone": rule.zone_id}
    return {k: v for k, v in (form | {"schedule": rule.schedule_id} | changes).items() if v}


def person_form(house, **changes) -> dict:
    groups = [house["cleaners"].pk]
    form = {"name": "Ben", "active": "on", "groups": groups, **NO_CARDS} | changes
    return {k: v for k, v in form.items() if v}


@pytest.mark.parametrize(
    ("url", "form", "wanted"),
    [
        ("rule cleaning", lambda h: rule_form(h, zone=None), [f"Ben - front door: {MORNING}"]),
        ("rule cleaning", lambda h: rule_form(h, zone=None, doors=["garage"]),
         [f"Ben + garage: {MORNING}", f"Ben - front door: {MORNING}"]),
        ("person ben", lambda h: person_form(h, active=None), [f"Ben - front door: {MORNING}"]),
        ("person ben", lambda h: person_form(h, groups=None), [f"Ben - front door: {MORNING}"]),
        ("peoplegroup cleaners", lambda h: {"name": "cleaners", "leavers": [h["ben"].pk]},
         [f"Ben - front door: {MORNING}"]),
        ("peoplegroup family", lambda h: {"name": "family", "newcomers": [h["ben"].pk]},
         ["Ben + front door: all week but Tue 09:00–12:00 (165 hours a week), on holidays too",
          "Ben + garage: always"]),
        ("zone ground", lambda h: {"name": "ground floor", "devices": ["front-door", "garage"]},
         [f"Ben + garage: {MORNING}"]),
        ("schedule tuesdays", lambda h: {"name": "Tuesdays", **inline(
            "windows", TUESDAY | {"id": h["tuesdays"].windows.get().pk, "ends_at": "13:00"},
            known=1)}, ["Ben + front door: Tue 12:00–13:00 (1 hour a week)"]),
        ("door front-door", lambda h: {"unlock_seconds": "5"},
         ["Anna - front door: always", f"Ben - front door: {MORNING}"]),
    ],
)  # fmt: skip
def test_a_change_is_shown_first_and_saved_when_it_was_seen(manager, house, url, form, wanted):
    model, key = url.split()
    path = page(f"{model}_change", house[key].pk if key in house else key)
    before = Reach.read()

    shown = manager.post(path, form(house))

    assert shown.status_code == 200
    assert lines(shown) == wanted
    assert Reach.read() == before
    assert not LogEntry.objects.exists()

    saved = manager.post(path, form(house) | {"_seen": shown.context["consequences"].digest})

    assert saved.status_code == 302
    assert Reach.read() != before
    assert LogEntry.objects.count() == 1


def test_what_is_shown_is_still_in_the_form(manager, house):
    path = page("rule_change", house["cleaning"].pk)

    shown = manager.post(path, rule_form(house, name="mornings", zone=None)).content.decode()

    assert 'value="mornings"' in shown
    assert "Not saved yet" in shown
    assert "correct the error" not in shown


def test_what_changes_for_nobody_is_saved_at_once(manager, house):
    answers = [
        manager.post(page("rule_change", house["cleaning"].pk), rule_form(house, name="mornings")),
        manager.post(page("peoplegroup_add"), {"name": "visitors"}),
        manager.post(page("zone_add"), {"name": "cellar", "devices": ["garage"]}),
        manager.post(page("person_change", house["ben"].pk), person_form(house, name="Benjamin")),
    ]

    assert [answer.status_code for answer in answers] == [302] * 4
    assert Rule.objects.filter(name="mornings").exists()


def test_the_audit_log_has_one_entry_of_what_was_saved_and_none_of_what_was_shown(manager, house):
    PolicyChange.objects.all().delete()
    path, form = page("rule_change", house["cleaning"].pk), rule_form(house, zone=None)

    shown = manager.post(path, form)
    of_shown = PolicyChange.objects.count()
    manager.post(path, form | {"_seen": shown.context["consequences"].digest})

    assert of_shown == 0
    assert [change.label for change in PolicyChange.objects.all()] == ["cleaning"]


def test_what_others_changed_meanwhile_is_shown_again(manager, house):
    path, form = page("rule_change", house["cleaning"].pk), rule_form(house, zone=None)
    seen = manager.post(path, form).context["consequences"].digest
    cem = Person.objects.create(name="Cem")
    cem.groups.add(house["cleaners"])

    again = manager.post(path, form | {"_seen": seen})

    assert lines(again) == [f"Ben and Cem - front door: {MORNING}"]
    assert Rule.objects.get(name="cleaning").zone is not None


def test_a_wrong_form_is_wrong_before_anything_is_shown(manager, house):
    answer = manager.post(page("rule_change", house["cleaning"].pk), rule_form(house, name=""))

    assert "This field is required." in answer.content.decode()
    assert lines(answer) == []


def test_somebody_new_is_shown_what_the_rules_give(manager, house):
    form = person_form(house, name="Cem") | {"cards-TOTAL_FORMS": "1", "cards-0-uid": "04112233"}

    shown = manager.post(page("person_add"), form)
    manager.post(page("person_add"), form | {"_seen": shown.context["consequences"].digest})

    assert lines(shown) == [f"Cem + front door: {MORNING}"]
    assert Card.objects.get().person.name == "Cem"


def test_a_holiday_tells_its_dates(manager, house):
    form = {"name": "closed", "date": "2030-01-01", **inline("windows")}  # a Tuesday

    shown = manager.post(page("holiday_add"), form)

    assert lines(shown) == ["Ben - front door: Tue 1 Jan 2030 09:00–12:00"]
    assert not Holiday.objects.exists()


def test_a_schedule_shows_the_week_to_come(manager, house):
    window = TUESDAY | {"id": house["tuesdays"].windows.get().pk, "days": ["4"]}
    form = {"name": "Tuesdays", **inline("windows", window, known=1)}

    shown = manager.post(page("schedule_change", house["tuesdays"].pk), form)

    assert shown.context["week_then"] == ((2 * 1440 + 540, 2 * 1440 + 720),)
    assert shown.content.decode().count('<table class="week">') == 2


def test_deleting_says_who_loses_what(manager, house):
    one = manager.get(page("rule_delete", house["cleaning"].pk))
    several = manager.post(
        page("rule_changelist"),
        {"action": "delete_selected", "_selected_action": [house["cleaning"].pk]},
    )

    assert lines(one) == lines(several) == [f"Ben - front door: {MORNING}"]
    assert Rule.objects.count() == 2


def test_a_schedule_that_is_used_is_not_deleted(manager, house):
    answer = manager.get(page("schedule_delete", house["tuesdays"].pk))

    assert answer.status_code == 200
    assert "cleaning" in answer.content.decode()
    assert Schedule.objects.exists()


def test_a_device_that_leaves_a_zone_is_shown(console, house):
    form = {"name": "front door", "enabled": "on"}
    through = Zone.devices.through.objects.get()
    row = {"id": through.pk, "zone": through.zone_id, "DELETE": "on"}
    form |= inline("Zone_devices", row, known=1) | inline("certificates")

    shown = console("owner").post(page("device_change", "front-door"), form)

    assert lines(shown) == [f"Ben - front door: {MORNING}"]


def test_reading_the_policies_costs_the_same_for_any_number(house, django_assert_num_queries):
    with django_assert_num_queries(8):
        before = Reach.read()
    for number in range(20):
        person = Person.objects.create(name=f"person {number}")
        person.groups.add(house["family"])
        rule = Rule.objects.create(name=f"rule {number}", schedule=house["tuesdays"])
        rule.doors.add("garage")

    with django_assert_num_queries(8):
        after = Reach.read()

    assert len(after.holders) == len(before.holders) + 20
    assert compare(before, after, dt.datetime(2026, 3, 2, tzinfo=dt.UTC))


def test_a_door_that_comes_to_stay_open_for_anybody_is_told_first(manager, house):
    opened = f"Anybody + front door: {MORNING}, without a card: the door stays open"
    form = {"always_unlocked": house["tuesdays"].pk, "unlock_seconds": "5", "switched_on": "on"}
    url = page("door_change", "front-door")

    asked = manager.post(url, form)
    saved = manager.post(url, form | {"_seen": asked.context["consequences"].digest})
    ended = manager.post(url, form | {"always_unlocked": ""})

    assert lines(asked) == [opened]
    assert (asked.status_code, saved.status_code) == (200, 302)
    assert lines(ended) == [opened.replace("+", "-")]
    assert Door.objects.get(pk="front-door").always_unlocked == house["tuesdays"]


def test_windows_of_a_schedule_that_keeps_a_door_open_are_told_too(house):
    Door.objects.filter(pk="front-door").update(always_unlocked=house["tuesdays"])
    before = Reach.read()
    ScheduleWindow.objects.update(days=1 << 5)

    found = compare(before, Reach.read(), dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC))

    assert [(one.who, one.gains) for one in found.changes[:2]] == [
        ("Anybody", True),
        ("Anybody", False),
    ]
    assert "Sat 09:00–12:00" in found.changes[0].when


def test_the_last_day_of_all_may_be_a_holiday(house):
    before = Reach.read()
    Holiday.objects.create(name="the end", date=dt.date.max)

    assert compare(before, Reach.read(), dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)) is not None
