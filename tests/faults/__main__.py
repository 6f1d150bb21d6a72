"""`make faults`: `python -m tests.faults [WORDS OF A ROW …]`; settings in docs/reliability.md."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from types import FrameType

from tests.faults import embedded, kinds, oracle, race, report, soak
from tests.faults.audience import VIEWERS, Audience, audience_of
from tests.faults.controls import run_controls
from tests.faults.house import open_house
from tests.faults.result import Result
from tests.faults.run import run
from tests.faults.scenarios import SCENARIOS, Scenario

KILLS, KILLS_QUICK = 100, 4  # of the embedded house
SOAK_MINUTES = 30


def main(words: list[str]) -> int:
    quick, controls = is_set("QUICK"), is_set("CONTROLS")
    # What cannot be run is said; where everything is meant to be there, it is a failure.
    allowed = not os.environ.get("CI")
    if missing := kinds.missing_programs():
        report.say(f"The faults were NOT RUN: {missing} is not installed.")
        return 0 if allowed else 1
    begun = time.monotonic()
    report.head()
    results: list[Result] = []
    for result in run_controls(open_house) if controls else run_all(words, quick=quick):
        report.row(result)
        report.keep(result, "controls" if controls else "quick" if quick else "all")
        results.append(result)
    report.foot(results, time.monotonic() - begun)
    return 0 if all(one.passed or (one.not_run and allowed) for one in results) else 1


def is_set(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def run_all(words: list[str], *, quick: bool) -> Iterator[Result]:
    """Every row with every seed, then the rows with houses of their own, then the soak."""
    timed = os.environ.get("TIMED") != "0"
    seeds = range(1, 1 + int(os.environ.get("SEEDS") or (1 if quick else 3)))
    rows = [one for one in SCENARIOS if (one.short or not quick) and is_wanted(one.name, words)]
    for kind, group in groupby(rows, key=lambda one: one.house):
        yield from run_group(kind, list(group), seeds, quick=quick, timed=timed)
    if is_wanted(embedded.NAME, words):
        yield embedded.run(KILLS_QUICK if quick else KILLS, seeds[0], timed=timed)
    if not quick and is_wanted(race.NAME, words):  # `make test` has it, in its short form
        yield race.run(seeds[0])
    minutes = float(os.environ.get("SOAK") or (0 if quick else SOAK_MINUTES))
    if minutes and is_wanted(soak.NAME, words):
        with open_house() as house:
            yield soak.run(house, minutes, seeds[0])


def is_wanted(name: str, words: list[str]) -> bool:
    return not words or any(word in name for word in words)


def run_group(
    kind: str, rows: list[Scenario], seeds: range, *, quick: bool, timed: bool
) -> Iterator[Result]:
    """All rows that one house is enough for."""
    reason = kinds.impossible(kind)
    possible = [row for row in rows if not reason and not kinds.missing(row.needs)]
    for row in rows:
        if row not in possible:
            not_run = reason or kinds.missing(row.needs)
            yield Result(row.name, 0, oracle.Findings(), not_run=not_run)
    if not possible:
        return
    with open_house(kind) as house, ExitStack() as stack:
        # Tokens end with the clock; nobody watches there.
        audience = None if kind == "clock" else stack.enter_context(audience_of(house))
        for seed in seeds:
            for row in possible:
                yield run(house, row, seed, audience, quick=quick, timed=timed)
                if audience and audience.is_old:
                    yield watched(audience)
                    audience = stack.enter_context(audience_of(house))
        if audience and audience.checks:
            yield watched(audience)


def watched(audience: Audience) -> Result:
    """What the viewers say of the rows since the last time."""
    result = Result(
        f"{VIEWERS} viewers through it all", 0, oracle.Findings(), len(audience.decided)
    )
    result.faults += audience.end()
    return result


def end(number: int, frame: FrameType | None) -> None:
    """Everything that was started ends, too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main(sys.argv[1:]))
