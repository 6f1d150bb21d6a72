"""Strict fields: REST framework's take `true` for a number, `"1_0"` for ten and 5 for a text."""

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from policies import moments, uid, windows

T = TypeVar("T")
INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
UUID = re.compile(r"[0-9A-F]{8}(-?[0-9A-F]{4}){3}-?[0-9A-F]{12}", re.IGNORECASE | re.ASCII)


class StrictSerializer(serializers.Serializer[Any]):
    """A body or a query: `null` is the same as absent, except for `keeps_null` fields."""

    keeps_null: frozenset[str] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be an object.")
        return super().to_internal_value(
            {name: v for name, v in data.items() if v is not None or name in self.keeps_null}
        )


class Text(serializers.CharField):
    """A string, without NUL and without half surrogates (no database takes those)."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "number", "format": "double"})
class Number(serializers.Field[float, Any, float, Any]):
    """A finite JSON number: not `true`, not `"21.5"`, not `1e999`."""

    default_error_messages = {"invalid": "Must be a finite number."}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        try:
            number = float(data)
        except OverflowError:
            self.fail("invalid")
        if not math.isfinite(number):
            self.fail("invalid")
        return number

    def to_representation(self, value: float) -> float:
        return value


class Whole(serializers.IntegerField):
    """A JSON integer: not `true`, not `1.0`, not `"1"`."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Flag(serializers.BooleanField):
    """`true` or `false`, nothing that looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Uuid(serializers.UUIDField):
    """A UUID as text; REST framework's also takes integers, `urn:` and `1_0` for digits."""

    def to_internal_value(self, data: Any) -> uuid.UUID:
        if not isinstance(data, str) or not UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "date-time"})
class Moment(serializers.Field[dt.datetime, Any, str, Any]):
    """A time: ISO 8601 with an offset in; UTC, milliseconds and `Z` out."""

    default_error_messages = {
        "invalid": "Must be an ISO 8601 time with an offset, such as 2026-11-23T07:37:01Z."
    }

    def to_internal_value(self, data: Any) -> dt.datetime:
        try:
            return self.parse(data)
        except (ValueError, TypeError, AttributeError):
            self.fail("invalid")

    def parse(self, text: str) -> dt.datetime:
        return moments.parse_moment(text)

    def to_representation(self, value: dt.datetime) -> str:
        return moments.utc_text(value)


class Validity(Moment):
    """A moment that exists in every time zone: pages show it in the building's."""

    default_error_messages = {
        "far": "Must lie in the years 2 to 9998; leave it out where there is no end."
    }

    def to_internal_value(self, data: Any) -> dt.datetime:
        moment = super().to_internal_value(data)
        if not dt.MINYEAR < moment.year < dt.MAXYEAR:
            self.fail("far")
        return moment


@extend_schema_field({"type": "string", "examples": ["04:A3:2B:F2:1C:80"]})
class CardUid(serializers.Field[str, Any, str, Any]):
    """A card UID in any way of writing it in, canonical out."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a text.")
        return _read(uid.canonical, data)

    def to_representation(self, value: str) -> str:
        return value


@extend_schema_field({"type": "string", "format": "date"})
class Date(serializers.Field[dt.date, Any, str, Any]):
    """A date of the calendar, `2026-12-25`."""

    def to_internal_value(self, data: Any) -> dt.date:
        return _read(windows.parse_date, data)

    def to_representation(self, value: dt.date) -> str:
        return windows.date_text(value)


@extend_schema_field({"type": "string", "pattern": f"^{windows.CLOCK.pattern}$"})
class ClockTime(serializers.Field[dt.time, Any, str, Any]):
    """A time of day in whole minutes, `22:00`."""

    def to_internal_value(self, data: Any) -> dt.time:
        return _read(windows.parse_clock, data)

    def to_representation(self, value: dt.time) -> str:
        return windows.clock_text(value)


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "enum": list(windows.DAYS)},
        "minItems": 1,
        "uniqueItems": True,
    }
)
class WeekDays(serializers.Field[int, Any, list[str], Any]):
    """Days of the week, `["mon", "tue"]`; inside they are added up."""

    def to_internal_value(self, data: Any) -> int:
        return _read(windows.parse_days, data)

    def to_representation(self, value: int) -> list[str]:
        return windows.day_names(value)


class QueryMoment(Moment):
    """A time in a query string, where `+` arrives as a space."""

    def parse(self, text: str) -> dt.datetime:
        return moments.parse_query_moment(text)


class QueryWhole(serializers.IntegerField):
    """An integer in a query string, in ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if not INTEGER.fullmatch(str(data)):
            self.fail("invalid")
        return int(data)


class QueryFlag(serializers.BooleanField):
    """`true` or `false` in a query string."""

    def to_internal_value(self, data: Any) -> bool:
        text = str(data).lower()
        if text not in ("true", "false", "1", "0"):
            self.fail("invalid", input=data)
        return text in ("true", "1")


def _read(parse: Callable[[Any], T], data: Any) -> T:
    """What a parser of ours makes of a value; what it says against it is the field's error."""
    try:
        return parse(data)
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from None
