"""How fast is the embedded house? `make bench`; `QUICK=1` for a short run.

Starts a real `serve` in a folder of its own, lets four doors and ten sensors talk to it over mutual
TLS from this process, judges every answer, counts the stored rows and prints a table. Three rounds:
nobody watches; 20 viewers watch; one more of them pauses and another is cut off again and again.
Ends non-zero when an answer was wrong, a row or an event is missing or a goal was missed.
"""

import asyncio
import contextlib
import gc
import io
import itertools
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import live
from benchmarks.load import Job, Payload, Results

PROJECT = Path(__file__).resolve().parent.parent
DOORS = [f"bench-door-{n}" for n in range(1, 5)]
SENSORS = [f"bench-sensor-{n:02}" for n in range(1, 11)]
CHECKS_PER_SECOND, READINGS_PER_SECOND = 20, 50
CARDS = 500  # besides the four classes: a house with history
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

HOLDER = "04:A3:2B:F2:1C:80"
REVOKED = "04:A3:2B:F2:1C:81"
STRANGER = "04:A3:2B:F2:1C:82"
SHUT_OUT = DOORS[-1]  # no rule lets anybody through this one


def expected(door: str, uid: str) -> tuple[bool, str]:
    """The four classes: granted, revoked, unknown, wrong door."""
    if uid == STRANGER:
        return False, "unknown_card"
    if uid == REVOKED:
        return False, "card_inactive"
    return (False, "no_rule") if door == SHUT_OUT else (True, "granted")


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
        say(f"preparing a house of {len(DOORS)} doors, {len(SENSORS)} sensors, {CARDS + 2} cards")
        prepare(Path(folder))
        return measure(Path(folder), seconds)


def prepare(files: Path) -> None:
    """Bootstrap, enrol, add the cards: by the same commands that people use."""
    import django

    django.setup()
    from django.core.management import call_command

    from policies.models import Card, Door, Person, Rule

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        call_command("bootstrap")
        for device_id in DOORS + SENSORS:
            kind = "door" if device_id in DOORS else "sensor"
            call_command("enrol_device", device_id, f"--kind={kind}", f"--out={files}")
        call_command("add_card", HOLDER, "--holder=Anna")
        call_command("add_card", REVOKED, "--holder=Bert")
        call_command("revoke_card", REVOKED)
    crowd = Person.objects.named("everybody else")
    Card.objects.bulk_create(
        Card(uid=f"05:00:{n // 256:02X}:{n % 256:02X}", person=crowd) for n in range(CARDS)
    )
    rule = Rule.objects.get(every_door=True)
    Rule.objects.filter(pk=rule.pk).update(every_door=False)
    rule.doors.set(Door.objects.exclude(pk=SHUT_OUT))


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
            f"{CHECKS_PER_SECOND} checks/s + {READINGS_PER_SECOND} readings/s for {seconds} s, "
            f"rate limits off, {os.cpu_count()} cores, this generator is one of their users"
        )
        gc.freeze()
        house = live.House(
            http, mtls, files, lambda: resident_mb(serve.pid), lambda: cpu_seconds(serve.pid)
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


@dataclass
class Round:
    """The load of one round and what came of it."""

    title: str
    checks: Results = field(default_factory=Results)
    readings: Results = field(default_factory=Results)
    shown: live.Round = field(default_factory=live.Round)
    memory_mb: float = 0  # at its end


async def measure_rounds(house: live.House, seconds: float) -> list[Round]:
    pause = max(seconds, SHORTEST_PAUSE)
    alone = Round("nobody watches")
    watched = Round(f"{live.VIEWERS} viewers, half of the readings over /ws")
    slow = Round(f"the same, one more paused {pause} s and one cut off again and again")
    alone.shown = await live.unwatched(house, jobs(alone), seconds, SEED)
    alone.memory_mb = house.memory()
    watched.shown = await live.watched(house, jobs(watched, sockets=5), seconds, SEED)
    watched.memory_mb = house.memory()
    slow.shown = await live.watched(house, jobs(slow, sockets=5), pause, SEED, slow=True)
    slow.memory_mb = house.memory()
    return [alone, watched, slow]


def judge(rounds: list[Round], started: float) -> int:
    """Compare with the goals, print, keep; the exit status."""
    _, watched, slow = rounds
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
        "events_missed_by_resume": slow.shown.missed["paused"] + slow.shown.missed["cut off"],
    }
    faults = [f for r in rounds for f in (*r.checks.faults, *r.readings.faults, *unseen(r))]
    faults += missing_rows(rounds)
    report(figures, rounds)
    keep(figures)
    for fault in faults[:5]:
        print(f"WRONG {fault}")
    missed = [name for name, goal in GOALS.items() if figures[name] >= goal]
    print(
        f"{len(faults)} wrong answers, rows or frames; "
        + (f"missed: {missed}" if missed else "goals met")
    )
    return 1 if faults or missed else 0


def jobs(of: Round, sockets: int = 0) -> list[Job]:
    """Who sends what: every door all four classes, every sensor readings with ids, the first
    `sockets` of them as frames."""
    check, ingest = "/api/access/check", "/api/sensors/ingest"
    a_door, a_sensor = CHECKS_PER_SECOND / len(DOORS), READINGS_PER_SECOND / len(SENSORS)
    return [
        *[Job(door, check, a_door, scans(door), judge_check, of.checks) for door in DOORS],
        *[
            Job(sensor, "/ws", a_sensor, samples(sensor), judge_ack, of.readings)
            for sensor in SENSORS[:sockets]
        ],
        *[
            Job(sensor, ingest, a_sensor, samples(sensor), judge_reading, of.readings)
            for sensor in SENSORS[sockets:]
        ],
    ]


def scans(door: str) -> Iterator[Payload]:
    chance = random.Random(door)  # noqa: S311  # the same cards every run
    while True:
        uid = chance.choice((HOLDER, HOLDER, REVOKED, STRANGER))
        yield {"device_id": door, "card_uid": uid, "timestamp": "T+00h00m12s"}


def samples(sensor: str) -> Iterator[Payload]:
    boot_id = secrets.randbits(31)
    for seq in itertools.count():
        yield {
            "device_id": sensor,
            "boot_id": boot_id,
            "seq": seq,
            "temperature": 20 + seq / 1000,  # tells viewers which reading it is
            "humidity": 48.5,
            "pressure": 1013.25,
        }


def judge_check(body: Payload, status: int, reply: Payload) -> str:
    wanted = expected(body["device_id"], body["card_uid"])
    got = (reply.get("granted"), reply.get("reason"))
    same_card = reply.get("card_uid") == body["card_uid"]
    return "" if status == 200 and got == wanted and same_card else f"expected {wanted}"


def judge_reading(body: Payload, status: int, reply: Payload) -> str:
    accepted = status == 202 and reply.get("status") == "accepted"
    return "" if accepted and reply.get("device_id") == body["device_id"] else "expected 202"


def judge_ack(body: Payload, status: int, reply: Payload) -> str:
    return "" if reply.get("type") == "ack" else "expected an ack"


def missing_rows(rounds: list[Round]) -> list[str]:
    """Every answer stands for exactly one stored row."""
    from access.models import AccessLog
    from sensors.models import SensorReading

    events = sum(len(r.shown.events) for r in rounds)
    answered = sum(len(r.shown.accepted) for r in rounds)
    wanted = {
        "access log": (AccessLog.objects.count(), events),
        "readings": (SensorReading.objects.count(), answered - events),
    }
    return [
        f"{name}: {stored} rows for {answered} answers"
        for name, (stored, answered) in wanted.items()
        if stored != answered
    ]


def unseen(of: Round) -> list[str]:
    """Nobody who watched without a break may miss an event; who paused must have missed readings,
    or the pause was not felt and proves nothing."""
    faults = [
        f"{viewer} missed {count} access events"
        for viewer, count in of.shown.missed.items()
        if count and viewer.startswith("viewer")
    ]
    return faults + ["the pause was not felt"] * (of.shown.skipped.get("paused") == 0)


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


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("serve is gone")


def cpu_seconds(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def report(figures: dict[str, Any], rounds: list[Round]) -> None:
    print(f"{'':24}{'P50':>8}{'P99':>8}{'max':>8}{'goal':>12}")
    for of in rounds:
        late = Results(latencies=of.checks.lateness + of.readings.lateness)
        print(of.title)
        row("  check, ms", of.checks, GOALS["check_p99_ms_embedded"])
        row("  ingest, ms", of.readings, GOALS["ingest_p99_ms_embedded"])
        if of.shown.delays.latencies:
            row("  accepted to frame, ms", of.shown.delays, GOALS["live_p99_ms_embedded"])
        row("  generator late, ms", late)
        line("  memory, MB", f"{of.memory_mb:.1f}", GOALS["embedded_rss_mb"])
        line("  of a core, %", f"{of.shown.cpu_share:.0%}".rstrip("%"))
    _, watched, slow = (of.shown for of in rounds)
    growth = f"{slow.growth_mb:.1f}, without {watched.growth_mb:.1f}"
    line("pause and return, MB", growth, GOALS["paused_viewer_mb"])
    line("missed by resume", figures["events_missed_by_resume"], GOALS["events_missed_by_resume"])
    line("start, s", figures["embedded_start_s"], GOALS["embedded_start_s"])
    for name in ("paused", "cut off"):
        say(f"{name}: {slow.skipped[name]} readings skipped, ended by {slow.codes[name]}")


def row(name: str, results: Results, goal: int | None = None) -> None:
    values = (results.percentile(50), results.percentile(99), max(results.latencies))
    shown = f"P99 < {goal}" if goal else ""
    print(f"{name:24}" + "".join(f"{value:8.1f}" for value in values) + f"{shown:>12}")


def line(name: str, value: Any, goal: int | None = None) -> None:
    shown = f"< {goal}" if goal else ""
    print(f"{name:24}{value:>24}{shown:>12}")


def keep(figures: dict[str, Any]) -> None:
    """Into var/bench.json, beside what other benchmarks wrote there."""
    path = PROJECT / "var" / "bench.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    before: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        before = json.loads(path.read_text())
    path.write_text(json.dumps(before | figures, indent=2) + "\n")


def say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
