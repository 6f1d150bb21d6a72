"""How fast is the embedded house? `make bench`; `QUICK=1` for a short run.

Starts a real `serve` in a folder of its own, lets four doors and ten sensors talk to it over mutual
TLS from this process, judges every answer, counts the stored rows and prints a table. Four rounds:
nobody watches; 20 viewers watch; one more of them pauses and another is cut off again and again;
one comes back after an hour.
Ends non-zero when an answer was wrong, a row or an event is missing or a goal was missed.
"""

import asyncio
import contextlib
import gc
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks import devices, live
from benchmarks.processes import cpu_seconds, resident_mb
from benchmarks.rounds import Round, missing_rows
from benchmarks.table import PROJECT, head, keep, line, row, say

LOAD = 20, 50  # checks and readings a second
SEED = 7
SHORTEST_PAUSE = 40  # seconds; the kernel takes the first 20 before the house feels anything

GOALS = {
    "check_p99_ms_embedded": 40,
    "ingest_p99_ms_embedded": 40,
    "live_p99_ms_embedded": 200,
    "embedded_start_s": 2,
    "embedded_rss_mb": 130,
    "paused_viewer_mb": 20,
    "events_missed_by_resume": 1,
}


def main() -> int:
    seconds = 15 if os.environ.get("QUICK", "0") not in ("", "0") else 60
    with tempfile.TemporaryDirectory(prefix="smarthome-bench-") as folder:
        data_dir = Path(folder) / "house"
        os.environ |= {
            "DATA_DIR": str(data_dir),
            "DJANGO_SETTINGS_MODULE": "smarthome.settings",
            "ADMIN_PASSWORD": secrets.token_urlsafe(16),
            "RATE_LIMIT_CHECK": "0",
            "RATE_LIMIT_INGEST": "0",
            "LOG_LEVEL": "WARNING",
            # Empty beats a value in .env: this house is embedded.
            **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS"), ""),
        }
        prepare(Path(folder))
        return measure(Path(folder), seconds)


def prepare(files: Path) -> None:
    import django

    django.setup()
    devices.settle(files)


def measure(files: Path, seconds: float) -> int:
    http, mtls = free_port(), free_port()
    command = [sys.executable, "manage.py", "serve"]
    command += ["--http", f"127.0.0.1:{http}", "--mtls", f"127.0.0.1:{mtls}"]
    log = files / "serve.log"
    with log.open("wb") as output:
        begun = time.perf_counter()
        serve = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=output)
    try:
        wait_until_up(serve, http, mtls)
        started = time.perf_counter() - begun
        say(
            f"{LOAD[0]} checks/s + {LOAD[1]} readings/s for {seconds} s, "
            f"rate limits off, {os.cpu_count()} cores, this generator is one of their users"
        )
        gc.freeze()
        house = live.House(
            f"http://127.0.0.1:{http}",
            mtls,
            files,
            lambda: resident_mb(serve.pid),
            lambda: cpu_seconds(serve.pid),
        )
        rounds = asyncio.run(measure_rounds(house, seconds))
    except Exception:
        sys.stderr.write(log.read_text()[-2000:])
        raise
    finally:
        serve.terminate()
        try:
            serve.wait(10)
        except subprocess.TimeoutExpired:
            serve.kill()
            serve.wait()
    return judge(rounds, started)


async def measure_rounds(house: live.House, seconds: float) -> list[Round]:
    pause = max(seconds, SHORTEST_PAUSE)
    alone = Round("nobody watches", *LOAD)
    watched = Round(f"{live.VIEWERS} viewers, half of the readings over /ws", *LOAD)
    slow = Round(f"the same, one more paused {pause} s and one cut off again and again", *LOAD)
    alone.shown = await live.unwatched(house, alone.jobs(), seconds, SEED)
    alone.memory_mb = house.memory()
    watched.shown = await live.watched(house, watched.jobs(sockets=5), seconds, SEED)
    watched.memory_mb = house.memory()
    slow.shown = await live.watched(house, slow.jobs(sockets=5), pause, SEED, slow=True)
    slow.memory_mb = house.memory()
    back = Round(f"one viewer comes back for {live.EVENTS_AN_HOUR} events", *LOAD)
    back.shown = await live.returning(house, back.jobs(), seconds, SEED)
    back.memory_mb = house.memory()
    return [alone, watched, slow, back]


def judge(rounds: list[Round], started: float) -> int:
    """Compare with the goals, print, keep; the exit status."""
    _, watched, slow, back = rounds
    missed = slow.shown.missed | back.shown.missed
    figures = {
        # Of the slowest round.
        "check_p99_ms_embedded": round(max(r.checks.percentile(99) for r in rounds), 1),
        "ingest_p99_ms_embedded": round(max(r.readings.percentile(99) for r in rounds), 1),
        "live_p99_ms_embedded": round(
            max(r.shown.delays.percentile(99) for r in (watched, slow)), 1
        ),
        "embedded_start_s": round(started, 2),
        "embedded_rss_mb": round(max(r.memory_mb for r in rounds)),
        "paused_viewer_mb": round(max(0.0, slow.shown.growth_mb - watched.shown.growth_mb), 1),
        "events_missed_by_resume": sum(
            count for name, count in missed.items() if not name.startswith("viewer")
        ),
    }
    faults = [fault for r in rounds for fault in r.faults]
    faults += missing_rows(rounds)
    report(figures, rounds)
    keep(figures)
    for fault in faults[:5]:
        print(f"WRONG {fault}")
    over = [name for name, goal in GOALS.items() if figures[name] >= goal]
    print(
        f"{len(faults)} wrong answers, rows or frames; "
        + (f"missed: {over}" if over else "goals met")
    )
    return 1 if faults or over else 0


def wait_until_up(serve: subprocess.Popen[bytes], http: int, mtls: int) -> None:
    deadline = time.monotonic() + 30
    for is_up in (lambda: answers(http), lambda: accepts(mtls)):
        while not is_up():
            if serve.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("serve did not start")
            time.sleep(0.01)


def answers(http: int) -> bool:
    with contextlib.suppress(OSError):
        address = f"http://127.0.0.1:{http}/health/live"
        with urllib.request.urlopen(address, timeout=5) as reply:  # our own port
            return bool(json.load(reply)["alive"])
    return False


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(figures: dict[str, Any], rounds: list[Round]) -> None:
    head()
    for of in rounds:
        print(of.title)
        row("  check, ms", of.checks, GOALS["check_p99_ms_embedded"])
        row("  ingest, ms", of.readings, GOALS["ingest_p99_ms_embedded"])
        if of.shown.delays.latencies:
            row("  accepted to frame, ms", of.shown.delays, GOALS["live_p99_ms_embedded"])
        row("  generator late, ms", of.lateness)
        line("  memory, MB", f"{of.memory_mb:.1f}", GOALS["embedded_rss_mb"])
        line("  of a core, %", f"{of.shown.cpu_share:.0%}".rstrip("%"))
    _, watched, slow, back = (of.shown for of in rounds)
    growth = f"{slow.growth_mb:.1f}, without {watched.growth_mb:.1f}"
    line("pause and return, MB", growth, GOALS["paused_viewer_mb"])
    line("missed by resume", figures["events_missed_by_resume"], GOALS["events_missed_by_resume"])
    line("an hour told in, s", f"{back.replay_s:.1f}")
    line("start, s", figures["embedded_start_s"], GOALS["embedded_start_s"])
    for name in ("paused", "cut off"):
        say(f"{name}: {slow.skipped[name]} readings skipped, ended by {slow.codes[name]}")


if __name__ == "__main__":
    sys.exit(main())
