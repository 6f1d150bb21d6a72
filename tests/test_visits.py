"""Visitors: let in during a visit, at most so many times, and never once more."""

import datetime as dt
import sqlite3
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import store
from access.decision import decide
from access.models import AccessLog
from policies.models import Card, Device, Door, Visit, VisitEntry
from policies.moments import to_microseconds
from policies.rules import CardStatus, Credential, DoorState, RuleScope, VisitState, VisitTerms
from realtime import quota, streams
from realtime.worker import Worker
from tests.conftest import ANNA_UID, certify, device_client

CHECK = "/api/access/check"
EVENT = "0190f3b2-7c1e-4d3a-9b1e-2f3c4d5e6f70"
SPARE_UID = "04:A3:2B:F2:1C:81"
NOW = dt.datetime(2026, 11, 23, 7, 37, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)

production = pytest.mark.skipif(settings.EMBEDDED, reason="needs Redis: the production pass has it")
embedded = pytest.mark.skipif(not settings.EMBEDDED, reason="of one process and SQLite")


def terms(start=-1, end=1, most=None, used=0):
    """A visit from so many hours after NOW until so many, with entries used."""
    entries = frozenset(f"entry {number}" for number in range(used))
    return VisitTerms("a", NOW + start * HOUR, NOW + end * HOUR, most, entries, NOW)


EVERYWHERE = RuleScope("everywhere", doors=None)
PLUMBER = Credential(
    uid=ANNA_UID,
    holder="Plumber",
    status=CardStatus.ACTIVE,
    holder_active=True,
    valid_from=None,
    valid_until=None,
    rules=(EVERYWHERE,),
)
DOOR = DoorState("front-door", switched_on=True)
LATER, EARLIER = terms(start=2, end=3), terms(start=-3, end=-2)


@pytest.mark.parametrize(
    ("visits", "reason"),
    [
        (None, "granted"),  # no visitor
        ((), "expired"),  # all long ago
        ((terms(),), "granted"),
        ((terms(start=0),), "granted"),  # begins now
        ((terms(end=0),), "expired"),  # half-open
        ((LATER,), "not_yet_valid"),
        ((EARLIER,), "expired"),
        ((EARLIER, LATER), "not_yet_valid"),
        ((terms(start=2, end=2),), "expired"),  # was ended before it began
        ((terms(most=2, used=1),), "granted"),
        ((terms(most=2, used=2),), "expired"),
        ((terms(most=2, used=3),), "expired"),
        ((terms(most=2, used=2), LATER), "not_yet_valid"),
        ((terms(most=2, used=2), terms(start=2, end=3, most=1, used=1)), "expired"),
        ((terms(most=2, used=2), terms(most=1)), "granted"),
    ],
)
def test_a_visitor_passes_during_a_visit_that_has_entries_left(visits, reason):
    assert decide(replace(PLUMBER, visits=visits), DOOR, NOW).reason == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": CardStatus.BLOCKED}, "card_blocked"),
        ({"holder_active": False}, "card_inactive"),
        ({"valid_from": NOW + HOUR}, "not_yet_valid"),
        ({"valid_until": NOW}, "expired"),
        ({"rules": ()}, "no_rule"),
    ],
)
def test_everything_else_holds_for_a_visitor_as_well(change, reason):
    assert decide(replace(PLUMBER, visits=(terms(),), **change), DOOR, NOW).reason == reason


def test_used_up_comes_before_what_the_door_says():
    used_up = replace(PLUMBER, visits=(terms(most=1, used=1),), rules=())

    assert decide(used_up, DoorState("x", switched_on=False), NOW).reason == "expired"


def test_while_the_clock_is_not_trusted_visits_grant_nothing():
    visitor = replace(PLUMBER, visits=(terms(),))

    assert decide(visitor, DOOR, NOW, clock_trusted=False).reason == "outside_schedule"
    assert decide(PLUMBER, DOOR, NOW, clock_trusted=False).reason == "granted"


def test_an_entry_is_taken_from_counted_visits_only_when_no_other_lets_in():
    counted, free, over = terms(most=2), terms(), terms(end=0, most=2)

    assert replace(PLUMBER, visits=(counted, over)).counted_at(NOW) == (counted,)
    assert replace(PLUMBER, visits=(counted, free)).counted_at(NOW) == ()
    assert PLUMBER.counted_at(NOW) == ()


@pytest.fixture
def visit(annas_card):
    """Anna's card is admitted for an hour around now, twice."""
    now = timezone.now()
    return Visit.objects.create(
        card=annas_card, starts_at=now - HOUR, ends_at=now + HOUR, max_entries=2
    )


def ask(client, uid=ANNA_UID, **members):
    """The answer to a scan, which a door sends again until it has one."""
    body = {"card_uid": uid, "event_id": str(uuid.uuid4())} | members
    for _ in range(50):
        answer = client.send("POST", CHECK, body)
        if answer.status_code != 503:
            break
        time.sleep(0.02)
    assert answer.status_code == 200, answer.content
    return answer.json()


def reasons(client, count, **members):
    return [ask(client, **members)["reason"] for _ in range(count)]


def test_so_many_entries_and_no_more(door_client, visit):
    told = reasons(door_client, 2) + reasons(door_client, 2, event_id=None)

    granted = AccessLog.objects.filter(granted=True).values_list("log_id", flat=True)
    assert told == ["granted", "granted", "expired", "expired"]
    assert AccessLog.objects.count() == 4
    assert set(visit.entries.values_list("pk", flat=True)) == set(granted)


def test_a_refused_scan_is_no_entry(door_client, visit):
    Door.objects.update(switched_on=False)
    refused = reasons(door_client, 3)
    Door.objects.update(switched_on=True)

    assert refused == ["door_disabled"] * 3
    assert reasons(door_client, 3) == ["granted", "granted", "expired"]


def test_the_visit_of_a_person_counts_the_entries_of_all_cards(door_client, anna, visit):
    Card.objects.create(uid=SPARE_UID, person=anna)
    visit.card, visit.person = None, anna
    visit.save()

    told = [ask(door_client, uid)["reason"] for uid in (ANNA_UID, SPARE_UID, ANNA_UID, SPARE_UID)]

    assert told == ["granted", "granted", "expired", "expired"]


def test_the_visit_of_a_card_says_nothing_of_other_cards(door_client, anna, visit):
    Card.objects.create(uid=SPARE_UID, person=anna)

    assert reasons(door_client, 3) == ["granted", "granted", "expired"]
    assert reasons(door_client, 3, uid=SPARE_UID) == ["granted"] * 3


def test_of_two_visits_the_one_that_ends_first_is_used_up_first(door_client, annas_card, visit):
    longer = Visit.objects.create(card=annas_card, ends_at=visit.ends_at + HOUR, max_entries=1)
    first = reasons(door_client, 1)
    used = longer.entries.count(), visit.entries.count()

    assert (first, used) == (["granted"], (0, 1))
    assert reasons(door_client, 3) == ["granted", "granted", "expired"]


def test_a_scan_that_is_sent_again_is_the_same_entry(door_client, visit):
    first = [ask(door_client, event_id=EVENT) for _ in range(2)]
    others = reasons(door_client, 2)
    again = ask(door_client, event_id=EVENT)

    assert others == ["granted", "expired"]
    assert [answer["granted"] for answer in [*first, again]] == [True] * 3
    assert len({answer["access_log_id"] for answer in [*first, again]}) == 1
    assert AccessLog.objects.filter(granted=True).count() == visit.entries.count() == 2


def test_a_scan_that_was_refused_may_be_sent_again_and_stays_refused(door_client, visit):
    reasons(door_client, 2)

    told = [ask(door_client, event_id=EVENT) for _ in range(2)]

    assert [answer["reason"] for answer in told] == ["expired"] * 2
    assert told[0]["access_log_id"] == told[1]["access_log_id"]


@pytest.mark.parametrize(
    ("start", "end", "most", "reason"),
    [(24, 25, 3, "not_yet_valid"), (-30, -29, 3, "expired"), (-1, 1, None, "granted")],
)
def test_a_change_of_a_visit_holds_for_the_next_check(door_client, visit, start, end, most, reason):
    reasons(door_client, 2)
    now = timezone.now()

    Visit.objects.update(starts_at=now + start * HOUR, ends_at=now + end * HOUR, max_entries=most)

    assert reasons(door_client, 1) == [reason]


def test_more_entries_go_on_from_those_that_were_used(door_client, visit):
    reasons(door_client, 3)
    visit.max_entries = 3
    visit.save()

    assert reasons(door_client, 2) == ["granted", "expired"]


def test_who_was_ended_stays_a_visitor_and_without_any_visit_is_none(door_client, visit):
    visit.end()
    ended = reasons(door_client, 1)
    last = visit.is_only()
    visit.delete()

    assert (ended, last) == (["expired"], True)
    assert reasons(door_client, 3) == ["granted"] * 3


def test_a_visit_that_was_ended_before_it_began_admits_nobody(door_client, visit):
    visit.starts_at, visit.ends_at = timezone.now() + HOUR, timezone.now() + 2 * HOUR
    visit.save()
    visit.end()

    assert visit.starts_at == visit.ends_at
    assert reasons(door_client, 1) == ["expired"]


def test_an_entry_that_is_delivered_twice_is_one(door_client, visit):
    row = ask(door_client)
    log = AccessLog.objects.get()
    names = ("device_id", "device_name", "card_uid", "user_name", "granted", "reason", "rule")
    entry = {name: getattr(log, name) for name in names} | {
        "id": row["access_log_id"],
        "timestamp": log.timestamp.isoformat(),
        "latency_ms": 1.0,
        "visit": str(visit.pk),
    }

    for _ in range(2):
        store.write([entry])

    assert (AccessLog.objects.count(), VisitEntry.objects.count()) == (1, 1)


def test_a_visit_that_was_deleted_on_the_way_costs_no_record(door_client, visit):
    VisitEntry.objects.keep(
        [VisitEntry(id=uuid.uuid4(), visit_id=uuid.uuid4(), entered_at=timezone.now())]
    )

    assert VisitEntry.objects.count() == 1


def queries_of_a_look_up():
    with CaptureQueriesContext(connection) as queries:
        credential = Card.objects.find_credential(ANNA_UID)
    return len(queries), credential


def test_who_is_no_visitor_pays_nothing(annas_card):
    ordinary, credential = queries_of_a_look_up()
    Visit.objects.create(card=annas_card, ends_at=timezone.now() + HOUR)
    visitor, with_visits = queries_of_a_look_up()

    assert (credential.visits, len(with_visits.visits)) == (None, 1)
    assert visitor == ordinary + 1


def test_entries_of_any_number_are_not_counted(door_client, visit):
    Visit.objects.update(max_entries=None)

    assert reasons(door_client, 3) == ["granted"] * 3
    assert not VisitEntry.objects.exists()


def test_what_is_long_over_is_left_out_and_still_makes_a_visitor(annas_card):
    at = timezone.now() - dt.timedelta(days=3)
    Visit.objects.create(card=annas_card, starts_at=at, ends_at=at + HOUR)

    assert Card.objects.find_credential(ANNA_UID).visits == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"card": None},
        {"person": "anna"},
        {"starts_at": NOW, "ends_at": NOW - HOUR},
        {"max_entries": 0},
        {"max_entries": 1001},
    ],
)
def test_the_database_keeps_no_visit_that_makes_no_sense(anna, visit, wrong):
    values = wrong | {"person": anna} if "person" in wrong else wrong
    for name, value in values.items():
        setattr(visit, name, value)

    with pytest.raises(ValidationError):
        visit.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        visit.save()


@pytest.mark.parametrize(
    ("start", "end", "most", "used", "since", "state"),
    [
        (-1, 1, 2, 0, 0, VisitState.RUNNING),
        (-1, 1, 2, 2, 0, VisitState.USED_UP),
        (-1, 1, None, 9, 0, VisitState.RUNNING),
        (1, 2, 2, 0, 0, VisitState.TO_COME),
        (-2, -1, 2, 0, 0, VisitState.OVER),
        (-2, -1, 2, 2, 0, VisitState.OVER),
        (-1, 1, 2, 0, 2**53, VisitState.COUNT_LOST),
        (-1, 1, None, 0, 2**53, VisitState.RUNNING),
        (-1, 1, 2, 0, None, VisitState.RUNNING),
    ],
)
def test_a_visit_says_how_far_it_has_got(start, end, most, used, since, state):
    visit = Visit(
        starts_at=NOW + start * HOUR, ends_at=NOW + end * HOUR, max_entries=most, saved_at=NOW
    )
    visit.used, visit.counted_since = used, since

    assert visit.state(NOW) == state


@pytest.fixture
def two_doors(door):
    """Clients of two doors of the house."""
    garage = Device.objects.create(device_id="garage", kind="door")
    Door.objects.create(device=garage)
    certify(garage, b"garage certificate")
    return [b"door certificate", b"garage certificate"]


@pytest.fixture
def everybody(tmp_path, monkeypatch):
    """Threads with connections of their own; embedded to a file, as `serve` has one: in memory,
    SQLite does not wait for a lock."""
    with ThreadPoolExecutor(4) as threads:
        if connection.vendor == "sqlite":
            path = str(tmp_path / "house.sqlite3")
            with sqlite3.connect(path) as copy:
                connection.connection.backup(copy)
            copy.close()
            monkeypatch.setitem(settings.DATABASES["default"], "NAME", path)
        yield threads
        together = threading.Barrier(4)

        def leave(_):
            together.wait(5)  # so that each of them does
            connections.close_all()

        list(threads.map(leave, range(4)))


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.undrained
def test_of_many_scans_at_two_doors_at_once_so_many_are_entries(two_doors, visit, limit, everybody):
    limit("check", "0")

    def scan(number):
        if number % 8 == 7 and not settings.EMBEDDED:
            Worker(f"tested-{number}").drain()
        return ask(device_client(two_doors[number % 2]))["reason"]

    told = list(everybody.map(scan, range(24)))

    assert sorted(told) == ["expired"] * 22 + ["granted"] * 2


def redis():
    return streams.connect(5.0)


@pytest.fixture
def worker():
    return Worker("tested")


@production
@pytest.mark.django_db
@pytest.mark.undrained
def test_a_worker_that_is_behind_changes_nothing(door_client, visit, worker):
    told = reasons(door_client, 3)
    nothing_stored = visit.entries.count()
    worker.drain()

    assert told == ["granted", "granted", "expired"]
    assert (nothing_stored, visit.entries.count()) == (0, 2)
    assert reasons(door_client, 1) == ["expired"]


@production
@pytest.mark.django_db
@pytest.mark.undrained
def test_a_scan_that_is_sent_again_before_it_is_stored_is_the_same_entry(
    door_client, visit, worker
):
    told = [ask(door_client, event_id=EVENT)["granted"] for _ in range(3)]
    others = reasons(door_client, 2)
    worker.drain()

    assert (told, others) == ([True] * 3, ["granted", "expired"])
    assert AccessLog.objects.filter(granted=True).count() == visit.entries.count() == 2


@production
def test_a_count_that_redis_has_lost_is_read_from_the_database(door_client, visit):
    first = ask(door_client, event_id=EVENT)
    redis().delete(f"quota:{visit.pk}")

    again = ask(door_client, event_id=EVENT)

    assert again == first
    assert reasons(door_client, 2) == ["granted", "expired"]


@production
@pytest.mark.django_db
@pytest.mark.undrained
def test_when_redis_has_lost_everything_nobody_can_count_and_the_door_stays_shut(
    door_client, visit, caplog
):
    lost = reasons(door_client, 1)
    redis().flushdb()

    assert (lost, reasons(door_client, 3)) == (["granted"], ["expired"] * 3)
    assert f"has lost its memory since this was begun: {visit.pk}" in caplog.text
    assert Visit.objects.with_state().get().state(timezone.now()) == VisitState.COUNT_LOST


@production
def test_whoever_saves_a_visit_after_a_loss_says_that_the_database_is_right(door_client, visit):
    reasons(door_client, 1)
    redis().flushdb()
    closed = reasons(door_client, 1)

    visit.save()

    assert closed == ["expired"]
    assert reasons(door_client, 2) == ["granted", "expired"]


@production
def test_a_visit_that_begins_after_a_loss_is_not_touched_by_it(door_client, visit):
    now = timezone.now()
    redis().set(quota.SINCE, to_microseconds(now - 2 * HOUR))
    Visit.objects.update(starts_at=now - HOUR, saved_at=now - 3 * HOUR)

    assert reasons(door_client, 3) == ["granted", "granted", "expired"]


@production
def test_a_memory_that_began_by_a_wrong_clock_does_not_keep_everybody_out(door_client, visit):
    redis().set(quota.SINCE, to_microseconds(timezone.now() + 365 * 24 * HOUR))
    closed = reasons(door_client, 1)
    visit.save()

    assert closed == ["expired"]
    assert reasons(door_client, 3) == ["granted", "granted", "expired"]


@production
def test_a_record_that_is_not_taken_is_no_grant(door_client, visit, redis_full):
    answer = door_client.send("POST", CHECK, {"card_uid": ANNA_UID})

    assert answer.status_code == 503
    assert not AccessLog.objects.exists()


@pytest.fixture
def redis_full():
    client = redis()
    before = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", "1")
    yield
    client.config_set("maxmemory", before)


@production
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.undrained
def test_the_cache_forgets_when_an_entry_is_stored(door_client, visit, worker):
    reasons(door_client, 2)
    worker.drain()

    redis().delete(f"quota:{visit.pk}")

    assert reasons(door_client, 1) == ["expired"]
