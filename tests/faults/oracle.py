"""Does what the house kept fit what was sent and answered? Pure functions over plain values.

A is what was confirmed, S what was sent, D what is stored: A − D = ∅, D − S = ∅, nothing twice,
values equal; every answered check has one row, and no door heard "granted" that should not have.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields

from tests.faults.journal import GRANTED, REFUSED, Check, Reading
from tests.faults.load import NEVER
from tests.faults.stored import LogRow, Stored, StoredReading

# All reasons a row may have; with an event's id they are all the ids that its rows may have.
REASONS = (
    "granted",
    "unknown_card",
    "card_blocked",
    "card_inactive",
    "not_yet_valid",
    "expired",
    "door_disabled",
    "lockdown",
    "no_rule",
    "holiday",
    "outside_schedule",
)


@dataclass
class Findings:
    """How often each rule was broken; all zero is the only pass. `examples` say which."""

    lost: int = 0
    twice: int = 0
    never_sent: int = 0
    changed: int = 0
    vanished: int = 0
    false_grants: int = 0
    without_row: int = 0
    wrong_letters: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, rule: str, found: Collection[object]) -> None:
        setattr(self, rule, getattr(self, rule) + len(found))
        self.examples += [f"{rule}: {one}" for one in list(found)[:3]]

    @property
    def counts(self) -> dict[str, int]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "examples"}

    @property
    def none(self) -> bool:
        return not any(self.counts.values())


def judge(
    sent: Mapping[int, Reading],
    confirmed: Collection[int],
    checks: Iterable[Check],
    stored: Stored,
    taken: Collection[int | str] = (),
) -> Findings:
    """All rules over readings and checks. `taken` is what the fault itself took away (a stream that
    somebody emptied), marks of readings and ids of checks: who counts must know them exactly."""
    findings = Findings()
    judge_readings(findings, sent, {*confirmed}.difference(taken), stored.readings)
    judge_checks(findings, list(checks), stored.log, taken)
    return findings


def judge_readings(
    findings: Findings,
    sent: Mapping[int, Reading],
    confirmed: Collection[int],
    rows: Counter[StoredReading],
) -> None:
    by_mark: Counter[int | None] = Counter()
    for row, count in rows.items():
        by_mark[row.mark] += count
    findings.add("lost", sorted(set(confirmed) - by_mark.keys()))
    findings.add("twice", [mark for mark, n in by_mark.items() if n > 1 and mark in sent])
    findings.add("never_sent", [row for row in rows if row.mark not in sent])
    findings.add(
        "changed", [row for row in rows if row.mark in sent and differs(row, sent[row.mark])]
    )


def differs(row: StoredReading, reading: Reading) -> bool:
    """Whether any value is not the one that was sent."""
    of_row = row.device_id, row.temperature, row.humidity, row.pressure
    return of_row != (reading.device_id, reading.temperature, reading.humidity, reading.pressure)


def judge_checks(
    findings: Findings,
    checks: list[Check],
    rows: Counter[LogRow],
    taken: Collection[int | str] = (),
) -> None:
    decided = [check for check in checks if check.outcome in (GRANTED, REFUSED)]
    findings.add(
        "false_grants",
        [one for one in decided if one.outcome == GRANTED and one.kind in NEVER],
    )
    by_id = {row.log_id: row for row in rows}
    gone = {*taken} - by_id.keys()  # of what was taken, a worker may have had some already
    expected = [one for one in decided if str(one.log_id) not in gone]
    findings.add(
        "without_row", [one for one in expected if not fits(by_id.get(str(one.log_id)), one)]
    )
    findings.add("twice", [row for row, count in rows.items() if count > 1])
    findings.add("never_sent", unexplained(checks, rows))


def fits(row: LogRow | None, check: Check) -> bool:
    """Whether the row tells what the door was told."""
    return row is not None and (row.device_id, row.card_uid, row.granted, row.reason) == (
        check.door,
        check.uid,
        check.outcome == GRANTED,
        check.reason,
    )


def unexplained(checks: list[Check], rows: Iterable[LogRow]) -> list[LogRow]:
    """Rows that no check can have made: neither answered, nor of an event that was sent, nor one
    of the scans without an id whose answer never came."""
    known = {str(check.log_id) for check in checks if check.log_id}
    for event in {(check.door, check.event_id) for check in checks if check.event_id}:
        known |= ids_of(*event)
    open_scans = Counter(
        (check.door, check.uid)
        for check in checks
        if check.event_id is None and check.outcome not in (GRANTED, REFUSED)
    )
    found = []
    for row in rows:
        if row.log_id in known:
            continue
        if open_scans[row.device_id, row.card_uid] > 0:
            open_scans[row.device_id, row.card_uid] -= 1
        else:
            found.append(row)
    return found


def ids_of(door: str, event_id: str | None) -> set[str]:
    """The ids that rows of an event may have; as access/check.py: log_id."""
    return {
        str(uuid.uuid5(uuid.NAMESPACE_URL, f"{door}/{event_id}/{granted}/{reason}"))
        for reason in REASONS
        for granted in [str(reason == "granted").lower()]
    }


def judge_letters(findings: Findings, poison: Iterable[bytes], letters: Iterable[bytes]) -> None:
    """The dead letters are exactly the poison."""
    put, found = Counter(poison), Counter(letters)
    findings.add("wrong_letters", [*(put - found).elements(), *(found - put).elements()])
