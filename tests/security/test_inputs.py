"""Generated card numbers, texts and bodies: taken or refused in words, never a crash."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import lockout, uid
from policies.strict_json import MAX_DEPTH, Malformed, parse_object
from tests.conftest import ANNA_UID
from tests.security.conftest import few_or_many
from tests.security.counting import count

pure = pytest.mark.pure

WHITE = st.sampled_from(["", " ", "\t", "\n"])
SEPARATORS = ("", ":", "-", " ")
NEARLY = st.text("0123456789abcdefABCDEF:- gG\u0660\u00b2\uff11\n\0", max_size=40)


@pure
@few_or_many(200, 10_000)
@given(st.one_of(st.text(max_size=60), NEARLY))
def test_a_text_is_a_card_number_or_refused(text):
    count()
    try:
        canonical = uid.canonical(text)
    except ValueError as error:
        assert "4 to 10 bytes of hex" in str(error)
        assert not uid.is_uid(text)
    else:
        assert canonical == uid.canonical(canonical)
        assert 4 <= len(bytes.fromhex(canonical.replace(":", ""))) <= 10
        assert canonical.isascii()


@pure
@few_or_many(100, 3_000)
@given(st.binary(min_size=4, max_size=10), st.sampled_from(SEPARATORS), st.booleans())
def test_every_way_of_writing_the_same_bytes_is_the_same_card(raw, separator, lower):
    count()
    written = raw.hex(separator) if separator else raw.hex()

    canonical = uid.canonical(written if lower else written.upper())

    assert canonical == raw.hex(":").upper()


# -- The parser ----------------------------------------------------------------------------------

TEXTS = st.text(st.characters())  # half surrogates among them, which JSON can write
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    deepest = max(map(depth, inner), default=0)
    return deepest + isinstance(value, dict | list)


@pure
@few_or_many(200, 10_000)
@given(VALUES)
def test_the_strict_parser_takes_objects_as_the_ordinary_one_does(value):
    count()
    text = json.dumps(value)

    if isinstance(value, dict) and depth(value) <= MAX_DEPTH:
        assert parse_object(text) == json.loads(text)
    else:
        with pytest.raises(Malformed):
            parse_object(text)


@pure
@few_or_many(200, 10_000)
@given(st.text() | st.text('{}[]",:0123456789eE.+-nulltrfasNI\\u ', max_size=80))
def test_any_text_is_an_object_or_malformed(text):
    count()
    try:
        value = parse_object(text)
    except Malformed as error:
        assert str(error)
    else:
        assert isinstance(value, dict)
        assert value == json.loads(text)


@pure
@few_or_many(50, 1_000)
@given(st.text(min_size=1), VALUES, VALUES)
def test_a_key_that_stands_twice_is_malformed(key, one, other):
    count()
    name = json.dumps(key)
    for text in ("{%s: %s, %s: %s}", '{"a": {%s: %s, %s: %s}}'):
        with pytest.raises(Malformed):
            parse_object(text % (name, json.dumps(one), name, json.dumps(other)))


# -- Bodies --------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.floats(), st.integers(), st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, 1e308, -0.0])
)
ANYTHING = st.one_of(NUMBERS, VALUES)
READING = st.dictionaries(
    st.sampled_from(
        ["device_id", "timestamp", "temperature", "humidity", "pressure", "metrics", "reading_id",
         "boot_id", "seq", "room", "readings"]
    ),
    ANYTHING,
) | st.fixed_dictionaries(
    {"temperature": st.floats(-50, 100)},
    optional={
        "timestamp": st.datetimes().map(lambda at: f"{at}Z") | st.datetimes().map(str) | ANYTHING,
        "reading_id": st.uuids().map(str),
        "boot_id": st.integers(-(2**63), 2**64 - 1),
        "seq": st.integers(-(2**63), 2**64 - 1),
        "metrics": st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), NUMBERS),
    },
)  # fmt: skip
BODIES = READING | st.fixed_dictionaries({"readings": st.lists(READING | ANYTHING, max_size=5)})
SCAN = st.dictionaries(
    st.sampled_from(["card_uid", "device_id", "timestamp", "event_id"]), ANYTHING
) | st.fixed_dictionaries(
    {"card_uid": st.binary(min_size=4, max_size=10).map(bytes.hex)},
    optional={"timestamp": ANYTHING, "event_id": st.uuids().map(str) | ANYTHING},
)


def told(client: Any, path: str, body: Any) -> int:
    """The status of an answer in our shape, whatever the body."""
    text = json.dumps(body)
    answer = client.send("POST", path, text.encode("utf-8", "surrogatepass"))
    if answer.status_code >= 400:
        error = json.loads(answer.content)["error"]
        assert error.keys() == {"code", "message", "details"}
        assert all(isinstance(words, list) for words in error["details"].values())
    count()
    return int(answer.status_code)


@few_or_many(40, 3_000)
@given(BODIES)
def test_any_reading_is_accepted_or_refused_in_words(sensor_client, unlimited, body):
    status = told(sensor_client, "/api/sensors/ingest", body)

    assert status in (202, 400, 403, 422), body
    if status == 202 and "readings" not in body:
        assert (
            any(is_number(body.get(name)) for name in ("temperature", "humidity", "pressure"))
            or (body["metrics"])
        )


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


@few_or_many(40, 2_000)
@given(SCAN)
def test_any_scan_is_answered_or_refused_in_words(door_client, annas_card, unlimited, body):
    status = told(door_client, "/api/access/check", body)

    assert status in (200, 400, 403, 413, 422), body


@few_or_many(40, 2_000)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_in_our_shape(door_client, unlimited, body):
    count()

    answer = door_client.send("POST", "/api/access/check", body)

    assert answer.status_code in (200, 400, 422)
    assert json.loads(answer.content)


# -- Every field -----------------------------------------------------------------------------------

# What fields are not made for; each value goes into each field of each body.
ODD = (
    True, -1, 0, 2**63, 10**400, 1e308, -0.0, 1.5, "", " ", "x", "\0", "\ud800", "a\udfff", "\x1b",
    "é\u2028", "a" * 5000, "NaN", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", [], {}, [[]], {"a": {"a": {}}}, [None], ["\ud800"], {"\ud800": 0},
)  # fmt: skip
CARD = {"card_uid": "04:11:22:33", "user_name": "Ben", "expires_at": "2027-01-01T00:00:00Z"}
FIELDS = [
    ("manager", "POST", "/api/policies/cards", CARD | {"active": True}),
    ("manager", "PATCH", f"/api/policies/cards/{ANNA_UID}", CARD | {"active": True, "status": "x"}),
    ("nobody", "POST", "/api/auth/token", {"username": "x", "password": "x", "otp": "x"}),
    ("nobody", "POST", "/api/auth/token/refresh", {"refresh": "x"}),
    ("nobody", "POST", "/api/auth/token/revoke", {"refresh": "x"}),
    ("door_client", "POST", "/api/access/check",
     {"card_uid": ANNA_UID, "device_id": "x", "event_id": "x", "timestamp": "x"}),
    ("sensor_client", "POST", "/api/sensors/ingest",
     {"temperature": 1, "device_id": "x", "timestamp": "x", "metrics": {}, "reading_id": "x",
      "boot_id": 1, "seq": 1}),
    ("sensor_client", "POST", "/api/sensors/ingest", {"readings": [{}], "device_id": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "method", "path", "body"), FIELDS)
def test_any_value_in_any_field_is_answered_in_our_shape(
    who, method, path, body, request, annas_card, unlimited, monkeypatch
):
    monkeypatch.setattr(lockout, "TRIES_OF_AN_ADDRESS", 10**9)
    client = request.getfixturevalue(who)

    for name in body:
        for value in ODD:
            count()
            # As it goes over the wire: half surrogates are written \ud800, as JSON may.
            answer = client.send(method, path, json.dumps(body | {name: value}))

            assert answer.status_code < 500, (name, value)
            assert json.loads(answer.content or b"{}").keys(), (name, value)
