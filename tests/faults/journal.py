"""What was sent, what was confirmed, and how long each answer took.

A reading counts as confirmed once its complete 202 was read and its mark is on this machine's disk:
whatever happens to the harness afterwards, the claim that is checked stays the same.
"""

import os
import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What a check came to: two decisions, another status, or no complete answer at all.
GRANTED, REFUSED, AWAY, NOTHING = "granted", "refused", "503", "nothing"


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading as it was sent; `mark` is its number in the whole run and travels with it."""

    mark: int
    device_id: str
    temperature: float
    humidity: float
    pressure: float


@dataclass(frozen=True, slots=True)
class Check:
    """One question of a door and what came of it. Times are monotonic seconds."""

    door: str
    uid: str
    kind: str  # of load.KINDS
    event_id: str | None
    asked: float
    answered: float
    outcome: str
    log_id: str | None  # as the answer named it
    reason: str = ""

    @property
    def milliseconds(self) -> float:
        return (self.answered - self.asked) * 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request with readings; `status` is 0 when no complete answer came."""

    asked: float
    answered: float
    status: int
    count: int


@dataclass
class Journal:
    """Everything one load did. Filled by the load's thread, read by others when it has ended."""

    file: Path
    sent: dict[int, Reading] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # ms by which the load itself was late

    def __post_init__(self) -> None:
        self._queue: queue.SimpleQueue[Iterable[int] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def confirm(self, readings: Iterable[Reading]) -> None:
        """A complete 202 was read for these."""
        self._queue.put([reading.mark for reading in readings])

    def close(self) -> set[int]:
        """The marks of all confirmed readings, as they lie on the disk."""
        self._queue.put(None)
        self._writer.join()
        return {int(line) for line in self.file.read_text().split()}

    def _write(self) -> None:
        """One fsync for all that waited meanwhile."""
        with self.file.open("w") as out:
            while (marks := self._queue.get()) is not None:
                out.writelines(f"{mark}\n" for mark in marks)
                if self._queue.empty():
                    out.flush()
                    os.fsync(out.fileno())


def now() -> float:
    """The clock of every time in the journal; all processes of a machine share it."""
    return time.monotonic()


def outcome_of(status: int, reply: dict[str, Any]) -> str:
    """What a door makes of an answer."""
    if status == 200:
        return GRANTED if reply.get("granted") is True else REFUSED
    return str(status) if status else NOTHING
