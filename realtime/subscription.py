"""Which part of the house a viewer wants to hear of."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rest_framework import serializers

from policies.fields import StrictSerializer, Text
from policies.models import Zone
from realtime.feed import KINDS, Frame

MOST_NAMES = 500  # of devices or zones that one viewer names

Zones = Mapping[str, frozenset[str]]  # the ids of the devices in each, by its name


class SubscriptionSerializer(StrictSerializer):
    """What a viewer asks for; what is left out is everything."""

    types = serializers.ListField(child=serializers.ChoiceField(sorted(KINDS)), required=False)
    devices = serializers.ListField(
        child=Text(max_length=200), max_length=MOST_NAMES, required=False
    )
    zones = serializers.ListField(child=Text(max_length=200), max_length=MOST_NAMES, required=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Kinds of frames and ids of devices; None is all of them. The ids are those that were named
    and those of the zones."""

    types: frozenset[str] | None = None
    devices: frozenset[str] | None = None
    zones: frozenset[str] | None = None
    ids: frozenset[str] | None = None

    @classmethod
    def parse(cls, value: Any) -> "Subscription":
        """Of a frame's `subscribe`; its zones are not resolved yet. ValidationError."""
        try:
            asked = SubscriptionSerializer().run_validation(value)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"subscribe": error.detail}) from None
        parts = {name: frozenset(some) for name, some in asked.items()}
        return cls(**parts).resolved({})

    def resolved(self, zones: Zones) -> "Subscription":
        """With the devices that its zones have now."""
        if self.devices is None and self.zones is None:
            return self
        members = (zones.get(name, frozenset()) for name in self.zones or ())
        return replace(self, ids=(self.devices or frozenset()).union(*members))

    def wants(self, one: Frame) -> bool:
        """Whether the viewer wants to hear of it. What is about no device is for everybody."""
        if self.types is not None and one["type"] not in self.types:
            return False
        return self.ids is None or not one["device_id"] or one["device_id"] in self.ids


EVERYTHING = Subscription()


def zones_now() -> Zones:
    """One query, whatever anybody asks for."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, device_id in Zone.devices.through.objects.values_list("zone__name", "device_id"):
        found[name].add(device_id)
    return {name: frozenset(ids) for name, ids in found.items()}
