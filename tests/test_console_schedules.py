"""Schedules at a glance, and holidays that come first."""

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse

from policies.models import Holiday, HolidayWindow, Rule, Schedule, ScheduleWindow
from tests.test_console_preview import inline

WORKDAYS = ["1", "2", "4", "8", "16"]


def page(name: str, *arguments) -> str:
    return reverse(f"admin:policies_{name}", args=arguments)


@pytest.fixture
def manager(console) -> Client:
    return console("manager")


@pytest.fixture
def nights(db) -> Schedule:
    schedule = Schedule.objects.create(name="nights")
    ScheduleWindow.objects.create(
        schedule=schedule, days=0b1000001, starts_at=dt.time(22), ends_at=dt.time(6)
    )
    return schedule


@pytest.mark.parametrize("name", ["schedule_changelist", "schedule_change"])
def test_the_week_is_drawn_and_said(manager, nights, name):
    arguments = [nights.pk] if name == "schedule_change" else []

    shown = manager.get(page(name, *arguments)).content.decode()

    # Monday 22:00 to 24:00 and Tuesday 00:00 to 06:00; Sunday's night ends on Monday.
    assert shown.count('class="on"') == 4
    assert 'x="1320"' in shown
    assert 'width="360"' in shown
    words = {
        "schedule_changelist": ["Mon and Sun 22:00–06:00 (next day)"],
        "schedule_change": ["00:00–06:00, 22:00–24:00", "nothing"],
    }
    assert [text for text in words[name] if text not in shown] == []
    assert "style=" not in shown


def test_windows_are_edited_with_days_as_checkboxes(manager, nights):
    window = nights.windows.get()
    row = {"id": window.pk, "days": WORKDAYS, "starts_at": "09:00", "ends_at": "17:30"}
    new = {"days": ["32"], "starts_at": "10:00", "ends_at": "10:00"}

    path = page("schedule_change", nights.pk)
    answer = manager.post(path, {"name": "office", **inline("windows", row, new, known=1)})

    assert answer.status_code == 302
    found = ScheduleWindow.objects.values_list("days", "starts_at", "ends_at")
    assert list(found) == [
        (0b0011111, dt.time(9), dt.time(17, 30)),
        (0b0100000, dt.time(10), dt.time(10)),
    ]
    shown = manager.get(path).content.decode()
    assert (
        shown.count("checked") == 6 + 2 * 7
    )  # a row for a further window, and the hidden one for more, begin with all


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"starts_at": "09:00", "ends_at": "10:00"}, "Tick at least one day."),
        ({"days": ["3"], "starts_at": "09:00", "ends_at": "10:00"}, "3 is not one of"),
        ({"days": ["128"], "starts_at": "09:00", "ends_at": "10:00"}, "128 is not one of"),
        ({"days": ["1"], "starts_at": "09:00:30", "ends_at": "10:00"}, "whole minutes"),
        ({"days": ["1"], "starts_at": "25:00", "ends_at": "10:00"}, "Enter a valid time."),
        ({"days": ["1"], "starts_at": "\0", "ends_at": "10:00"}, "Enter a valid time."),
        ({"days": ["1"], "ends_at": "10:00"}, "This field is required."),
    ],
)
def test_a_wrong_window_is_refused_in_words(manager, row, words):
    answer = manager.post(page("schedule_add"), {"name": "office", **inline("windows", row)})

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Schedule.objects.exists()


def test_a_schedule_says_what_uses_it(manager, nights, door):
    Rule.objects.create(name="night shift", schedule=nights)
    door.door.always_locked = nights
    door.door.save()

    shown = manager.get(page("schedule_changelist")).content.decode()

    assert "night shift and front door (locks it)" in shown


def test_holidays_to_come_stand_first(manager, db):
    today = dt.date.today()  # noqa: DTZ011  # only its neighbourhood matters
    soon, later, past = (today + dt.timedelta(days=days) for days in (3, 200, -5))
    Holiday.objects.create(name="long ago", date=past)
    Holiday.objects.create(name="later", date=later)
    yearly = Holiday.objects.create(name="every year", date=soon.replace(year=2020), yearly=True)
    Holiday.objects.create(name="in a year", date=past.replace(year=2020), yearly=True)
    HolidayWindow.objects.create(holiday=yearly, starts_at=dt.time(8), ends_at=dt.time(13))

    answer = manager.get(page("holiday_changelist"))

    names = [holiday.name for holiday in answer.context["cl"].result_list]
    assert names == ["every year", "later", "in a year", "long ago"]
    shown = answer.content.decode()
    assert "08:00 to 13:00" in shown
    assert "closed all day" in shown
    assert "every year" in shown


def test_a_list_of_schedules_costs_the_same_for_any_number(
    manager, nights, django_assert_max_num_queries
):
    for number in range(20):
        schedule = Schedule.objects.create(name=f"schedule {number}")
        ScheduleWindow.objects.create(schedule=schedule, starts_at=dt.time(8), ends_at=dt.time(9))
        Rule.objects.create(name=f"rule {number}", schedule=schedule)
        day = Holiday.objects.create(name="closed", date=dt.date(2030, 1, number + 1))
        HolidayWindow.objects.create(holiday=day, starts_at=dt.time(8), ends_at=dt.time(9))

    with django_assert_max_num_queries(18):
        manager.get(page("schedule_changelist"))
    with django_assert_max_num_queries(18):
        manager.get(page("holiday_changelist"))
