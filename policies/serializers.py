"""The fields of the people side: sign-in, cards, devices."""

import datetime as dt
from typing import Any

from rest_framework import serializers

from policies.fields import CardUid, Flag, Moment, QueryWhole, StrictSerializer, Text
from policies.models import MAX_NAME, Device, checked_name
from policies.rules import CardStatus

MAX_OFFSET = 2**31 - 1
# Django's own bound; longer ones only cost hashing time.
MAX_PASSWORD = 4096


class SignInSerializer(StrictSerializer):
    username = Text(max_length=150)
    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)


class RefreshSerializer(StrictSerializer):
    refresh = Text()


class TokenPairSerializer(serializers.Serializer[Any]):
    """Access lives five minutes; refresh is good once."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class HolderName(Text):
    """A person's name, trimmed."""

    def to_internal_value(self, data: Any) -> str:
        return checked_name(super().to_internal_value(data))


class Expiry(Moment):
    """A moment that exists in every time zone: pages show it in the building's."""

    default_error_messages = {
        "far": "Must lie in the years 2 to 9998; leave it out for a card that never expires."
    }

    def to_internal_value(self, data: Any) -> dt.datetime:
        moment = super().to_internal_value(data)
        if not dt.MINYEAR < moment.year < dt.MAXYEAR:
            self.fail("far")
        return moment


class CardSerializer(serializers.Serializer[Any]):
    """A card as the outside sees it. `active` is true only for the status active."""

    card_uid = CardUid(source="uid")
    user_name = serializers.CharField(source="person.name", max_length=MAX_NAME)
    added_at = Moment()
    expires_at = Moment(source="valid_until", allow_null=True)
    active = serializers.BooleanField()
    status = serializers.ChoiceField(choices=[str(status) for status in CardStatus])


class NewCardSerializer(CardSerializer):
    warning = serializers.CharField(required=False)


class CardQuerySerializer(StrictSerializer):
    limit = QueryWhole(default=1000, min_value=1, max_value=1000)
    offset = QueryWhole(default=0, min_value=0, max_value=MAX_OFFSET)
    search = Text(default="", max_length=MAX_NAME, allow_blank=True)


class CardPageSerializer(serializers.Serializer[Any]):
    """`count` is of all cards that match, not of this page."""

    count = serializers.IntegerField()
    cards = CardSerializer(many=True)


class CardAddSerializer(StrictSerializer):
    card_uid = CardUid()
    user_name = HolderName()
    expires_at = Expiry(required=False)
    active = Flag(default=True)


class CardChangeSerializer(StrictSerializer):
    keeps_null = frozenset({"expires_at"})

    user_name = HolderName(required=False)
    expires_at = Expiry(required=False, allow_null=True)
    active = Flag(required=False)
    status = serializers.ChoiceField(choices=[str(s) for s in CardStatus], required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if {"active", "status"} <= attrs.keys() and (
            attrs["active"] != (attrs["status"] == CardStatus.ACTIVE)
        ):
            raise serializers.ValidationError({"active": ["Contradicts status."]})
        return attrs


class DeletedCardSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(default="deleted")
    card_uid = CardUid()


class DeviceSerializer(serializers.Serializer[Any]):
    """A row of the devices list, of `Device.objects.with_status()`."""

    device_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=Device.Kind.values)
    name = serializers.CharField()
    zones = serializers.SerializerMethodField()
    enabled = serializers.BooleanField()
    online = serializers.SerializerMethodField()
    last_seen = Moment(source="presence.last_seen", default=None, allow_null=True)
    firmware_version = serializers.SerializerMethodField()
    certificate_expires_at = Moment(allow_null=True)

    def get_zones(self, device: Device) -> list[str]:
        return [zone.name for zone in device.zones.all()]

    def get_online(self, device: Device) -> bool:
        heard = getattr(device, "presence", None)
        return heard is not None and heard.online

    def get_firmware_version(self, device: Device) -> str | None:
        return device.firmware_version or None


class DeviceListSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    devices = DeviceSerializer(many=True)
