"""The fields of zones and of lockdown."""

from typing import Any

from rest_framework import serializers

from policies.fields import Flag, StrictSerializer
from policies.models import Device, Door, Zone
from policies.serializers.names import ShortName
from policies.serializers.references import References, Switches


class ZoneSerializer(StrictSerializer):
    """A set of doors and sensors, by their device ids."""

    id = serializers.IntegerField(read_only=True)
    name = ShortName()
    devices = References(Device, default=list)
    lockdown = Flag(default=False)


class LockdownSerializer(serializers.Serializer[Any]):
    """What is locked down: the whole house, zones by their names, doors by their device ids."""

    house = serializers.BooleanField()
    zones = serializers.ListField(child=serializers.CharField())
    doors = serializers.ListField(child=serializers.CharField())


class LockdownChangeSerializer(StrictSerializer):
    """What to lock down (true) and what not any longer (false); the rest stays as it is."""

    house = Flag(required=False)
    zones = Switches(Zone, default=dict)
    doors = Switches(Door, default=dict)
