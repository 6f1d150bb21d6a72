"""People manage cards by API."""

import threading

import pytest
from django.db import connection

from policies.models import Card, Person
from tests.conftest import ANNA_UID, JsonClient

CARDS = "/api/policies/cards"
ANNAS = f"{CARDS}/{ANNA_UID}"
BENS_UID = "04:11:22:33"


def code_of(answer) -> str:
    return answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("body", "card"),
    [
        (
            {"card_uid": "04a32bf21c80", "user_name": " Anna Müller "},
            {"card_uid": ANNA_UID, "user_name": "Anna Müller", "expires_at": None, "active": True},
        ),
        (
            {
                "card_uid": ANNA_UID,
                "user_name": "Anna",
                "expires_at": "2026-12-24T18:00:00+01:00",
                "active": False,
            },
            {"expires_at": "2026-12-24T17:00:00.000Z", "active": False, "status": "inactive"},
        ),
        (
            {"card_uid": ANNA_UID, "user_name": "Anna", "expires_at": "1999-01-01T00:00:00Z"},
            {"expires_at": "1999-01-01T00:00:00.000Z", "status": "active"},
        ),
        (
            {"card_uid": ANNA_UID, "user_name": "Anna", "expires_at": None, "active": None},
            {"expires_at": None, "status": "active"},
        ),
        ({"card_uid": ANNA_UID, "user_name": "x" * 200, "room": 5}, {"user_name": "x" * 200}),
        ({"card_uid": ANNA_UID, "user_name": "🔑" * 200}, {"user_name": "🔑" * 200}),
        ({"card_uid": ANNA_UID, "user_name": "ﬃ" * 200}, {"user_name": "ﬃ" * 200}),  # folds to 600
    ],
)
def test_a_card_is_added(manager, body, card):
    answer = manager.send("POST", CARDS, body)

    assert answer.status_code == 201
    assert answer.json().items() >= card.items()
    assert answer.json().keys() == {
        "card_uid",
        "user_name",
        "added_at",
        "expires_at",
        "active",
        "status",
    }
    assert manager.send("GET", ANNAS).json() == answer.json()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"card_uid": None}, "card_uid"),
        ({"card_uid": "04:A3"}, "card_uid"),
        ({"card_uid": 4}, "card_uid"),
        ({"user_name": None}, "user_name"),
        ({"user_name": "   "}, "user_name"),
        ({"user_name": "x" * 201}, "user_name"),
        ({"user_name": "An\0na"}, "user_name"),
        ({"user_name": "An\ud800na"}, "user_name"),
        ({"user_name": ["Anna"]}, "user_name"),
        ({"user_name": "क़" * 200}, "user_name"),  # composed it is 400 characters
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2026-12-24T18:00:00"}, "expires_at"),
        ({"expires_at": 1_790_000_000}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),  # not a time in Tokyo
        ({"active": "true"}, "active"),
        ({"active": 1}, "active"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(manager, changed, field):
    answer = manager.send("POST", CARDS, {"card_uid": ANNA_UID, "user_name": "Anna"} | changed)

    assert answer.status_code == 422
    assert code_of(answer) == "VALIDATION_ERROR"
    assert answer.json()["error"]["details"].keys() == {field}
    assert not Card.objects.exists()
    assert not Person.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"card_uid": 1, "card_uid": 2}', b"\xff"])
def test_what_is_no_json_object_is_malformed(manager, body):
    answer = manager.send("POST", CARDS, body)

    assert answer.status_code == 400
    assert code_of(answer) == "MALFORMED_REQUEST"


def test_a_form_is_not_json(manager):
    answer = manager.send(
        "POST", CARDS, b"card_uid=1", content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 415


def test_a_method_that_is_not_there_is_said_to_be_so_without_a_body_too(manager):
    answer = manager.send("PUT", CARDS)

    assert answer.status_code == 405
    assert code_of(answer) == "METHOD_NOT_ALLOWED"


def test_a_known_name_in_any_case_gets_another_card(manager, annas_card):
    answer = manager.send("POST", CARDS, {"card_uid": BENS_UID, "user_name": "aNNA"})

    assert answer.json()["user_name"] == "Anna"
    assert Person.objects.get().cards.count() == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [("Jürgen", "JÜRGEN"), ("Jürgen", "Ju\u0308rgen"), ("Weiß", "WEISS"), ("Ada", " ada ")],
)
def test_one_person_a_name_however_it_is_typed(manager, first, second):
    manager.send("POST", CARDS, {"card_uid": ANNA_UID, "user_name": first})

    manager.send("POST", CARDS, {"card_uid": BENS_UID, "user_name": second})

    assert [person.name for person in Person.objects.all()] == [first]


def test_a_known_card_is_a_conflict_and_makes_no_person(manager, annas_card):
    answer = manager.send("POST", CARDS, {"card_uid": "04a32bf21c80", "user_name": "Ben"})

    assert answer.status_code == 409
    assert code_of(answer) == "CONFLICT"
    assert [person.name for person in Person.objects.all()] == ["Anna"]


def test_a_random_uid_warns(manager):
    random = manager.send("POST", CARDS, {"card_uid": "08:11:22:33", "user_name": "Anna"})
    fixed = manager.send("POST", CARDS, {"card_uid": ANNA_UID, "user_name": "Anna"})

    assert random.status_code == 201
    assert "random" in random.json()["warning"]
    assert "warning" not in fixed.json()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_who_add_one_card_at_once_get_one_card(client_of_role):
    clients = [client_of_role("manager"), client_of_role("owner")]
    ready, statuses = threading.Barrier(2), []

    def add(client: JsonClient) -> None:
        ready.wait()
        body = {"card_uid": ANNA_UID, "user_name": "Anna"}
        # SQLite in memory does not wait for a lock: 503, try again.
        while (answer := client.send("POST", CARDS, body)).status_code == 503:
            pass
        statuses.append(answer.status_code)
        connection.close()

    threads = [threading.Thread(target=add, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201, 409]
    assert Card.objects.count() == 1


@pytest.fixture
def three_cards(db):
    """Anna has two, Ben has one."""
    Card.objects.give("04:AA:BB:CC", "Anna Müller")
    Card.objects.give(ANNA_UID, "Anna Müller")
    Card.objects.give(BENS_UID, "ben")


@pytest.mark.parametrize(
    ("query", "count", "found"),
    [
        ("", 3, ["04:A3:2B:F2:1C:80", "04:AA:BB:CC", BENS_UID]),
        ("?limit=1", 3, ["04:A3:2B:F2:1C:80"]),
        ("?limit=1&offset=2", 3, [BENS_UID]),
        ("?offset=9", 3, []),
        ("?search=MÜLL", 2, ["04:A3:2B:F2:1C:80", "04:AA:BB:CC"]),
        ("?search=BEN", 1, [BENS_UID]),
        ("?search=04a32bf21c80", 1, [ANNA_UID]),
        ("?search=04-a3-2b-f2-1c-80", 1, [ANNA_UID]),
        ("?search=2b%20f2", 1, [ANNA_UID]),
        ("?search=112233", 1, [BENS_UID]),
        ("?search=", 3, ["04:A3:2B:F2:1C:80", "04:AA:BB:CC", BENS_UID]),
        ("?search=%25", 0, []),
        ("?search=nobody", 0, []),
        ("?unknown=1", 3, ["04:A3:2B:F2:1C:80", "04:AA:BB:CC", BENS_UID]),
    ],
)
def test_cards_are_listed_and_searched(operator, three_cards, query, count, found):
    answer = operator.send("GET", CARDS + query)

    assert answer.status_code == 200
    assert answer.json()["count"] == count
    assert [card["card_uid"] for card in answer.json()["cards"]] == found


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=", "offset=-1", "search=%00"]
)
def test_query_parameters_are_validated_like_fields(operator, query):
    answer = operator.send("GET", f"{CARDS}?{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]["details"].keys() == {query.partition("=")[0]}


def test_a_list_costs_the_same_for_any_number_of_cards(
    operator, three_cards, django_assert_num_queries
):
    with django_assert_num_queries(5):  # session, user, role, count, cards
        operator.send("GET", CARDS)


@pytest.mark.parametrize(
    "path", [ANNA_UID, "04a32bf21c80", "04-A3-2b-F2-1C-80", "04%20A3%202B%20F2%201C%2080"]
)
def test_a_path_takes_a_uid_in_any_way_of_writing(operator, annas_card, path):
    answer = operator.send("GET", f"{CARDS}/{path}")

    assert answer.status_code == 200
    assert answer.json()["card_uid"] == ANNA_UID


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [BENS_UID, "nonsense", "04:A3", "%00", "1"])
def test_an_unknown_card_is_not_found(manager, annas_card, method, path):
    body = {"active": False} if method == "PATCH" else None

    answer = manager.send(method, f"{CARDS}/{path}", body)

    assert answer.status_code == 404
    assert code_of(answer) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("active", {"active": False}, "inactive"),
        ("active", {"active": True}, "active"),
        ("inactive", {"active": True}, "active"),
        ("inactive", {"active": False}, "inactive"),
        ("active", {"status": "blocked"}, "blocked"),
        ("blocked", {"status": "active"}, "active"),
        ("blocked", {"status": "inactive"}, "inactive"),
        ("blocked", {"active": True, "status": "active"}, "active"),
        ("blocked", {"active": False}, "blocked"),  # the alert stays
        ("blocked", {"user_name": "Anna"}, "blocked"),
        ("active", {"active": None, "status": None, "user_name": None}, "active"),
        ("active", {}, "active"),
    ],
)
def test_the_status_of_a_card_is_changed(manager, annas_card, before, change, after):
    Card.objects.update(status=before)

    answer = manager.send("PATCH", ANNAS, change)

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["active"]) == (after, after == "active")
    assert Card.objects.get().status == after


def test_active_alone_does_not_open_a_blocked_card(manager, annas_card):
    Card.objects.update(status="blocked")

    answer = manager.send("PATCH", ANNAS, {"active": True, "user_name": "Ben"})

    assert answer.status_code == 409
    assert code_of(answer) == "CONFLICT"
    assert Card.objects.get().person.name == "Anna"
    assert not Person.objects.filter(name="Ben").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"status": "stolen"},
        {"status": True},
        {"status": []},
        {"active": "no"},
        {"active": True, "status": "inactive"},
        {"active": False, "status": "active"},
        {"user_name": ""},
        {"expires_at": "never"},
    ],
)
def test_a_wrong_change_changes_nothing(manager, annas_card, change):
    answer = manager.send("PATCH", ANNAS, {"user_name": "Ben"} | change)

    assert answer.status_code == 422
    assert Card.objects.get().person.name == "Anna"


def test_expiry_is_set_kept_and_cleared(manager, annas_card):
    times = [
        manager.send("PATCH", ANNAS, change).json()["expires_at"]
        for change in (
            {"expires_at": "2026-12-24T18:00:00Z"},
            {"active": True},
            {"expires_at": None},
        )
    ]

    assert times == ["2026-12-24T18:00:00.000Z", "2026-12-24T18:00:00.000Z", None]


def test_a_new_name_moves_the_card_and_renames_nobody(manager, annas_card):
    moved = manager.send("PATCH", ANNAS, {"user_name": "Ben"})
    back = manager.send("PATCH", ANNAS, {"user_name": "ANNA"})

    assert moved.json()["user_name"] == "Ben"
    assert back.json()["user_name"] == "Anna"
    assert [person.name for person in Person.objects.all()] == ["Anna", "Ben"]


def test_a_deleted_card_is_gone_and_can_be_added_again(manager, annas_card):
    deleted = manager.send("DELETE", f"{CARDS}/04a32bf21c80")
    again = manager.send("DELETE", ANNAS)
    added = manager.send("POST", CARDS, {"card_uid": ANNA_UID, "user_name": "Ben"})

    assert deleted.status_code == 200
    assert deleted.json() == {"status": "deleted", "card_uid": ANNA_UID}
    assert again.status_code == 404
    assert added.status_code == 201


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"active": False}, "card_inactive"),
        ({"status": "blocked"}, "card_blocked"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expired"),
    ],
)
def test_a_change_holds_from_the_next_check_on(manager, door_client, annas_card, change, reason):
    before = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).json()

    manager.send("PATCH", ANNAS, change)

    after = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}).json()
    assert (before["reason"], after["reason"]) == ("granted", reason)


def test_past_log_rows_outlive_the_card_and_the_person(manager, operator, door_client, annas_card):
    door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    manager.send("DELETE", ANNAS)
    Person.objects.all().delete()

    row = operator.send("GET", "/api/access/logs").json()["logs"][0]
    assert (row["user_name"], row["card_uid"], row["reason"]) == ("Anna", ANNA_UID, "granted")
