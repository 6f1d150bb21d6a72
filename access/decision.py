"""Does this credential open this door now? A pure function: no clock, no database."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from policies.rules import CardStatus, Credential, DoorState


class Reason(StrEnum):
    """Why, in the order in which they are asked."""

    UNKNOWN_CARD = "unknown_card"
    CARD_BLOCKED = "card_blocked"
    CARD_INACTIVE = "card_inactive"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    DOOR_DISABLED = "door_disabled"
    NO_RULE = "no_rule"
    GRANTED = "granted"


WORDS = {
    Reason.UNKNOWN_CARD: "unknown card",
    Reason.CARD_BLOCKED: "card reported lost or stolen",
    Reason.CARD_INACTIVE: "card or person suspended",
    Reason.NOT_YET_VALID: "not valid yet",
    Reason.EXPIRED: "expired",
    Reason.DOOR_DISABLED: "door switched off",
    Reason.NO_RULE: "no rule lets this person through this door",
    Reason.GRANTED: "allowed",
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


def decide(credential: Credential | None, door: DoorState, moment: dt.datetime) -> Decision:
    """Grant only if every rule agrees; name the first reason that does not.

    `moment` is aware; validity is half-open, so a card is expired at its last moment.
    """
    if credential is None:
        return Decision(Reason.UNKNOWN_CARD, None)
    if credential.status is CardStatus.BLOCKED:
        return Decision(Reason.CARD_BLOCKED, credential)
    if credential.status is CardStatus.INACTIVE or not credential.holder_active:
        return Decision(Reason.CARD_INACTIVE, credential)
    if credential.valid_from and moment < credential.valid_from:
        return Decision(Reason.NOT_YET_VALID, credential)
    if credential.valid_until and moment >= credential.valid_until:
        return Decision(Reason.EXPIRED, credential)
    if not door.switched_on:
        return Decision(Reason.DOOR_DISABLED, credential)
    for rule in credential.rules:
        if rule.covers(door.device_id):
            return Decision(Reason.GRANTED, credential, rule.name)
    return Decision(Reason.NO_RULE, credential)
