"""The house's clock: while it stands before the newest record, schedules grant nothing."""

import datetime as dt
import uuid

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import clock
from access.clock import Evidence, Watch
from access.models import AccessLog
from policies.models import Device, Presence, Rule, Schedule, ScheduleWindow
from tests.conftest import ANNA_UID

HOUR, SECOND = dt.timedelta(hours=1), dt.timedelta(seconds=1)
NOW = dt.datetime(2026, 11, 23, 7, 37, tzinfo=dt.UTC)
MEANWHILE = "Until that is settled, visits and rules with a schedule let nobody in; others go on."


def record(at: dt.datetime) -> AccessLog:
    return AccessLog.objects.create(
        log_id=uuid.uuid4(),
        timestamp=at,
        device_id="front-door",
        card_uid=ANNA_UID,
        granted=False,
        reason="no_rule",
        latency_ms=1,
    )


def hear(device: Device, at: dt.datetime) -> None:
    Presence.objects.create(
        device=device, last_seen=at, rhythm_seconds=60, silent_after=at + HOUR, online=True
    )


def ask(door_client) -> str:
    return door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).json()["reason"]


@pytest.fixture
def _at_eight(time_machine) -> None:
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def by_schedule(annas_card) -> Rule:
    """The one rule has a schedule, which holds around the clock."""
    schedule = Schedule.objects.create(name="around the clock")
    ScheduleWindow.objects.create(schedule=schedule, starts_at=dt.time(0), ends_at=dt.time(0))
    Rule.objects.update(schedule=schedule)
    return Rule.objects.get()


@pytest.fixture
def watch(monkeypatch) -> Watch:
    """That of a process that answers doors, without its thread."""
    own = Watch()
    own.is_on = True
    monkeypatch.setattr(clock, "watch", own)
    return own


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [
        (-HOUR, "granted"),
        (0 * SECOND, "granted"),
        (3 * SECOND, "granted"),  # hosts are never quite of one mind
        (10 * SECOND, "outside_schedule"),
        (HOUR, "outside_schedule"),
        (9000 * HOUR, "outside_schedule"),
    ],
)
def test_schedules_grant_nothing_before_the_newest_entry(door_client, by_schedule, ahead, reason):
    record(timezone.now() - HOUR)
    record(timezone.now() + ahead)

    assert ask(door_client) == reason


def test_a_device_that_was_heard_later_is_a_record_too(door_client, by_schedule, sensor):
    hear(sensor, timezone.now() + HOUR)

    assert ask(door_client) == "outside_schedule"


def test_rules_that_always_hold_go_on(door_client, by_schedule):
    record(timezone.now() + HOUR)
    Rule.objects.create(name="residents", every_door=True)

    assert ask(door_client) == "granted"
    assert AccessLog.objects.latest("number").rule == "residents"


@pytest.mark.usefixtures("_at_eight")
def test_a_house_without_a_record_believes_its_clock(db):
    assert (clock.is_right(NOW), clock.problem(NOW)) == (True, "")


def test_it_is_said_in_plain_words(nobody, viewer, settings, time_machine):
    settings.TIME_ZONE = "Europe/Berlin"
    time_machine.move_to(NOW, tick=False)
    before = nobody.get("/health").json(), viewer.get("/").content.decode()
    record(NOW + HOUR)

    answer, page = nobody.get("/health"), viewer.get("/").content.decode()

    sentence = "The clock shows 2026-11-23 08:37:00, but the newest record is of 2026-11-23 09:37"
    assert "reason" not in before[0]
    assert "clock-problem" not in before[1]
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["reason"] == f"{sentence}:00. {MEANWHILE}"
    assert sentence in page


def test_somebody_may_say_that_it_is_right(door_client, by_schedule, sensor, capsys):
    """It stood in the future for a while, and left records there for years."""
    record(timezone.now() + 9000 * HOUR)
    hear(sensor, timezone.now() + 9000 * HOUR)
    before = ask(door_client)

    call_command("confirm_clock")

    assert (before, ask(door_client)) == ("outside_schedule", "granted")
    assert capsys.readouterr().out.endswith(" is taken for right.\n")
    assert Presence.objects.get().last_seen <= timezone.now()
    record(timezone.now() + HOUR)
    assert ask(door_client) == "outside_schedule"  # what came afterwards counts


def test_who_watches_asks_the_database_nothing(door_client, by_schedule, watch):
    ask(door_client)
    watch.look()

    with CaptureQueriesContext(connection) as queries:
        assert ask(door_client) == "granted"

    asked = " ".join(query["sql"] for query in queries)
    assert "SELECT" in asked
    assert "clock_confirmed" not in asked


@pytest.mark.usefixtures("_at_eight")
def test_who_watches_keeps_what_it_records_and_learns_what_others_do(db, watch):
    watch.look()
    right = [clock.is_right(NOW)]

    watch.recorded(NOW + HOUR)
    watch.recorded(NOW)
    right += [clock.is_right(NOW), clock.is_right(NOW + HOUR)]
    record(NOW + 2 * HOUR)
    watch.look()
    right += [clock.is_right(NOW + HOUR), clock.is_right(NOW + 2 * HOUR)]

    assert right == [True, False, True, False, True]


@pytest.mark.usefixtures("_at_eight")
def test_a_clock_that_is_set_back_is_not_believed_until_somebody_has_looked(
    db, watch, time_machine
):
    watch.look()
    time_machine.move_to(NOW - HOUR, tick=False)
    at_once = clock.is_right(timezone.now())

    watch.look()

    assert at_once is False
    assert clock.is_right(timezone.now())  # there is no record that it stands before


def test_a_confirmed_clock_ends_what_a_process_knew(db, watch):
    watch.look()
    watch.recorded(timezone.now() + HOUR)
    record(timezone.now() + HOUR)
    before = clock.is_right(timezone.now())

    call_command("confirm_clock")
    watch.look()

    assert (before, clock.is_right(timezone.now())) == (False, True)


def test_without_the_database_what_is_known_stays(db, watch, monkeypatch):
    watch.look()
    watch.recorded(NOW)

    def away() -> Evidence:
        raise DatabaseError("away")

    monkeypatch.setattr(Evidence, "read", away)
    watch.look()

    assert (clock.is_right(NOW - HOUR), clock.is_right(NOW + 9000 * HOUR)) == (False, True)


def test_a_process_that_has_never_seen_the_database_judges_by_no_schedule(watch):
    assert clock.is_right(NOW) is False
    assert clock.problem(NOW) == (
        f"Whether the clock is right is not known while the database is away. {MEANWHILE}"
    )


def test_a_process_that_answers_doors_looks_again_and_again(db, watch, monkeypatch):
    looks = []
    monkeypatch.setattr(watch, "look", lambda: looks.append(1))
    monkeypatch.setattr(watch, "_keep_looking", lambda: looks.append(2))

    watch.start()

    assert 1 in looks
