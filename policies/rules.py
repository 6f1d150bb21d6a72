"""What the house knows of a card and a device, as frozen values. Pure: no Django.

A `Credential` is all that a decision needs to know about a card, gathered by one look-up; an
`Identity` is all that a certificate says. Both are kept in the cache, so their fields are what
`policies.frozen_json` can write.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class CardStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class RuleScope:
    """The doors that one rule opens; `doors=None` means every door."""

    name: str
    doors: frozenset[str] | None

    def covers(self, device_id: str) -> bool:
        return self.doors is None or device_id in self.doors


@dataclass(frozen=True, slots=True)
class Credential:
    """A card, its holder and the rules that let the holder pass.

    Validity is half-open: from `valid_from` (included) to `valid_until` (not included), each
    already the stricter of the card's and the person's.
    """

    uid: str
    holder: str
    status: CardStatus
    holder_active: bool
    valid_from: dt.datetime | None
    valid_until: dt.datetime | None
    rules: tuple[RuleScope, ...]


@dataclass(frozen=True, slots=True)
class DoorState:
    """What a door says about itself, whoever stands before it."""

    device_id: str
    switched_on: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose certificate it is, when it is valid (half-open), and what its door is like."""

    device_id: str
    kind: str
    name: str
    enabled: bool
    not_before: dt.datetime
    not_after: dt.datetime
    revoked: bool
    door: DoorState | None
