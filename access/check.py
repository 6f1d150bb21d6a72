"""May this card open this door now? Decide, record, answer: in that order."""

import datetime as dt
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from access import clock
from access.decision import Decision, Reason, decide
from access.metrics import CHECK_SECONDS, CHECKS
from policies import cache
from policies.ids import uuid7
from policies.models import Card, Device
from policies.moments import to_milliseconds, utc_text
from policies.rules import Credential, DoorState
from policies.snapshot import snapshot
from realtime import streams

logger = logging.getLogger(__name__)

# Bytes of UTF-8. Doors parse the reply into 512 bytes and stay shut when it does not fit.
MAX_NAME_BYTES = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded decision, ready to be told."""

    decision: Decision
    card_uid: str
    device_id: str
    log_id: uuid.UUID

    def as_reply(self) -> dict[str, Any]:
        """The door's reply; its members are counted, so add none."""
        reply: dict[str, Any] = {
            "granted": self.decision.granted,
            "reason": str(self.decision.reason),
            "card_uid": self.card_uid,
            "device_id": self.device_id,
        }
        credential = self.decision.credential
        if self.decision.granted and credential:
            until = credential.valid_until
            reply["user_name"] = cut(credential.holder, MAX_NAME_BYTES)
            reply["expires_at"] = until and utc_text(until)
        return reply | {"access_log_id": str(self.log_id)}


def check_access(
    door: Device, card_uid: str, event_id: uuid.UUID | None = None, *, started: float | None = None
) -> Answer:
    """Decide a scan and record it.

    No record, no answer: if publishing fails the exception travels, and a door that hears
    anything but a grant stays shut. `started` is `time.perf_counter()` when the request came.
    """
    begun = time.perf_counter() if started is None else started
    at = to_milliseconds(timezone.now())
    credential, state = _known(door, card_uid)
    clock_trusted = not (credential and credential.is_scheduled) or clock.is_right(at)
    decision = decide(credential, state, timezone.localtime(at), clock_trusted=clock_trusted)
    answer = Answer(
        decision, card_uid, door.device_id, log_id(door.device_id, event_id, decision, at)
    )
    entry = _entry(door, answer, at)
    entry["latency_ms"] = round((time.perf_counter() - begun) * 1000, 2)
    streams.publish("access", [entry], by=door.answer_by)
    clock.watch.recorded(at)
    CHECKS.labels(str(decision.reason)).inc()
    CHECK_SECONDS.observe(time.perf_counter() - begun)
    if decision.reason is Reason.CARD_BLOCKED:
        logger.warning("blocked card %s presented at %s", card_uid, door.device_id)
    return answer


def _known(door: Device, card_uid: str) -> tuple[Credential | None, DoorState]:
    """What the house knows of a card and of a door, both from one state of the policies.

    The door came with its certificate, a moment before the card. Where somebody has changed
    something in between, both are read once more, together.
    """
    credential = cache.remember(
        Credential,
        f"card:{card_uid}",
        lambda: Card.objects.find_credential(card_uid),
        by=door.answer_by,
    )
    if door.door_state and (credential is None or credential.as_of == door.as_of):
        return credential, door.door_state
    return cache.read(lambda: _read_together(door, card_uid), by=door.answer_by)


def _read_together(door: Device, card_uid: str) -> tuple[Credential | None, DoorState]:
    with snapshot():
        return Card.objects.find_credential(card_uid), door.door.state()


def log_id(
    device_id: str, event_id: uuid.UUID | None, decision: Decision, at: dt.datetime
) -> uuid.UUID:
    """A repeat of an event with the same decision is the same row; without an event, a new one."""
    if event_id is None:
        return uuid7(at)
    claim = f"{device_id}/{event_id}/{str(decision.granted).lower()}/{decision.reason}"
    return uuid.uuid5(uuid.NAMESPACE_URL, claim)


def cut(text: str, most_bytes: int) -> str:
    """The text within so many bytes of UTF-8, cut between characters."""
    return text.encode()[:most_bytes].decode(errors="ignore")


def _entry(door: Device, answer: Answer, at: dt.datetime) -> streams.Entry:
    credential = answer.decision.credential
    return {
        "id": str(answer.log_id),
        "timestamp": utc_text(at),
        "device_id": door.device_id,
        "device_name": door.name,
        "card_uid": answer.card_uid,
        "user_name": credential.holder if credential else "",
        "granted": answer.decision.granted,
        "reason": str(answer.decision.reason),
        "rule": answer.decision.rule,
    }
