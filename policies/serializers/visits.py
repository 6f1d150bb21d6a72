"""The fields of a visit."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from policies.fields import CardUid, Moment, StrictSerializer, Validity, Whole
from policies.models import MOST_ENTRIES, PeopleGroup, Visit
from policies.rules import VisitState
from policies.serializers.names import HolderName
from policies.serializers.references import References


class VisitSerializer(serializers.Serializer[Any]):
    """A visit as the outside sees it. `card_uid` is null when it is of a person with all cards."""

    id = serializers.UUIDField()
    card_uid = CardUid(source="card_id", allow_null=True)
    user_name = serializers.CharField(source="holder")
    starts_at = Moment()
    ends_at = Moment()
    max_entries = serializers.IntegerField(allow_null=True)
    entries_used = serializers.IntegerField(source="used")
    state = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=[str(state) for state in VisitState]))
    def get_state(self, visit: Visit) -> str:
        return str(visit.state(timezone.now()))


class NewVisitSerializer(VisitSerializer):
    warning = serializers.CharField(required=False)


class VisitPageSerializer(serializers.Serializer[Any]):
    """`count` is of all visits that match, not of this page."""

    count = serializers.IntegerField()
    visits = VisitSerializer(many=True)


class VisitAddSerializer(StrictSerializer):
    """`card_uid` alone: a card on record. `user_name` alone: a person on record, with all cards.
    Both: a new card for that person, who is put on record if new; the visit is the card's.

    The visitor joins `groups`. `starts_at` is included, `ends_at` is not.
    """

    card_uid = CardUid(required=False)
    user_name = HolderName(required=False)
    groups = References(PeopleGroup, default=list)
    starts_at = Validity(required=False)
    ends_at = Validity()
    max_entries = Whole(required=False, min_value=1, max_value=MOST_ENTRIES)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not {"card_uid", "user_name"} & attrs.keys():
            raise serializers.ValidationError({"card_uid": ["Say which card, or whose."]})
        return attrs


class VisitChangeSerializer(StrictSerializer):
    """`max_entries: null` is any number."""

    keeps_null = frozenset({"max_entries"})

    starts_at = Validity(required=False)
    ends_at = Validity(required=False)
    max_entries = Whole(required=False, allow_null=True, min_value=1, max_value=MOST_ENTRIES)


class DeletedVisitSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(default="deleted")
    id = serializers.UUIDField()
    warning = serializers.CharField(required=False)
