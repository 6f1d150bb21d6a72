"""20 viewers of the live page through all faults, one that reads slowly and one that is cut off.

They come back and resume by themselves. What a viewer was not shown although it was decided, and
was not told of by a gap, is a loss that nobody said.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import IO

from tests.faults.house import House
from tests.faults.journal import GRANTED, REFUSED, Check, now
from tests.house import ROOT

VIEWERS = 20
SLOW = 2  # of them: one pauses, one loses its connection every few seconds
OLDEST = 150.0  # seconds; a token lasts five minutes, a row may last two and a half


class Audience:
    """The viewers' process, `benchmarks.viewers`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.begun = now()
        with (house.folder / "log" / "viewers.log").open("ab") as log:
            self.process = self._start(log)
        self._tell(house.stack.token())
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the viewers did not get ready")
        self.ready = now()
        self._tell("pause")
        self.checks: list[Check] = []

    @property
    def is_old(self) -> bool:
        return now() - self.begun > OLDEST

    def end(self) -> list[str]:
        """What viewers missed without being told."""
        self._tell("wake")
        self._tell("settle")
        assert self.process.stdout
        if self.process.stdout.readline() != "settled\n":
            raise RuntimeError("the viewers ended by themselves")
        said, _ = self.process.communicate("end\n", timeout=30)
        return judge(self.decided, {name: one["seen"] for name, one in json.loads(said).items()})

    @property
    def decided(self) -> set[str]:
        """The log rows of all checks that were answered since everybody watches."""
        return {
            str(check.log_id)
            for check in self.checks
            if check.outcome in (GRANTED, REFUSED) and check.asked > self.ready
        }

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _start(self, log: IO[bytes]) -> "subprocess.Popen[str]":
        stack = self.house.stack
        url = stack.url.replace("http", "ws", 1) + "/ws"
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.viewers", url, str(VIEWERS - SLOW), "slow"],
            cwd=ROOT,
            env=stack.environment | {"SSL_CERT_FILE": str(self.house.folder / "pki" / "ca.crt")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def _tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def audience_of(house: House) -> Iterator[Audience]:
    """Viewers for as long as the block lasts, at most."""
    audience = Audience(house)
    try:
        yield audience
    finally:
        audience.kill()


def judge(decided: Collection[str], seen_by: dict[str, dict[str, float]]) -> list[str]:
    """Viewers who missed events and saw no gap."""
    found = []
    for name, seen in seen_by.items():
        missed = set(decided) - seen.keys()
        if missed and "gap" not in seen:
            found.append(f"{name} missed {len(missed)} of {len(decided)} events and was not told")
    return found
