"""The fields of an access check and of the access log."""

from typing import Any

from rest_framework import serializers

from access.decision import Reason
from access.models import AccessLog
from policies.fields import (
    CardUid,
    Moment,
    QueryFlag,
    QueryMoment,
    QueryWhole,
    StrictSerializer,
    Text,
    Uuid,
)

MAX_OFFSET = 2**31 - 1


class ScanSerializer(StrictSerializer):
    """What a door sends. Its `timestamp` is never read: the field's firmware sends a constant."""

    device_id = Text(required=False)
    card_uid = CardUid()
    event_id = Uuid(required=False)


class AnswerSerializer(serializers.Serializer[Any]):
    """What a door hears (for the API's description)."""

    granted = serializers.BooleanField()
    reason = serializers.ChoiceField(choices=[str(reason) for reason in Reason])
    card_uid = CardUid()
    device_id = serializers.CharField()
    user_name = serializers.CharField(required=False)
    expires_at = Moment(required=False, allow_null=True)
    access_log_id = serializers.UUIDField()


class LogQuerySerializer(StrictSerializer):
    limit = QueryWhole(default=50, min_value=1, max_value=1000)
    offset = QueryWhole(default=0, min_value=0, max_value=MAX_OFFSET)
    cursor = Text(required=False, allow_blank=True)
    device_id = Text(required=False)
    card_uid = CardUid(required=False)
    granted = QueryFlag(required=False)
    start_time = QueryMoment(required=False)
    end_time = QueryMoment(required=False)
    search = Text(required=False, max_length=200, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = attrs.get("start_time"), attrs.get("end_time")
        if start and end and start > end:
            raise serializers.ValidationError({"end_time": ["Must not lie before start_time."]})
        return attrs


class LogRowSerializer(serializers.ModelSerializer[AccessLog]):
    """A row of the access log; `card_uid` is null for those who may not see UIDs."""

    id = serializers.UUIDField(source="log_id")
    timestamp = Moment()
    card_uid = serializers.SerializerMethodField()

    class Meta:
        model = AccessLog
        fields = (
            "id",
            "timestamp",
            "device_id",
            "card_uid",
            "granted",
            "reason",
            "user_name",
            "latency_ms",
        )

    def get_card_uid(self, row: AccessLog) -> str | None:
        return row.card_uid if self.context.get("with_uid") else None


class LogPageSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField(required=False)
    limit = serializers.IntegerField()
    offset = serializers.IntegerField(required=False)
    next_cursor = serializers.CharField(required=False, allow_null=True)
    logs = LogRowSerializer(many=True)
