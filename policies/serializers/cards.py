"""The fields of a card."""

from typing import Any

from rest_framework import serializers

from policies.fields import CardUid, Flag, Moment, StrictSerializer, Validity
from policies.models import MAX_NAME
from policies.rules import CardStatus
from policies.serializers.names import HolderName


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


class CardPageSerializer(serializers.Serializer[Any]):
    """`count` is of all cards that match, not of this page."""

    count = serializers.IntegerField()
    cards = CardSerializer(many=True)


class CardAddSerializer(StrictSerializer):
    card_uid = CardUid()
    user_name = HolderName()
    expires_at = Validity(required=False)
    active = Flag(default=True)


class CardChangeSerializer(StrictSerializer):
    keeps_null = frozenset({"expires_at"})

    user_name = HolderName(required=False)
    expires_at = Validity(required=False, allow_null=True)
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
