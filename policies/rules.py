"""What the house knows of a card and a device, as frozen values. Pure: no Django.

A `Credential` is all that a decision needs to know about a card, gathered by one look-up; an
`Identity` is all that a certificate says. Both are kept in the cache, so their fields are what
`policies.frozen_json` can write.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from policies.schedules import DayWindow as DayWindow
from policies.schedules import Holding, holding
from policies.schedules import HolidayDay as HolidayDay
from policies.schedules import Window as Window


class CardStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class DoorState:
    """What a door says about itself, whoever stands before it.

    `lockdown` is its own, one of its zones' or the house's. `holidays` is empty when no schedule
    of the door needs them.
    """

    device_id: str
    switched_on: bool
    zones: frozenset[int] = frozenset()
    lockdown: bool = False
    locked_windows: tuple[Window, ...] = ()
    unlocked_windows: tuple[Window, ...] = ()
    holidays: tuple[HolidayDay, ...] = ()

    def is_locked(self, moment: dt.datetime) -> bool:
        """Whether its always-locked schedule holds. Holidays do not lift it."""
        return holding(self.locked_windows, (), moment) is Holding.HOLDS

    def stays_open(self, moment: dt.datetime, *, clock_trusted: bool = True) -> bool:
        """Whether its always-unlocked schedule holds and nothing locks it.

        It grants no card anything. Holidays close it, and so does a clock that cannot be trusted.
        """
        if not (self.switched_on and clock_trusted) or self.lockdown or self.is_locked(moment):
            return False
        return holding(self.unlocked_windows, self.holidays, moment) is Holding.HOLDS


@dataclass(frozen=True, slots=True)
class RuleScope:
    """The doors that one rule opens, and when.

    `doors=None` means every door; else those named and those of its zone. `windows=None` means
    always, holidays included.
    """

    name: str
    doors: frozenset[str] | None
    windows: tuple[Window, ...] | None = None
    zone: int | None = None

    def covers(self, door: DoorState) -> bool:
        return self.doors is None or door.device_id in self.doors or self.zone in door.zones


@dataclass(frozen=True, slots=True)
class Credential:
    """A card, its holder and the rules that let the holder pass.

    Validity is half-open: from `valid_from` (included) to `valid_until` (not included), each
    already the stricter of the card's and the person's. `holidays` is empty when no rule has a
    schedule. `as_of` marks the state of the policies that it was read from.
    """

    uid: str
    holder: str
    status: CardStatus
    holder_active: bool
    valid_from: dt.datetime | None
    valid_until: dt.datetime | None
    rules: tuple[RuleScope, ...]
    lockdown_exempt: bool = False
    holidays: tuple[HolidayDay, ...] = ()
    as_of: str = ""

    @property
    def is_scheduled(self) -> bool:
        """Whether any of its rules has a schedule, so that the time of day matters."""
        return any(rule.windows is not None for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose certificate it is, when it is valid (half-open), and what its door is like.

    `as_of` marks the state of the policies that it was read from.
    """

    device_id: str
    kind: str
    name: str
    enabled: bool
    not_before: dt.datetime
    not_after: dt.datetime
    revoked: bool
    door: DoorState | None
    as_of: str = ""
