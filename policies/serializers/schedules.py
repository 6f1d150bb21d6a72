"""The fields of schedules, holidays and their windows.

`{"name", "windows": [{"days": ["mon"], "from": "22:00", "to": "06:00"}]}` and
`{"date", "name", "yearly", "windows": [{"from", "to"}]}`. What comes in is validated into the
names of the models' fields (`days`, `starts_at`, `ends_at`).
"""

from typing import Any

from rest_framework import serializers

from policies.fields import ClockTime, Date, Flag, StrictSerializer, WeekDays
from policies.serializers.names import ShortName

MAX_WINDOWS = 100


class DayWindowSerializer(StrictSerializer):
    """A part of a day; `to` is not included, and before or at `from` it lies on the day after."""

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python's, so no class attribute can bear it."""
        return super().get_fields() | {
            "from": ClockTime(source="starts_at"),
            "to": ClockTime(source="ends_at"),
        }


class WindowSerializer(DayWindowSerializer):
    """The same part of some days of every week."""

    days = WeekDays()


class Windows(serializers.ListField):
    """The windows of a schedule or of a holiday, each once."""

    def __init__(self, child: DayWindowSerializer, **options: Any) -> None:
        super().__init__(child=child, max_length=MAX_WINDOWS, **options)

    def to_internal_value(self, data: Any) -> list[Any]:
        found = super().to_internal_value(data)
        seen = set()
        for place, window in enumerate(found):
            if (values := tuple(window.values())) in seen:
                raise serializers.ValidationError({str(place): ["This window stands twice."]})
            seen.add(values)
        return found

    def to_representation(self, data: Any) -> list[Any]:
        return super().to_representation(data.all())


class ScheduleSerializer(StrictSerializer):
    """When a rule holds every week. Without windows: never."""

    id = serializers.IntegerField(read_only=True)
    name = ShortName()
    windows = Windows(WindowSerializer())


class HolidaySerializer(StrictSerializer):
    """A day on which schedules rest. Its own windows, if it has any, hold in their place."""

    id = serializers.IntegerField(read_only=True)
    date = Date()
    name = ShortName()
    yearly = Flag(default=False)
    windows = Windows(DayWindowSerializer(), default=list)
