"""A fault on its way: which house, how long, what it saw."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.faults.house import House
from tests.faults.journal import GRANTED, NOTHING, REFUSED, Check, now, outcome_of
from tests.faults.load import CHECK, DOORS
from tests.faults.proxy import Proxy

OWN = "asked by the fault"


@dataclass
class Scene:
    """A fault on its way: the house, its length in seconds, its chance, and what it notes."""

    house: House
    seconds: float
    chance: random.Random
    times: int = 1  # how often, where a fault is a repeated blow
    windows: list[tuple[float, float]] = field(default_factory=list)
    # When what was killed or frozen was really away; a window begins before and ends after it.
    absences: list[tuple[float, float]] = field(default_factory=list)
    # What the fault itself took away: marks of readings, ids of checks.
    taken: set[int | str] = field(default_factory=set)
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # what the fault itself saw go wrong
    late: list[str] = field(default_factory=list)  # what took too long, or was given up for it
    checks: list[Check] = field(default_factory=list)  # that the fault itself asked
    proxy: Proxy | None = None  # where the scenario wants one

    @contextmanager
    def window(self) -> Iterator[None]:
        """The fault lasts as long as the block."""
        begun = now()
        try:
            yield
        finally:
            self.windows.append((begun, now()))

    @contextmanager
    def absence(self) -> Iterator[None]:
        """What is killed or frozen is away as long as the block lasts."""
        begun = now()
        yield
        self.absences.append((begun, now()))

    def expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.faults.append(otherwise)

    def expect_in_time(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.late.append(otherwise)

    def ask(self, door: httpx.Client, uid: str) -> Check:
        """A check beside the load; whoever asks it judges it."""
        asked, status, reply = now(), 0, {}
        try:
            answer = door.post(CHECK, json={"card_uid": uid})
            status, reply = answer.status_code, answer.json()
        except (httpx.HTTPError, ValueError):
            pass
        outcome = outcome_of(status, reply) if status else NOTHING
        log_id, reason = reply.get("access_log_id"), reply.get("reason", "")
        check = Check(DOORS[0], uid, OWN, None, asked, now(), outcome, log_id, reason)
        self.checks.append(check)
        return check

    def expect_outcome(self, check: Check, outcome: str, when: str) -> None:
        """A door that got no decision got none in time; another decision is wrong at any speed."""
        is_decided = check.outcome in (GRANTED, REFUSED)
        (self.expect if is_decided else self.expect_in_time)(
            check.outcome == outcome,
            f"{when} the card got {check.outcome} {check.reason} after {check.milliseconds:.0f} ms",
        )

    def note(self, name: str, value: float) -> None:
        """A figure; of several the greatest stays."""
        self.figures[name] = max(value, self.figures.get(name, 0.0))


Fault = Callable[[Scene], None]
