"""How fast is the production house? `python -m benchmarks.production`; `QUICK=1` for a short run.

Starts the whole of `make stack` in a folder of its own and lets four doors and ten sensors talk to
it through nginx and mutual TLS while 20 viewers watch: once with every reading a request, once
with half of them frames; then 200 watch, one of whom does not read for a while. Then the worker is
killed again and again; then it empties a full stream as fast as it can; then somebody reads a day
of history. Every answer is judged, every row counted.
Ends non-zero when one was wrong or missing, or a goal was missed.
"""

import asyncio
import datetime as dt
import gc
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import devices, history, live, stack, storing
from benchmarks.load import Results
from benchmarks.rounds import Round, missing_rows
from benchmarks.table import head, keep, line, row, say
from tests.stack import Stack

LOAD = 20, 200  # checks and readings a second
WHILE_KILLED, KILLED_SECONDS = (20, 100), 20  # 2 000 readings
SEED = 7

MANY = 200  # viewers of one Daphne

GOALS = {
    "check_p99_ms_production": 50,
    "ingest_p99_ms_production": 100,
    "live_p99_ms_production": 200,
    "live_p99_ms_200_viewers": 200,
    "paused_viewer_mb_production": 20,
    "history_24h_1m_ms": 100,
    "production_rss_mb": 513,
}
WORKER_GOAL = 25_000  # at least so many


@dataclass(frozen=True)
class Found:
    """What the whole run found out."""

    rounds: list[Round]
    memory: dict[str, float]
    many: Round
    killed: Round
    kills: int
    rows_per_second: float
    history: Results
    missing: list[str]


def main() -> int:
    is_quick = os.environ.get("QUICK", "0") not in ("", "0")
    with tempfile.TemporaryDirectory(prefix="smarthome-bench-") as folder:
        say("starting nginx, web, live, worker, two Redis and PostgreSQL")
        files = Path(folder) / "devices"
        with stack.open_house(Path(folder) / "house") as running:
            devices.settle(files)
            gc.freeze()
            found = measure(running, files, is_quick=is_quick)
    return judge(found)


def measure(running: Stack, files: Path, *, is_quick: bool) -> Found:
    seconds, rows, asked = (15, 50_000, 20) if is_quick else (60, 100_000, 100)
    house = live.House(
        running.url,
        running.mtls_port,
        files,
        lambda: sum(stack.memory_mb(running).values()),
        lambda: sum(stack.used_seconds(running).values()),
    )
    say(
        f"{LOAD[0]} checks/s + {LOAD[1]} readings/s, rate limits off, {os.cpu_count()} cores, "
        f"this generator and {live.VIEWERS} viewers are among their users"
    )
    rounds = [
        measure_round(running, house, "every reading a request", seconds, sockets=0),
        measure_round(running, house, "half of the readings over /ws", seconds, sockets=5),
    ]
    memory = stack.memory_mb(running)
    many = measure_round(
        running, house, f"{MANY} viewers, one paused and one cut off again and again", seconds,
        sockets=0, count=MANY, slow=True,
    )  # fmt: skip

    killed = Round("the worker killed every second or two", *WHILE_KILLED)
    say(f"{killed.title}, for {KILLED_SECONDS} s")
    kills = asyncio.run(storing.while_killed(house, killed, running, KILLED_SECONDS))
    stack.wait_until_stored()
    missing = missing_rows([*rounds, many, killed])

    say(f"the worker empties a stream of {rows} readings")
    speed = storing.rows_per_second(running, files, rows)
    missing += missing_rows([*rounds, many, killed], others=rows)

    say("a week of one reading a second; somebody asks for a day of it")
    now = dt.datetime.now(dt.UTC)
    history.store(now)
    read = history.measure(running, now, asked)
    return Found(rounds, memory, many, killed, kills, speed, read, missing)


def measure_round(
    running: Stack, house: live.House, title: str, seconds: float, *, sockets: int, **viewers: Any
) -> Round:
    say(f"{title}, for {seconds} s")
    of = Round(title, *LOAD)
    before, begun = stack.used_seconds(running), time.perf_counter()
    of.shown = asyncio.run(live.watched(house, of.jobs(sockets), seconds, SEED, **viewers))
    took, after = time.perf_counter() - begun, stack.used_seconds(running)
    of.shares = {name: (after[name] - before[name]) / took for name in after}
    of.memory_mb = house.memory()
    stack.wait_until_stored()
    return of


def judge(found: Found) -> int:
    """Compare with the goals, print, keep; the exit status."""
    rounds = found.rounds
    figures: dict[str, Any] = {
        # Of the slowest round.
        "check_p99_ms_production": round(max(r.checks.percentile(99) for r in rounds), 1),
        "ingest_p99_ms_production": round(max(r.readings.percentile(99) for r in rounds), 1),
        "live_p99_ms_production": round(max(r.shown.delays.percentile(99) for r in rounds), 1),
        "live_p99_ms_200_viewers": round(found.many.shown.delays.percentile(99), 1),
        "paused_viewer_mb_production": round(found.many.shown.growth_mb, 1),
        "history_24h_1m_ms": round(found.history.percentile(50), 1),
        "production_rss_mb": round(max(r.memory_mb for r in rounds)),
        "worker_rows_per_second": round(found.rows_per_second),
    }
    faults = [fault for r in (*rounds, found.many, found.killed) for fault in r.faults]
    faults += found.missing + found.history.faults
    report(figures, found)
    keep(figures)
    for fault in faults[:5]:
        print(f"WRONG {fault}")
    missed = [name for name, goal in GOALS.items() if figures[name] >= goal]
    missed += ["worker_rows_per_second"] * (found.rows_per_second < WORKER_GOAL)
    print(
        f"{len(faults)} wrong answers, rows or frames; "
        + (f"missed: {missed}" if missed else "goals met")
    )
    return 1 if faults or missed else 0


def report(figures: dict[str, Any], found: Found) -> None:
    head()
    for of in (*found.rounds, found.many):
        print(of.title if of is found.many else f"{of.title}, {live.VIEWERS} viewers")
        row("  check, ms", of.checks, GOALS["check_p99_ms_production"])
        row("  ingest, ms", of.readings, GOALS["ingest_p99_ms_production"])
        row("  accepted to frame, ms", of.shown.delays, GOALS["live_p99_ms_production"])
        row("  generator late, ms", of.lateness)
        print("  of a core, %: " + each({name: 100 * part for name, part in of.shares.items()}))
    line("  the paused one and all, MB", figures["paused_viewer_mb_production"], 20)
    print(f"{found.killed.title}: {found.kills} kills")
    row("  check, ms", found.killed.checks)
    row("  ingest, ms", found.killed.readings)
    row("24 h by the minute, ms", found.history)
    line("  P50", figures["history_24h_1m_ms"], GOALS["history_24h_1m_ms"])
    line("worker, rows/s", figures["worker_rows_per_second"], f">= {WORKER_GOAL}")
    line("memory of the app, MB", figures["production_rss_mb"], GOALS["production_rss_mb"])
    print("  at the end, MB: " + each(found.memory))


def each(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {figure:.0f}" for name, figure in figures.items())


if __name__ == "__main__":
    sys.exit(main())
