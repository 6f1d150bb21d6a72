"""Why a card opens a door or does not, in words, asked of nobody. Nothing is recorded."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from access.decision import Decision, Reason, decide, explain
from policies.models import Card, Device, Door, Holiday, House, Rule, Zone
from policies.rules import CardStatus, Credential, DoorState
from policies.schedules import holiday_on

BATCH = 500


class NoDoor(ValueError):
    """The device is not on record, or never asks for access."""


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule had to say."""

    rule: str
    words: str


def door_named(device_id: str) -> Device:
    """The door of that id; NoDoor says in words what else it is."""
    device = (
        None
        if "\0" in device_id
        else Device.objects.select_related("door__always_locked")
        .filter(device_id=device_id)
        .first()
    )
    if device is None:
        raise NoDoor(f"There is no device {device_id!r}.")
    if device.kind != Device.Kind.DOOR:
        raise NoDoor(f"{device} is a {device.kind}; only doors ask for access.")
    return device


class Simulation:
    """Many questions to one house: each card and each door is looked up once."""

    def __init__(self, card_uids: Iterable[str]) -> None:
        self.credentials: dict[str, Credential] = {}
        wanted = list(dict.fromkeys(card_uids))
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            self.credentials |= Card.objects.find_credentials(batch)
        self.states: dict[str, DoorState] = {}

    def decide(
        self, card_uid: str, device_id: str, moment: dt.datetime, *, clock_trusted: bool = True
    ) -> Decision:
        """What a check at that moment would answer; NoDoor when no door would ask."""
        if device_id not in self.states:
            self.states[device_id] = door_named(device_id).door.state()
        credential, state = self.credentials.get(card_uid), self.states[device_id]
        here = timezone.localtime(moment)
        return decide(credential, state, here, clock_trusted=clock_trusted)


def rule_verdicts(
    decision: Decision,
    door: Door,
    state: DoorState,
    moment: dt.datetime,
    *,
    clock_trusted: bool = True,
) -> Iterator[RuleVerdict]:
    """The rules for this card's holder and what each says; and where none of them lets the card
    through, those that let others through this door."""
    credential = decision.credential
    if credential is None:
        return
    here = timezone.localtime(moment)
    asked = explain(credential, state, here, clock_trusted=clock_trusted)
    schedules = dict(Rule.objects.values_list("name", "schedule__name"))
    for name, reason in asked:
        words = {
            Reason.GRANTED: "lets this card through",
            Reason.NO_RULE: "is for other doors",
            Reason.HOLIDAY: f"rests today, {_holiday(here)} is a holiday",
            Reason.OUTSIDE_SCHEDULE: _outside(schedules.get(name)),
        }[reason]
        yield RuleVerdict(name, words)
    if decision.granted:
        return
    reaching = Q(every_door=True) | Q(doors=door) | Q(zone__devices=door.pk)
    others = Rule.objects.filter(reaching).exclude(name__in=[name for name, _ in asked])
    for rule in others.select_related("group").distinct():
        yield RuleVerdict(
            rule.name, f"is for the group “{rule.group}”, which {credential.holder} is not in"
        )


def circumstance(decision: Decision, door: Door, moment: dt.datetime) -> str:
    """What exactly is behind the reason; empty where the reason says it all."""
    credential = decision.credential
    match decision.reason:
        case Reason.CARD_INACTIVE if credential:
            is_cards = credential.status is CardStatus.INACTIVE
            return "the card is suspended" if is_cards else f"{credential.holder} is suspended"
        case Reason.NOT_YET_VALID | Reason.EXPIRED if credential:
            return _validity(credential, moment)
        case Reason.DOOR_DISABLED:
            if not door.switched_on:
                return "the door is switched off"
            return f"it is always locked by the schedule “{door.always_locked}”"
        case Reason.LOCKDOWN:
            return f"lockdown of {_locked_down(door)}"
        case Reason.HOLIDAY:
            return f"{_holiday(timezone.localtime(moment))} is a holiday"
    return ""


def _outside(schedule: str | None) -> str:
    if schedule is None:
        return "lets no visitor through while the clock of the house is not believed"
    return f"does not hold now, by its schedule “{schedule}”"


def _validity(credential: Credential, moment: dt.datetime) -> str:
    """Which end of it was passed, or is to come."""
    if credential.valid_from and moment < credential.valid_from:
        return f"valid from {_local(credential.valid_from)}"
    visits = credential.visits or ()
    if begins := [visit.starts_at for visit in visits if visit.will_admit(moment)]:
        return f"the visit begins at {_local(min(begins))}"
    if credential.valid_until and moment >= credential.valid_until:
        return f"valid until {_local(credential.valid_until)}"
    if any(visit.covers(moment) for visit in visits):
        return "all entries of the visit are used up"
    return "the visit is over"


def _locked_down(door: Door) -> str:
    if House.objects.filter(lockdown=True).exists():
        return "the house"
    zone = Zone.objects.filter(lockdown=True, devices=door.pk).first()
    return f"the zone “{zone}”" if zone else "this door"


def _holiday(here: dt.datetime) -> str:
    """The name of that day's holiday."""
    found = holiday_on(here.date(), Holiday.objects.values_of_all())
    named = Holiday.objects.filter(yearly=found.yearly, date=found.date).first() if found else None
    return f"“{named.name}”" if named else "the day"


def _local(moment: dt.datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"
