"""Whatever is changed about who may enter when holds at the first check afterwards."""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from access.check import check_access
from policies import snapshot
from policies.authentication import identify
from policies.models import (
    Card,
    Device,
    Door,
    Holiday,
    HolidayWindow,
    House,
    PeopleGroup,
    Person,
    Rule,
    Schedule,
    ScheduleWindow,
    Zone,
)
from realtime.reserved import Late
from tests.conftest import ANNA_UID

T = TypeVar("T")

# In production what is known is kept from one check to the next only when it was committed.
pytestmark = (
    []
    if settings.EMBEDDED
    else [
        pytest.mark.django_db(transaction=True, serialized_rollback=True),
        pytest.mark.undrained,
    ]
)
MIDNIGHT = dt.time(0)


@pytest.fixture
def rule(door: Device, annas_card: Card) -> Rule:
    """Anna's family may enter the ground floor around the clock, by a schedule."""
    Rule.objects.all().delete()
    always = Schedule.objects.create(name="around the clock")
    ScheduleWindow.objects.create(schedule=always, starts_at=MIDNIGHT, ends_at=MIDNIGHT)
    family = PeopleGroup.objects.create(name="family")
    annas_card.person.groups.add(family)
    ground_floor = Zone.objects.create(name="ground floor")
    ground_floor.devices.add(door)
    return Rule.objects.create(name="family", group=family, zone=ground_floor, schedule=always)


def patiently(ask: Callable[[], T]) -> T:
    """On a busy machine the database may be late: then as doors do, once more."""
    for _ in range(50):
        with suppress(Late):
            return ask()
    return ask()


def ask(door_client) -> str:
    def answered() -> str:
        answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
        if answer.status_code == 503:
            raise Late
        return answer.json()["reason"]

    return patiently(answered)


def another_day() -> int:
    """A day of the week that is not today, as a window names it."""
    return 1 << (timezone.localdate() + dt.timedelta(2)).weekday()


def never() -> Schedule:
    return Schedule.objects.create(name="never")


def holiday(**fields) -> Holiday:
    return Holiday.objects.create(name="today", date=timezone.localdate(), **fields)


CHANGES = {
    "a window changed": (
        lambda rule: ScheduleWindow.objects.update(days=another_day()),
        "outside_schedule",
    ),
    "a window deleted": (lambda rule: rule.schedule.windows.get().delete(), "outside_schedule"),
    "all windows deleted": (
        lambda rule: ScheduleWindow.objects.all().delete(),
        "outside_schedule",
    ),
    "another schedule": (
        lambda rule: Rule.objects.filter(pk=rule.pk).update(schedule=never()),
        "outside_schedule",
    ),
    "a holiday": (lambda rule: holiday(), "holiday"),
    "a yearly holiday": (lambda rule: holiday(yearly=True), "holiday"),
    "holidays in bulk": (
        lambda rule: Holiday.objects.bulk_create([Holiday(name="x", date=timezone.localdate())]),
        "holiday",
    ),
    "a holiday with a window of its own": (
        lambda rule: HolidayWindow.objects.create(
            holiday=holiday(), starts_at=MIDNIGHT, ends_at=MIDNIGHT
        ),
        "granted",
    ),
    "out of the group": (lambda rule: Person.objects.get().groups.clear(), "no_rule"),
    "the group's people set": (lambda rule: rule.group.people.set([]), "no_rule"),
    "the door out of the zone": (lambda rule: rule.zone.devices.clear(), "no_rule"),
    "the zone out of the rule": (lambda rule: Rule.objects.update(zone=None), "no_rule"),
    "the rule deleted": (lambda rule: rule.delete(), "no_rule"),
    "the house locked down": (lambda rule: House.current().set_lockdown(True), "lockdown"),
    "the zone locked down": (lambda rule: rule.zone.set_lockdown(True), "lockdown"),
    "the door locked down": (lambda rule: Door.objects.get().set_lockdown(True), "lockdown"),
    "all doors locked down": (lambda rule: Door.objects.update(lockdown=True), "lockdown"),
    "the door always locked": (
        lambda rule: Door.objects.update(always_locked=rule.schedule),
        "door_disabled",
    ),
    "the card until a moment ago": (
        lambda rule: Card.objects.get().reactivate(until=timezone.now()),
        "expired",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_a_change_holds_at_the_first_check_afterwards(rule, door_client, change, reason):
    assert [ask(door_client), ask(door_client)] == ["granted", "granted"]

    change(rule)

    assert ask(door_client) == reason


def test_what_is_taken_back_holds_as_soon(rule, door_client):
    house, exempt = House.current(), PeopleGroup.objects.filter(pk=rule.group_id)
    said = []
    for change in (
        lambda: house.set_lockdown(True),
        lambda: exempt.update(exempt_from_lockdown=True),
        lambda: exempt.update(exempt_from_lockdown=False),
        lambda: house.set_lockdown(False),
        holiday,
        lambda: Holiday.objects.all().delete(),
    ):
        change()
        said.append(ask(door_client))

    assert said == ["lockdown", "granted", "lockdown", "granted", "holiday", "granted"]


def test_a_lockdown_is_a_row_that_outlives_every_process(rule, door_client):
    House.current().set_lockdown(True)

    assert House.objects.values_list("pk", "lockdown").get() == (1, True)
    assert ask(door_client) == "lockdown"


def test_a_card_and_a_door_of_different_states_are_read_again_together(rule, door, monkeypatch):
    """After its certificate was looked up a door is moved out of a zone, and a rule comes to be
    for that zone: neither before nor after may anybody enter."""
    Rule.objects.update(zone=Zone.objects.create(name="cellar"))
    known = patiently(lambda: identify(b"door certificate", timezone.now()))
    with transaction.atomic():
        rule.zone.devices.clear()
        Rule.objects.update(zone=rule.zone)
    if settings.EMBEDDED:  # within a test's one transaction it is all one state
        monkeypatch.setattr(snapshot, "_mark", lambda: "another")
    known.answer_by = 0.0

    answer = patiently(lambda: check_access(known, ANNA_UID))

    assert str(answer.decision.reason) == "no_rule"
