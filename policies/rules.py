"""What the house knows of a card and a device, as frozen values. Pure: no Django.

A `Credential` is all that a decision needs to know about a card, gathered by one look-up; an
`Identity` is all that a certificate says. Both are kept in the cache, so their fields are what
`policies.frozen_json` can write.
"""

import datetime as dt
from dataclasses import dataclass, replace
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


class VisitState(StrEnum):
    """How far a visit has got. `COUNT_LOST`: closed until somebody confirms its entries."""

    TO_COME = "to_come"
    RUNNING = "running"
    USED_UP = "used_up"
    COUNT_LOST = "count_lost"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class VisitTerms:
    """When a visitor may pass, from `starts_at` (included) to `ends_at` (not included), and how
    often.

    `most=None` means any number. `entries` are the ids of the log rows of those that the database
    knows; one that it does not know yet was made after `counted_from`, or is in the stream.
    """

    id: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    most: int | None
    entries: frozenset[str]
    counted_from: dt.datetime

    @property
    def used_up(self) -> bool:
        return self.most is not None and len(self.entries) >= self.most

    def covers(self, moment: dt.datetime) -> bool:
        return self.starts_at <= moment < self.ends_at

    def admits(self, moment: dt.datetime) -> bool:
        return self.covers(moment) and not self.used_up

    def will_admit(self, moment: dt.datetime) -> bool:
        return moment < self.starts_at < self.ends_at and not self.used_up


@dataclass(frozen=True, slots=True)
class Credential:
    """A card, its holder and the rules that let the holder pass.

    Validity is half-open: from `valid_from` (included) to `valid_until` (not included), each
    already the stricter of the card's and the person's. `holidays` is empty when no rule has a
    schedule, `visits` is None for who is no visitor; a visitor passes during one of them only.
    `as_of` marks the state of the policies that it was read from.
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
    visits: tuple[VisitTerms, ...] | None = None

    @property
    def is_scheduled(self) -> bool:
        """Whether any of its rules has a schedule."""
        return any(rule.windows is not None for rule in self.rules)

    @property
    def needs_clock(self) -> bool:
        """Whether it opens at some times only, so that a wrong clock matters."""
        return self.is_scheduled or self.visits is not None

    def is_not_yet_valid(self, moment: dt.datetime) -> bool:
        if self.valid_from and moment < self.valid_from:
            return True
        return self._stays_out(moment) and any(v.will_admit(moment) for v in self.visits or ())

    def has_expired(self, moment: dt.datetime) -> bool:
        return bool(self.valid_until and moment >= self.valid_until) or self._stays_out(moment)

    def visits_at(self, moment: dt.datetime) -> tuple[VisitTerms, ...]:
        """The visits during which the card may pass now."""
        return tuple(visit for visit in self.visits or () if visit.admits(moment))

    def counted_at(self, moment: dt.datetime) -> tuple[VisitTerms, ...]:
        """The visits of which one loses an entry when the card passes now."""
        visits = self.visits_at(moment)
        return () if any(visit.most is None for visit in visits) else visits

    def before(self, entry: str) -> "Credential":
        """As it was before this entry: a scan that is sent again is decided anew."""
        if not any(entry in visit.entries for visit in self.visits or ()):
            return self
        visits = [replace(one, entries=one.entries - {entry}) for one in self.visits or ()]
        return replace(self, visits=tuple(visits))

    def _stays_out(self, moment: dt.datetime) -> bool:
        """Whether this is a visitor during no visit that has entries left."""
        return self.visits is not None and not self.visits_at(moment)


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
