"""Which part of the house a viewer wants to hear of."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from rest_framework.exceptions import ValidationError

from policies.models import Device
from realtime.feed import KINDS, Frame

MOST_NAMES = 500  # of devices or zones that one viewer names


@dataclass(frozen=True, slots=True)
class Subscription:
    """Kinds of frames, and devices by their ids or their zones' names; None is all of them."""

    types: frozenset[str] | None = None
    devices: frozenset[str] | None = None
    zones: frozenset[str] | None = None
    members: frozenset[str] = frozenset()  # the devices of the zones

    @classmethod
    def parse(cls, value: Any) -> "Subscription":
        """`{"types", "devices", "zones"}`, each a list of texts or left out; null is everything.
        Its zones are not resolved yet."""
        if value is None:
            return cls()
        if not isinstance(value, dict) or not value.keys() <= {"types", "devices", "zones"}:
            raise ValidationError({"subscribe": ["Takes types, devices and zones, each a list."]})
        parts: dict[str, Any] = {name: _names(name, some) for name, some in value.items()}
        if unknown := (parts.get("types") or frozenset()) - KINDS:
            raise ValidationError({"subscribe": [f"There is no type {min(unknown)!r}."]})
        return cls(**parts)

    def resolved(self) -> "Subscription":
        """With the devices that its zones have now. Asks the database."""
        if self.zones is None:
            return self
        found = Device.objects.filter(zones__name__in=self.zones)
        return replace(self, members=frozenset(found.values_list("pk", flat=True)))

    @property
    def ids(self) -> Collection[str] | None:
        """The devices it is about; None: all."""
        if self.devices is None and self.zones is None:
            return None
        return (self.devices or frozenset()) | self.members

    def wants(self, one: Frame) -> bool:
        """Whether the viewer wants to hear of it. What is about no device is for everybody."""
        if self.types is not None and one["type"] not in self.types:
            return False
        return self.ids is None or not one["device_id"] or one["device_id"] in self.ids


EVERYTHING = Subscription()


def _names(name: str, value: Any) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValidationError({"subscribe": [f"{name} is a list of texts."]})
    if len(value) > MOST_NAMES:
        raise ValidationError({"subscribe": [f"{name} has {MOST_NAMES} texts at most."]})
    return frozenset(value)
