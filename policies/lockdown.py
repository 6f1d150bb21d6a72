"""What is locked down, in the house's own words."""

from dataclasses import dataclass

from policies.models import Door, House, Zone


@dataclass(frozen=True, slots=True)
class Lockdown:
    """The whole house, zones, single doors."""

    house: bool
    zones: tuple[Zone, ...]
    doors: tuple[Door, ...]

    @classmethod
    def now(cls) -> "Lockdown":
        """Three queries."""
        return cls(
            House.objects.filter(lockdown=True).exists(),
            tuple(Zone.objects.filter(lockdown=True)),
            tuple(Door.objects.filter(lockdown=True).select_related("device")),
        )

    def __bool__(self) -> bool:
        return bool(self.house or self.zones or self.doors)
