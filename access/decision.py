"""Does this credential open this door now? A pure function: no clock, no database."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from policies.rules import CardStatus, Credential, DoorState, RuleScope
from policies.schedules import Holding, holding


class Reason(StrEnum):
    """Why, in the order in which they are asked."""

    UNKNOWN_CARD = "unknown_card"
    CARD_BLOCKED = "card_blocked"
    CARD_INACTIVE = "card_inactive"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    DOOR_DISABLED = "door_disabled"
    LOCKDOWN = "lockdown"
    NO_RULE = "no_rule"
    HOLIDAY = "holiday"
    OUTSIDE_SCHEDULE = "outside_schedule"
    GRANTED = "granted"


WORDS = {
    Reason.UNKNOWN_CARD: "unknown card",
    Reason.CARD_BLOCKED: "card reported lost or stolen",
    Reason.CARD_INACTIVE: "card or person suspended",
    Reason.NOT_YET_VALID: "not valid yet",
    Reason.EXPIRED: "expired",
    Reason.DOOR_DISABLED: "door switched off or locked by its schedule",
    Reason.LOCKDOWN: "lockdown",
    Reason.NO_RULE: "no rule lets this person through this door",
    Reason.HOLIDAY: "closed on this holiday",
    Reason.OUTSIDE_SCHEDULE: "not at this time",
    Reason.GRANTED: "allowed",
}


VERDICTS = {
    Holding.HOLDS: Reason.GRANTED,
    Holding.HOLIDAY: Reason.HOLIDAY,
    Holding.OUTSIDE: Reason.OUTSIDE_SCHEDULE,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, its reason, and the rule that granted it."""

    reason: Reason
    credential: Credential | None
    rule: str = ""

    @property
    def granted(self) -> bool:
        return self.reason is Reason.GRANTED


def decide(
    credential: Credential | None,
    door: DoorState,
    moment: dt.datetime,
    *,
    clock_trusted: bool = True,
) -> Decision:
    """Grant only if every rule agrees; name the first reason that does not.

    `moment` is aware and in building time, because schedules are; validity is half-open, so a card
    is expired at its last moment. While the clock cannot be trusted schedules grant nothing, and
    visits neither. Of a visitor's entries only those count that the credential knows.
    """
    if credential is None:
        return Decision(Reason.UNKNOWN_CARD, None)
    if credential.status is CardStatus.BLOCKED:
        return Decision(Reason.CARD_BLOCKED, credential)
    if credential.status is CardStatus.INACTIVE or not credential.holder_active:
        return Decision(Reason.CARD_INACTIVE, credential)
    if credential.is_not_yet_valid(moment):
        return Decision(Reason.NOT_YET_VALID, credential)
    if credential.has_expired(moment):
        return Decision(Reason.EXPIRED, credential)
    if not door.switched_on or door.is_locked(moment):
        return Decision(Reason.DOOR_DISABLED, credential)
    if door.lockdown and not credential.lockdown_exempt:
        return Decision(Reason.LOCKDOWN, credential)
    verdict = Reason.NO_RULE
    for rule in credential.rules:
        if not rule.covers(door):
            continue
        verdict = _verdict(rule, credential, moment, clock_trusted)
        if verdict is Reason.GRANTED:
            return Decision(verdict, credential, rule.name)
    return Decision(verdict, credential)


def explain(
    credential: Credential, door: DoorState, moment: dt.datetime, *, clock_trusted: bool = True
) -> list[tuple[str, Reason]]:
    """What each rule of the card says about this door now, in the order in which they are asked.

    `no_rule` where a rule does not reach this door. What stops a card before any rule is asked,
    such as a lockdown, is `decide`'s to say.
    """
    return [
        (
            rule.name,
            _verdict(rule, credential, moment, clock_trusted)
            if rule.covers(door)
            else Reason.NO_RULE,
        )
        for rule in credential.rules
    ]


def _verdict(
    rule: RuleScope, credential: Credential, moment: dt.datetime, clock_trusted: bool
) -> Reason:
    """What a rule that reaches the door says: it grants, or why not now."""
    if not clock_trusted and (rule.windows is not None or credential.visits is not None):
        return Reason.OUTSIDE_SCHEDULE
    if rule.windows is None:
        return Reason.GRANTED
    return VERDICTS[holding(rule.windows, credential.holidays, moment)]
