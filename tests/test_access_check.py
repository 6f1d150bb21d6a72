"""A door asks whether a card opens it."""

import datetime as dt
import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.check import cut
from access.models import AccessLog
from policies.models import Card, Certificate, Device, Door, Person, Rule
from tests.conftest import ANNA_UID, JsonClient, device_client

CHECK = "/api/access/check"
EVENT = "0190f3b2-7c1e-4d3a-9b1e-2f3c4d5e6f70"
NOW = dt.datetime(2026, 11, 23, 7, 37, 1, 542_000, tzinfo=dt.UTC)


def check(client: JsonClient, **members):
    return client.send("POST", CHECK, {"card_uid": ANNA_UID} | members)


def test_a_card_on_the_list_opens(door_client, annas_card):
    answer = check(door_client)

    log = AccessLog.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "granted": True,
        "reason": "granted",
        "card_uid": ANNA_UID,
        "device_id": "front-door",
        "user_name": "Anna",
        "expires_at": None,
        "access_log_id": str(log.log_id),
    }


def test_an_unknown_card_is_answered_and_recorded(door_client):
    answer = check(door_client, card_uid="04-11-22-33")

    log = AccessLog.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "granted": False,
        "reason": "unknown_card",
        "card_uid": "04:11:22:33",
        "device_id": "front-door",
        "access_log_id": str(log.log_id),
    }
    assert (log.card_uid, log.user_name, log.granted) == ("04:11:22:33", "", False)


def test_the_row_keeps_what_was_true_then(door_client, annas_card, time_machine):
    at = timezone.now().replace(microsecond=0)  # its certificate is of today
    time_machine.move_to(at, tick=False)
    check(door_client)

    Device.objects.update(name="renamed")
    Person.objects.update(name="renamed")

    log = AccessLog.objects.get()
    assert (log.timestamp, log.device_id, log.device_name) == (at, "front-door", "front door")
    assert (log.user_name, log.rule) == ("Anna", "everyone, every door, always")
    assert log.latency_ms >= 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda: Card.objects.update(status="blocked"), "card_blocked"),
        (lambda: Card.objects.update(status="inactive"), "card_inactive"),
        (lambda: Person.objects.update(active=False), "card_inactive"),
        (lambda: Card.objects.update(valid_from=timezone.now() + dt.timedelta(1)), "not_yet_valid"),
        (lambda: Card.objects.update(valid_until=timezone.now()), "expired"),
        (lambda: Person.objects.update(valid_until=timezone.now()), "expired"),
        (lambda: Door.objects.update(switched_on=False), "door_disabled"),
        (lambda: Rule.objects.all().delete(), "no_rule"),
    ],
)
def test_every_refusal_is_an_answer_with_its_reason(door_client, annas_card, spoil, reason):
    spoil()

    answer = check(door_client)

    log = AccessLog.objects.get()
    assert answer.status_code == 200
    assert answer.json().keys() == {"granted", "reason", "card_uid", "device_id", "access_log_id"}
    assert (answer.json()["granted"], answer.json()["reason"]) == (False, reason)
    assert (log.granted, log.reason, log.user_name) == (False, reason, "Anna")


def test_a_blocked_card_raises_an_alert(door_client, annas_card, caplog):
    annas_card.block()

    check(door_client)

    assert "blocked card 04:A3:2B:F2:1C:80 presented at front-door" in caplog.text


@pytest.mark.parametrize(
    ("card", "person", "told"),
    [
        (None, None, None),
        ("2030-01-01", None, "2030-01-01T00:00:00.000Z"),
        (None, "2029-01-01", "2029-01-01T00:00:00.000Z"),
        ("2030-01-01", "2029-01-01", "2029-01-01T00:00:00.000Z"),
    ],
)
def test_the_earlier_end_of_card_and_person_is_told(door_client, annas_card, card, person, told):
    def midnight(day):
        return day and dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)

    Card.objects.update(valid_until=midnight(card))
    Person.objects.update(valid_until=midnight(person))

    assert check(door_client).json()["expires_at"] == told


@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        "2026-11-23T07:37:01Z",
        "2019-01-01T00:00:00Z",
        "T+00h00m12s",
        "An\0na",
        "",
        0,
        -1e300,
        True,
        [],
        {"a": [1]},
    ],
)
def test_the_doors_own_time_decides_nothing(door_client, annas_card, time_machine, timestamp):
    time_machine.move_to(timezone.now(), tick=False)

    answer = check(door_client, timestamp=timestamp)

    assert answer.json()["granted"] is True
    assert abs(AccessLog.objects.get().timestamp - timezone.now()) < dt.timedelta(seconds=1)


def test_the_field_firmwares_own_members_are_ignored(door_client, annas_card):
    answer = check(door_client, device_id="front-door", room="hall", fan_on=True, relays=[1, 0])

    assert answer.json()["granted"] is True


def test_a_repeat_with_the_same_decision_is_the_same_row(door_client, annas_card):
    first = check(door_client, event_id=EVENT).json()

    second = check(door_client, event_id=EVENT.upper()).json()

    assert first["access_log_id"] == second["access_log_id"]
    assert uuid.UUID(first["access_log_id"]).version == 5
    assert AccessLog.objects.count() == 1


def test_a_repeat_is_decided_anew_and_another_decision_is_another_row(door_client, annas_card):
    first = check(door_client, event_id=EVENT).json()
    annas_card.revoke()

    second = check(door_client, event_id=EVENT).json()

    assert (first["granted"], second["granted"]) == (True, False)
    assert first["access_log_id"] != second["access_log_id"]
    assert AccessLog.objects.count() == 2


def test_one_event_id_of_two_doors_makes_two_rows(door_client, annas_card):
    other = Device.objects.create(device_id="garage", kind="door")
    Door.objects.create(device=other)
    Certificate.objects.filter(device="front-door").update(device=other)
    ids = [check(door_client, event_id=EVENT).json()["access_log_id"]]
    Certificate.objects.filter(device=other).update(device="front-door")

    ids.append(check(door_client, event_id=EVENT).json()["access_log_id"])

    assert len(set(ids)) == 2


def test_without_an_event_id_every_check_has_its_row(door_client, annas_card):
    ids = [check(door_client).json()["access_log_id"] for _ in range(2)]

    assert len(set(ids)) == 2
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert AccessLog.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "members", "status", "code"),
    [
        ({}, {"device_id": "garage"}, 403, "AUTHORIZATION_ERROR"),
        ({"revoked_at": NOW}, {}, 403, "AUTHORIZATION_ERROR"),
        ({"not_after": NOW}, {}, 401, "AUTHENTICATION_ERROR"),
        ({"not_before": NOW + dt.timedelta(seconds=1)}, {}, 401, "AUTHENTICATION_ERROR"),
        ({"fingerprint": "0" * 64}, {}, 401, "AUTHENTICATION_ERROR"),
    ],
)
def test_only_a_good_certificate_of_that_door_may_ask(
    door_client, annas_card, time_machine, change, members, status, code
):
    time_machine.move_to(NOW, tick=False)
    Certificate.objects.update(**{"not_before": NOW, "not_after": NOW + dt.timedelta(1)} | change)

    answer = check(door_client, **members)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert not AccessLog.objects.exists()


@pytest.mark.parametrize(
    ("client", "status"),
    [
        (device_client(b"unknown certificate"), 401),
        (device_client(b""), 401),
        (JsonClient(), 401),
        (JsonClient(**{"smarthome.face": "device"}), 401),
    ],
)
def test_without_a_certificate_nobody_is_answered(door, annas_card, client, status):
    answer = check(client)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "AUTHENTICATION_ERROR"


def test_a_sensor_may_not_ask(sensor_client, annas_card):
    assert check(sensor_client).status_code == 403


def test_a_suspended_door_may_not_ask(door_client, annas_card):
    Device.objects.update(enabled=False)

    assert check(door_client).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b'{"card_uid": "04:A3:2B:F2", "card_uid": "04:A3:2B:F3"}', 400),
        (b'{"card_uid": NaN}', 400),
        (b'{"card_uid": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
        (b'{"a": ' * 9 + b"1" + b"}" * 9, 400),
        (b"{}", 422),
        (b'{"card_uid": null}', 422),
        (b'{"card_uid": 4}', 422),
        (b'{"card_uid": "04:A3"}', 422),
        (b'{"card_uid": "04:A3:2B:F2\\u0000"}', 422),
        (b'{"card_uid": "\\ud800"}', 422),
        (b'{"card_uid": "04:A3:2B:F2", "event_id": "5"}', 422),
        (b'{"card_uid": "04:A3:2B:F2", "event_id": 5}', 422),
        (b'{"card_uid": "04:A3:2B:F2", "device_id": 5}', 422),
        (b'{"card_uid": "04:A3:2B:F2", "device_id": "front-door\\u0000"}', 422),
    ],
)
def test_a_wrong_body_is_an_error_in_our_shape_and_leaves_no_row(door_client, body, status):
    answer = door_client.send("POST", CHECK, body)

    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"code", "message", "details"}
    assert not AccessLog.objects.exists()


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [("GET", "application/json", 405), ("POST", "text/plain", 415), ("PUT", "text/plain", 405)],
)
def test_another_method_or_type_is_refused(door_client, method, content_type, status):
    answer = door_client.send(method, CHECK, b'{"card_uid": "04:A3"}', content_type=content_type)

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Anna", "Anna"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 64),
        ("x" * 63 + "ü", "x" * 63),  # not half a letter
        ("ü" * 40, "ü" * 32),
        ("🔑" * 20, "🔑" * 16),
        ("日本" * 20, "日本" * 10 + "日"),
    ],
)
def test_a_long_name_is_cut_between_characters(name, told):
    assert cut(name, 64) == told
    assert len(told.encode()) <= 64


def pool_bytes(reply: dict) -> int:
    """What a reply takes in the doors' ArduinoJson pool, by the contract's formula."""
    texts = [*reply, *(value for value in reply.values() if isinstance(value, str))]
    return 16 * len(reply) + sum(len(text.encode()) + 1 for text in texts)


def test_the_longest_reply_fits_the_doors_memory(door, door_client, annas_card):
    longest_uid = ":".join(["FF"] * 10)
    long_named = Device.objects.create(device_id="d" * 50, kind="door")
    Door.objects.create(device=long_named)
    Certificate.objects.update(device=long_named)
    Person.objects.update(
        name="日" * 200, valid_until=dt.datetime(9998, 12, 31, 23, 59, tzinfo=dt.UTC)
    )
    Card.objects.update(uid=longest_uid)

    answer = check(door_client, card_uid=longest_uid)

    assert answer.json()["granted"] is True
    assert pool_bytes(answer.json()) <= 512
    assert AccessLog.objects.get().user_name == "日" * 200


def test_the_reply_is_plain_json_of_known_length(door_client, annas_card):
    answer = check(door_client)

    assert answer["Content-Type"].startswith("application/json")
    assert json.loads(answer.content) == answer.json()
    assert "Content-Encoding" not in answer


def test_an_odd_accept_header_changes_nothing(door_client, annas_card):
    answer = door_client.send(
        "POST", CHECK, {"card_uid": ANNA_UID}, headers={"accept": "text/html"}
    )

    assert answer.status_code == 200


def test_no_record_no_answer(door_client, annas_card, nothing_is_recorded):
    answer = check(door_client)

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert answer["Retry-After"] == "1"
    assert "granted" not in answer.content.decode()
    assert "disk" not in answer.content.decode()


def queries_of_a_check(client: JsonClient) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert check(client).json()["granted"] is True
    return [query["sql"] for query in queries]


def test_a_check_costs_the_same_for_one_rule_and_for_ten(door_client, annas_card):
    with_one = queries_of_a_check(door_client)
    for number in range(10):
        Rule.objects.create(name=f"rule {number}", every_door=True)

    with_ten = queries_of_a_check(door_client)

    before_the_record = [sql.startswith(("SELECT", "PRAGMA")) for sql in with_one].index(False)
    # The policies' state; certificate and door; its zones; the house.
    # The policies' state; card and person; their groups; rules, which name no doors.
    assert before_the_record == 4 + 4
    assert len(with_ten) == len(with_one)
