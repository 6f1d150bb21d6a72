"""The fields of people and of the groups that they are in."""

from rest_framework import serializers

from policies.fields import Flag, StrictSerializer, Validity
from policies.models import PeopleGroup
from policies.serializers.names import HolderName, ShortName
from policies.serializers.references import References


class PersonSerializer(StrictSerializer):
    """Somebody who is given cards. `valid_from` is included, `valid_until` is not; null is open."""

    keeps_null = frozenset({"valid_from", "valid_until"})

    id = serializers.IntegerField(read_only=True)
    name = HolderName()
    groups = References(PeopleGroup, default=list)
    active = Flag(default=True)
    valid_from = Validity(required=False, allow_null=True)
    valid_until = Validity(required=False, allow_null=True)


class GroupSerializer(StrictSerializer):
    """People who share rules."""

    id = serializers.IntegerField(read_only=True)
    name = ShortName()
    exempt_from_lockdown = Flag(default=False)
