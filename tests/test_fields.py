"""Fields take what the contract says and nothing that only looks like it."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from policies.fields import (
    CardUid,
    Flag,
    Moment,
    Number,
    QueryFlag,
    QueryMoment,
    QueryWhole,
    StrictSerializer,
    Text,
    Uuid,
    Whole,
)

pytestmark = pytest.mark.pure

EVENT = "0190f3b2-7c1e-4d3a-9b1e-2f3c4d5e6f70"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        (Text(), " Anna ", "Anna"),
        (Text(trim_whitespace=False), " secret ", " secret "),
        (Number(), 21.5, 21.5),
        (Number(), 21, 21.0),
        (Number(), -0.0, 0.0),
        (Whole(), 7, 7),
        (Flag(), True, True),
        (Flag(), False, False),
        (Uuid(), EVENT, uuid.UUID(EVENT)),
        (Uuid(), EVENT.upper().replace("-", ""), uuid.UUID(EVENT)),
        (CardUid(), "04a32bf2", "04:A3:2B:F2"),
        (QueryWhole(), "50", 50),
        (QueryWhole(), "-1", -1),
        (QueryFlag(), "True", True),
        (QueryFlag(), "0", False),
    ],
)
def test_a_right_value_is_taken(field, value, kept):
    assert field.run_validation(value) == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Text(), 5),
        (Text(), True),
        (Text(), ["Anna"]),
        (Text(), {}),
        (Text(), "An\0na"),
        (Text(), "An\ud800na"),
        (Text(), "  "),
        (Number(), True),
        (Number(), "21.5"),
        (Number(), "1_0"),
        (Number(), float("nan")),
        (Number(), float("inf")),
        (Number(), 10**400),
        (Number(), []),
        (Whole(), True),
        (Whole(), 1.0),
        (Whole(), "1"),
        (Flag(), 1),
        (Flag(), "true"),
        (Flag(), []),
        (Flag(), {}),
        (Uuid(), 5),
        (Uuid(), "5"),
        (Uuid(), f"urn:uuid:{EVENT}"),
        (Uuid(), f"{{{EVENT}}}"),
        (Uuid(), "+" + "1_" * 15 + "1"),  # int() would take it
        (Uuid(), "٠" * 32),
        (Moment(), 1_790_000_000),
        (Moment(), True),
        (Moment(), {}),
        (Moment(), "2026-11-23T07:37:01"),
        (CardUid(), 4_000_000),
        (CardUid(), ["04:A3:2B:F2"]),
        (CardUid(), "04:A3"),
        (QueryWhole(), "1_0"),
        (QueryWhole(), "1.0"),
        (QueryWhole(), "٣"),
        (QueryWhole(), " 1"),
        (QueryWhole(), "1" * 5000),
        (QueryFlag(), "yes"),
        (QueryFlag(), ""),
        (QueryMoment(), "yesterday"),
    ],
)
def test_what_only_looks_right_is_refused(field, value):
    with pytest.raises(ValidationError):
        field.run_validation(value)


class Everything(StrictSerializer):
    text = Text(required=False)
    number = Number(required=False)
    whole = Whole(required=False)
    flag = Flag(required=False)
    uuid = Uuid(required=False)
    moment = Moment(required=False)
    uid = CardUid(required=False)


@given(name=st.sampled_from(list(Everything().fields)), value=JSON)
def test_any_json_is_taken_or_refused_in_words(name, value):
    body = Everything(data={name: value})

    assert body.is_valid() or body.errors[name]


class Body(StrictSerializer):
    keeps_null = frozenset({"expires_at"})

    name = Text(required=False)
    expires_at = Moment(required=False, allow_null=True)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({}, {}),
        ({"name": None}, {}),
        ({"expires_at": None}, {"expires_at": None}),
        ({"name": "Anna", "relays": [1, {"a": None}]}, {"name": "Anna"}),
    ],
)
def test_null_is_absent_and_the_unknown_is_ignored(data, kept):
    body = Body(data=data)

    assert body.is_valid(), body.errors
    assert body.validated_data == kept


@pytest.mark.parametrize("data", [[], "text", 5, None])
def test_a_body_is_an_object(data):
    assert not Body(data=data).is_valid()
