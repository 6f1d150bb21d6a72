"""How fast is the embedded house? `make bench`; `QUICK=1` for a short run.

Starts a real `serve` in a folder of its own, lets four doors and ten sensors talk to it over mutual
TLS from this process, judges every answer, counts the stored rows and prints a table.
Ends non-zero when an answer was wrong, a row is missing or a goal was missed.
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
from pathlib import Path
from typing import Any

from benchmarks.load import Job, Payload, Results, run

PROJECT = Path(__file__).resolve().parent.parent
DOORS = [f"bench-door-{n}" for n in range(1, 5)]
SENSORS = [f"bench-sensor-{n:02}" for n in range(1, 11)]
CHECKS_PER_SECOND, READINGS_PER_SECOND = 20, 50
CARDS = 500  # besides the four classes: a house with history
SEED = 7

GOALS = {
    "check_p99_ms_embedded": 40,
    "ingest_p99_ms_embedded": 40,
    "embedded_start_s": 2,
    "embedded_rss_mb": 130,
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
        checks, readings = Results(), Results()
        gc.freeze()
        asyncio.run(run(jobs(checks, readings), mtls, files, seconds, SEED))
        rss = resident_mb(serve.pid)
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
    figures = {
        "check_p99_ms_embedded": round(checks.percentile(99), 1),
        "ingest_p99_ms_embedded": round(readings.percentile(99), 1),
        "embedded_start_s": round(started, 2),
        "embedded_rss_mb": round(rss),
    }
    faults = checks.faults + readings.faults + missing_rows(checks, readings)
    report(figures, checks, readings)
    keep(figures)
    for fault in faults[:5]:
        print(f"WRONG {fault}")
    missed = [name for name, goal in GOALS.items() if figures[name] >= goal]
    print(
        f"{len(faults)} wrong answers or rows; " + (f"missed: {missed}" if missed else "goals met")
    )
    return 1 if faults or missed else 0


def jobs(checks: Results, readings: Results) -> list[Job]:
    """Who sends what: every door all four classes, every sensor readings with ids."""
    doors = [
        Job(
            door,
            "/api/access/check",
            CHECKS_PER_SECOND / len(DOORS),
            scans(door),
            judge_check,
            checks,
        )
        for door in DOORS
    ]
    sensors = [
        Job(
            sensor,
            "/api/sensors/ingest",
            READINGS_PER_SECOND / len(SENSORS),
            samples(sensor),
            judge_reading,
            readings,
        )
        for sensor in SENSORS
    ]
    return doors + sensors


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
            "temperature": 21 + seq % 10 / 8,
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


def missing_rows(checks: Results, readings: Results) -> list[str]:
    """Every answer stands for exactly one stored row; the uncounted first requests too."""
    from access.models import AccessLog
    from sensors.models import SensorReading

    wanted = {
        "access log": (AccessLog.objects.count(), len(checks.latencies) + len(DOORS)),
        "readings": (SensorReading.objects.count(), len(readings.latencies) + len(SENSORS)),
    }
    return [
        f"{name}: {stored} rows for {answered} answers"
        for name, (stored, answered) in wanted.items()
        if stored != answered
    ]


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


def report(figures: dict[str, Any], checks: Results, readings: Results) -> None:
    late = Results(latencies=checks.lateness + readings.lateness)
    rows = [
        ("check, ms", checks, GOALS["check_p99_ms_embedded"]),
        ("ingest, ms", readings, GOALS["ingest_p99_ms_embedded"]),
        ("generator late, ms", late, None),
    ]
    print(f"{'':20}{'P50':>8}{'P99':>8}{'max':>8}{'goal':>12}")
    for name, results, goal in rows:
        values = (results.percentile(50), results.percentile(99), max(results.latencies))
        shown = f"P99 < {goal}" if goal else ""
        print(f"{name:20}" + "".join(f"{value:8.1f}" for value in values) + f"{shown:>12}")
    for name, key in (("start, s", "embedded_start_s"), ("memory after, MB", "embedded_rss_mb")):
        print(f"{name:20}{figures[key]:24}{f'< {GOALS[key]}':>12}")


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
