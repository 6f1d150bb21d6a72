"""The controls: what is known to be wrong must be found wrong, or the harness proves nothing."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from realtime.streams import key
from tests.faults import door
from tests.faults.house import House
from tests.faults.load import TOGGLED
from tests.faults.oracle import Findings
from tests.faults.result import Result
from tests.faults.run import run
from tests.faults.scenarios import Scenario
from tests.faults.scene import Scene
from tests.faults.stores import disk_slow
from tests.faults.workers import dying_worker, without_worker
from tests.house import ROOT

SECONDS = 4.0
KEPT = 20  # entries, where a stream is trimmed
# Redis writes behind while the disk is slow: a crash takes what was confirmed.
EVERY_SECOND = disk_slow(1500, policy="everysec")


@dataclass(frozen=True)
class Control:
    """What is broken on purpose, and the rule that must be found broken."""

    name: str
    rule: str
    run: Callable[[House], Findings]


def streams_trimmed(scene: Scene) -> None:
    """As MAXLEN on XADD, while no worker is there."""
    until = time.monotonic() + scene.seconds
    with without_worker(scene.house), scene.house.redis("redis") as client:
        while time.monotonic() < until:
            for kind in ("access", "sensors"):
                client.xtrim(key(kind), maxlen=KEPT, approximate=False)
            time.sleep(0.02)


def ledger_off(scene: Scene) -> None:
    """A worker that holds every reading for new, killed before it acknowledges."""
    with without_worker(scene.house):
        for _ in range(3):
            dying_worker(scene, "forget-the-ledger", 1)


def under_load(name: str, fault: Callable[[Scene], None]) -> Callable[[House], Findings]:
    scenario = Scenario(name, fault, SECONDS, SECONDS, ingest="any", bounds={})
    return lambda house: run(house, scenario, 1, quick=True).findings


def stale(design: str) -> Callable[[House], Findings]:
    """Two processes that answer doors, one that revokes: which designs grant afterwards?"""
    return lambda house: Findings(false_grants=int(grants_after_revocation(house, design)))


def grants_after_revocation(house: House, design: str) -> bool:
    """The worst order: one process has read the card and not yet filed what it read when another
    revokes it."""
    slow, other = Door(house, design), Door(house, design)
    try:
        other.ask("reactivate")
        other.ask("forget")
        if design == door.LOCAL:
            slow.ask("check")  # it remembers
            other.ask("revoke")
        else:
            if slow.ask("check slowly") != "has read":
                raise RuntimeError("the card was known before")
            other.ask("revoke")
            slow.told()
            time.sleep(2 * door.SLOW)  # it may file what it read behind its answer
        return slow.ask("check") == "granted"
    finally:
        slow.end()
        other.end()


class Door:
    """A process that answers doors by one design, told line by line."""

    def __init__(self, house: House, design: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.door", design, TOGGLED],
            cwd=ROOT,
            env=house.stack.environment | house.settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def tell(self, order: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def told(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def ask(self, order: str) -> Any:
        self.tell(order)
        return self.told()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


CONTROLS = [
    Control("fsync every second", "lost", under_load("control", EVERY_SECOND)),
    Control("streams with MAXLEN", "lost", under_load("control", streams_trimmed)),
    Control("ledger off", "twice", under_load("control", ledger_off)),
    Control("cache that deletes keys one by one", "false_grants", stale(door.ONE_BY_ONE)),
    Control("memory of its own in each of two processes", "false_grants", stale(door.LOCAL)),
]
# The same order of events, and nothing may be found.
PRODUCT = Control("the product's own cache, the same order", "", stale(door.PRODUCT))


def run_controls(house_of: Callable[[], Any]) -> Iterator[Result]:
    """Each in a house of its own; passed when the rule was found broken."""
    for control in (*CONTROLS, PRODUCT):
        with house_of() as house:
            found = control.run(house).counts
        broken = [f"{rule} {count}" for rule, count in found.items() if count]
        seen = bool(found.get(control.rule)) if control.rule else not broken
        said = f"found: {', '.join(broken) or 'nothing'}"
        result = Result(f"control: {control.name}", 1, Findings(), said=said)
        result.expect(seen, f"{control.rule or 'nothing'} was to be found")
        yield result
