"""The fields of a reading, of a batch, and of the questions about them."""

import datetime as dt
import re
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from policies.fields import Moment, Number, QueryMoment, StrictSerializer, Text, Uuid, Whole
from policies.models import DEVICE_ID
from sensors.history import DAY, INTERVALS
from sensors.models import METRICS

METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
MAX_METRICS = 16
MAX_BATCH = 500
LONGEST_RANGE = dt.timedelta(days=366)
LONGEST_RANGE_OF_DAYS = dt.timedelta(days=3653)  # 10 years, three of them leap years


class Metrics(serializers.DictField):
    """Further numbers by name. A refused name is not repeated: it may hold half surrogates."""

    child = Number()
    default_error_messages = {
        "object": "Must be an object of numbers.",
        "many": f"Must hold at most {MAX_METRICS} numbers.",
        "name": "A name is a-z, then at most 31 of a-z 0-9 _.",
        "number": "{name} must be a finite number.",
    }

    def to_internal_value(self, data: Any) -> dict[str, float]:
        if not isinstance(data, dict):
            self.fail("object")
        given = {name: value for name, value in data.items() if value is not None}
        if len(given) > MAX_METRICS:
            self.fail("many")
        return {name: self._number(name, value) for name, value in given.items()}

    def _number(self, name: str, value: Any) -> float:
        if not METRIC_NAME.fullmatch(name):
            self.fail("name")
        try:
            return self.child.to_internal_value(value)
        except serializers.ValidationError:
            self.fail("number", name=name)


class AnyValue(serializers.JSONField):
    """Any JSON value: never a reason to refuse."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class ReadingSerializer(StrictSerializer):
    """One reading as a device sends it."""

    device_id = Text(required=False)
    timestamp = AnyValue(required=False)
    temperature = Number(required=False, help_text="°C")
    humidity = Number(required=False, help_text="%")
    pressure = Number(required=False, help_text="hPa")
    metrics = Metrics(required=False)
    reading_id = Uuid(required=False)
    # Signed or unsigned: a device's random number is what its language makes of 64 bits.
    boot_id = Whole(required=False, min_value=-(2**63), max_value=2**64 - 1)
    seq = Whole(required=False, min_value=-(2**63), max_value=2**64 - 1)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("metrics") and not any(metric in attrs for metric in METRICS):
            raise serializers.ValidationError(
                {"metrics": ["At least one of temperature, humidity, pressure or these."]}
            )
        for given, missing in (("boot_id", "seq"), ("seq", "boot_id")):
            if given in attrs and missing not in attrs:
                raise serializers.ValidationError({missing: [f"Must come with {given}."]})
        return attrs


class BatchSerializer(StrictSerializer):
    """Readings of a device that was offline. Each is judged on its own."""

    device_id = Text(required=False)
    readings = serializers.ListField(min_length=1, max_length=MAX_BATCH)


class AcceptedSerializer(serializers.Serializer[Any]):
    """What a device hears for one reading (for the API's description)."""

    status = serializers.CharField(help_text="`accepted`")
    device_id = serializers.CharField()
    timestamp = Moment()
    message_id = serializers.CharField()


class RejectedSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()


class AcceptedBatchSerializer(serializers.Serializer[Any]):
    """What a device hears for a batch (for the API's description)."""

    status = serializers.CharField(help_text="`accepted`")
    accepted = serializers.IntegerField()
    rejected = RejectedSerializer(many=True)
    message_id = serializers.CharField()


class ReadingsQuerySerializer(StrictSerializer):
    device_id = Text(validators=[DEVICE_ID])
    start_time = QueryMoment()
    end_time = QueryMoment()
    interval = serializers.ChoiceField(choices=list(INTERVALS), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = attrs["start_time"], attrs["end_time"]
        if end < start:
            raise serializers.ValidationError({"end_time": ["Must not lie before start_time."]})
        days = attrs.get("interval") == DAY
        if end - start > (LONGEST_RANGE_OF_DAYS if days else LONGEST_RANGE):
            longest = "10 years" if days else "366 days, with the interval 1d 10 years"
            raise serializers.ValidationError({"end_time": [f"A range is at most {longest}."]})
        return attrs


class RawReadingSerializer(serializers.Serializer[Any]):
    """A reading as it is read back (for the API's description)."""

    timestamp = Moment()
    temperature = serializers.FloatField(allow_null=True)
    humidity = serializers.FloatField(allow_null=True)
    pressure = serializers.FloatField(allow_null=True)
    metrics = serializers.DictField(child=serializers.FloatField())
    time_source = serializers.ChoiceField(choices=["device", "server"])
    flags = serializers.ListField(child=serializers.CharField())


class BucketSerializer(serializers.Serializer[Any]):
    """Readings summed up, of the bucket that begins at `timestamp` (for the description)."""

    timestamp = Moment()
    count = serializers.IntegerField()
    temperature_avg = serializers.FloatField(allow_null=True)
    temperature_min = serializers.FloatField(allow_null=True)
    temperature_max = serializers.FloatField(allow_null=True)
    humidity_avg = serializers.FloatField(allow_null=True)
    humidity_min = serializers.FloatField(allow_null=True)
    humidity_max = serializers.FloatField(allow_null=True)
    pressure_avg = serializers.FloatField(allow_null=True)
    pressure_min = serializers.FloatField(allow_null=True)
    pressure_max = serializers.FloatField(allow_null=True)


class ReadingsPageSerializer(serializers.Serializer[Any]):
    """Raw readings or buckets (for the API's description)."""

    device_id = serializers.CharField()
    start_time = Moment()
    end_time = Moment()
    interval = serializers.ChoiceField(choices=list(INTERVALS), allow_null=True)
    count = serializers.IntegerField()
    readings = serializers.ListField(
        child=PolymorphicProxySerializer(
            component_name="ReadingPoint",
            serializers=[RawReadingSerializer, BucketSerializer],
            resource_type_field_name=None,
        )
    )
