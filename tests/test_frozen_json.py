"""Frozen values as JSON: what went in comes out, and a changed shape is another shape."""

import dataclasses
import datetime as dt
import uuid
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import frozen_json
from policies.rules import CardStatus, Credential, DoorState, Identity, RuleScope

pytestmark = pytest.mark.pure


class Colour(StrEnum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Inner:
    opens: dt.time
    day: dt.date


@dataclasses.dataclass(frozen=True)
class Outer:
    colour: Colour
    number: float
    id: uuid.UUID
    inner: tuple[Inner, ...]
    maybe: Inner | None


MOMENT = dt.datetime(2026, 11, 23, 7, 37, 1, 542_000, tzinfo=dt.UTC)
DOORS = frozenset({"front-door", "garage"})
IDENTITY = Identity(
    "front-door", "door", "Tür “1”", True, MOMENT, MOMENT, False, DoorState("front-door", True)
)


@pytest.mark.parametrize(
    "value",
    [
        Credential("04:11", "Ännä", CardStatus.BLOCKED, True, MOMENT, None, ()),
        Credential("04:11", "", CardStatus.ACTIVE, False, None, MOMENT, (RuleScope("all", None),)),
        Credential("04:11", "A", CardStatus.ACTIVE, True, None, None, (RuleScope("two", DOORS),)),
        IDENTITY,
        dataclasses.replace(IDENTITY, door=None),
        Outer(Colour.RED, 0.1, uuid.UUID(int=7), (Inner(dt.time(6), dt.date(2026, 1, 2)),), None),
        Outer(Colour.RED, -1, uuid.UUID(int=7), (), Inner(dt.time(23, 59), dt.date(2024, 2, 29))),
    ],
)
def test_what_went_in_comes_out(value):
    assert frozen_json.loads(type(value), frozen_json.dumps(value)) == value


@given(holder=st.text(), doors=st.frozensets(st.text(max_size=5), max_size=5))
def test_any_text_survives(holder, doors):
    credential = Credential(
        "04:11", holder, CardStatus.ACTIVE, True, None, MOMENT, (RuleScope(holder, doors),)
    )

    assert frozen_json.loads(Credential, frozen_json.dumps(credential)) == credential


def test_it_is_plain_json():
    assert frozen_json.dumps(RuleScope("all", DOORS)) == (
        '{"name":"all","doors":["front-door","garage"],"windows":null,"zone":null}'
    )


def test_another_field_at_any_depth_is_another_shape():
    inner = dataclasses.make_dataclass("Inner", [("opens", dt.time)], frozen=True)
    other = dataclasses.make_dataclass(
        "Outer",
        [
            ("colour", Colour),
            ("number", float),
            ("id", uuid.UUID),
            ("inner", tuple[inner, ...]),
            ("maybe", Inner | None),
        ],
        frozen=True,
    )

    shapes = {frozen_json.shape(kind) for kind in (Outer, other, Inner, inner)}

    assert len(shapes) == 4
    assert all(len(shape) == 12 for shape in shapes)


@pytest.mark.parametrize("hint", [dict[str, int], list[str], int | str, bytes, object])
def test_what_cannot_be_kept_is_refused_before_anything_is(hint):
    kind = dataclasses.make_dataclass("Kind", [("field", hint)], frozen=True)

    with pytest.raises(TypeError, match="cannot be kept"):
        frozen_json.loads(kind, '{"field": 1}')


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_a_value_that_is_not_frozen_is_refused(value):
    with pytest.raises(TypeError, match="no frozen value"):
        frozen_json.dumps(value)
