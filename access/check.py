"""May this card open this door now? Decide, record, answer: in that order."""

import datetime as dt
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from access import clock
from access.decision import Decision, Reason, decide
from access.metrics import CHECK_SECONDS, CHECKS
from policies import cache
from policies.ids import uuid7
from policies.models import Card, Device, VisitEntry
from policies.moments import to_microseconds, to_milliseconds, utc_text
from policies.rules import Credential, DoorState, VisitTerms
from policies.snapshot import snapshot
from realtime import quota, streams

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


@dataclass(frozen=True, slots=True)
class Scan:
    """A card that was presented at a door. `begun` is `time.perf_counter()` when it asked."""

    door: Device
    card_uid: str
    event_id: uuid.UUID | None
    at: dt.datetime
    begun: float

    def log_id(self, decision: Decision) -> uuid.UUID:
        """A repeat of an event with the same decision is the same row; without an event, a new
        one."""
        if self.event_id is None:
            return uuid7(self.at)
        granted, reason = str(decision.granted).lower(), decision.reason
        claim = f"{self.door.device_id}/{self.event_id}/{granted}/{reason}"
        return uuid.uuid5(uuid.NAMESPACE_URL, claim)

    def answer(self, decision: Decision) -> Answer:
        return Answer(decision, self.card_uid, self.door.device_id, self.log_id(decision))

    def entry(self, answer: Answer) -> streams.Entry:
        """The row of the log."""
        credential = answer.decision.credential
        return {
            "id": str(answer.log_id),
            "timestamp": utc_text(self.at),
            "device_id": self.door.device_id,
            "device_name": self.door.name,
            "card_uid": answer.card_uid,
            "user_name": credential.holder if credential else "",
            "granted": answer.decision.granted,
            "reason": str(answer.decision.reason),
            "rule": answer.decision.rule,
            "latency_ms": round((time.perf_counter() - self.begun) * 1000, 2),
        }


def check_access(
    door: Device, card_uid: str, event_id: uuid.UUID | None = None, *, started: float | None = None
) -> Answer:
    """Decide a scan and record it.

    No record, no answer: if publishing fails the exception travels, and a door that hears
    anything but a grant stays shut. `started` is `time.perf_counter()` when the request came.
    """
    begun = time.perf_counter() if started is None else started
    scan = Scan(door, card_uid, event_id, to_milliseconds(timezone.now()), begun)
    credential, state = _known(door, card_uid)
    if credential and credential.visits and event_id:
        # Sent again, it is decided as if its entry had not been counted yet.
        credential = credential.before(str(scan.log_id(Decision(Reason.GRANTED, credential))))
    clock_trusted = not (credential and credential.needs_clock) or clock.is_right(scan.at)
    decision = decide(credential, state, timezone.localtime(scan.at), clock_trusted=clock_trusted)
    answer = _record(scan, decision)
    clock.watch.recorded(scan.at)
    CHECKS.labels(str(answer.decision.reason)).inc()
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
    known = (door.device_id, door.as_of, card_uid, credential and credential.as_of)
    return cache.read(lambda: _read_together(door, card_uid), about=known, by=door.answer_by)


def _read_together(door: Device, card_uid: str) -> tuple[Credential | None, DoorState]:
    with snapshot():
        return Card.objects.find_credential(card_uid), door.door.state()


def _record(scan: Scan, decision: Decision) -> Answer:
    """Make the decision durable. What the door is told is what was recorded."""
    answer = scan.answer(decision)
    credential = decision.credential
    if decision.granted and credential and (visits := credential.counted_at(scan.at)):
        return _record_entry(scan, answer, visits)
    streams.publish("access", [scan.entry(answer)], by=scan.door.answer_by)
    return answer


def _record_entry(scan: Scan, granted: Answer, visits: Sequence[VisitTerms]) -> Answer:
    """Let a visitor in whose entries are counted, or refuse when another door was first.

    The visit that ends first is used up first.
    """
    refused = scan.answer(Decision(Reason.EXPIRED, granted.decision.credential))
    entry = scan.entry(granted)
    claims = [
        quota.Claim(
            quota=visit.id,
            most=visit.most or 0,
            known=visit.entries,
            began=to_microseconds(visit.counted_from),
            entry=entry | {"visit": visit.id},
        )
        for visit in sorted(visits, key=lambda visit: visit.ends_at)
    ]
    recorded = quota.take("access", claims, scan.entry(refused), known=VisitEntry.objects.ids_of)
    return granted if recorded["granted"] else refused


def cut(text: str, most_bytes: int) -> str:
    """The text within so many bytes of UTF-8, cut between characters."""
    return text.encode()[:most_bytes].decode(errors="ignore")
