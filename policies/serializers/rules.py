"""The fields of a rule."""

from typing import Any

from rest_framework import serializers

from policies.fields import Flag, StrictSerializer
from policies.models import Door, PeopleGroup, Rule, Schedule, Zone
from policies.models.rules import told_rule
from policies.serializers.names import ShortName
from policies.serializers.references import NameOf, References


class RuleSerializer(StrictSerializer):
    """Who may pass where, and when. `group` null is everyone, `schedule` null is always.

    A new rule has to say for whom it is, also when that is everyone: a name that was mistyped is a
    member that we do not know, and those are ignored.
    """

    keeps_null = frozenset({"group", "zone", "schedule"})

    id = serializers.IntegerField(read_only=True)
    name = ShortName(required=False)
    group = NameOf(PeopleGroup, allow_null=True)
    every_door = Flag(default=False)
    doors = References(Door, default=list)
    zone = NameOf(Zone, required=False, allow_null=True)
    schedule = NameOf(Schedule, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not self.partial and not (attrs["every_door"] or attrs["doors"] or attrs.get("zone")):
            raise serializers.ValidationError({"doors": ["Say where: doors, zone or every_door."]})
        if not self.partial:
            ids = [door.pk for door in attrs["doors"]]
            attrs.setdefault("name", Rule.objects.free_name(told_rule(attrs | {"doors": ids})))
        return attrs
