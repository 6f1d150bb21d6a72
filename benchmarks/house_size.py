"""Does a house stay as quick when it grows? `python -m benchmarks.house_size`; `QUICK=1`: smaller.

Embedded, then production, two houses side by side: one has ten cards; a policy file makes the other
one of 50 000 cards, 5 000 people, 500 doors and 200 rules, and a spreadsheet labels every card.
Both are asked at their doors in turns, so that what else happens on the machine slows both; then
every list of the big one's console is opened. A card that was presented before is compared with one
that was presented before; the first time is shown beside it.
Ends non-zero when an answer was wrong, an import showed no progress, or a goal was missed.
"""

import asyncio
import itertools
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from benchmarks import load
from benchmarks.load import Job, Payload, Results
from benchmarks.table import PROJECT, keep, line, row, say
from tests.house import ADMIN_PASSWORD, House, open_house
from tests.stack import Stack, open_stack

DOORS = [f"bench-door-{n}" for n in range(1, 5)]
CHECKS_PER_SECOND = 20
FEW = 10  # cards of the small house
PRESENTED = 200  # of the cards of the big one
GROUPS, ZONES, SCHEDULES = 50, 25, 10
SEED = 7
TURNS = 8  # of each house
OPENED = 5  # times every list is opened; the slowest counts
LIST = re.compile(r'href="(/admin/(?:access|policies|sensors)/[a-z]+/)"')
MARKS = ("changelist", "<h1>Lockdown</h1>")  # of a list, and of the one page that is none

GOALS = {"check_flat_10_to_50000_cards": 1.2, "admin_list_ms": 300, "import_50000_cards_s": 60}

ADD_DOORS = """
from policies.models import Device, Door
devices = [Device(device_id=f"door-{{n:03}}", kind="door", name=f"door {{n}}") for n in range({0})]
Device.objects.bulk_create(devices)
Door.objects.bulk_create(Door(device=device) for device in devices)
"""


@dataclass(frozen=True)
class Size:
    """What the big house has."""

    cards: int = 50_000
    people: int = 5_000
    doors: int = 500
    rules: int = 200
    seconds: int = 20  # of load, each time


@dataclass
class Found:
    """What one house showed."""

    title: str
    few: Results = field(default_factory=Results)
    first: Results = field(default_factory=Results)  # the first time a card is presented
    many: Results = field(default_factory=Results)
    imports: dict[str, float] = field(default_factory=dict)
    lists: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.many.percentile(50) / self.few.percentile(50)


def main() -> int:
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    size = Size(5_000, 500, 50, 20, seconds=10) if quick else Size()
    found = []
    for title, opened in (("embedded", embedded), ("production", production)):
        with (
            tempfile.TemporaryDirectory(prefix="smarthome-bench-") as folder,
            opened(Path(folder) / "small") as small,
            opened(Path(folder) / "big") as big,
        ):
            found.append(measure(Found(title), small, big, size, Path(folder)))
    return judge(found)


@contextmanager
def embedded(folder: Path) -> Iterator[House]:
    folder.mkdir(mode=0o700)
    with open_house(folder, RATE_LIMIT_CHECK="0", LOG_LEVEL="WARNING") as house:
        yield house


@contextmanager
def production(folder: Path) -> Iterator[Stack]:
    folder.mkdir(mode=0o700)
    with open_stack(folder, RATE_LIMIT_CHECK="0", LOG_LEVEL="WARNING") as stack:
        yield stack


def measure(
    found: Found, small: House | Stack, big: House | Stack, size: Size, files: Path
) -> Found:
    for house in (small, big):
        for door in DOORS:
            house.enrol(door, "door")
    say(f"{found.title}: a house of {FEW} cards")
    policies = files / "policies.json"
    policies.write_text(json.dumps(big_house(Size(FEW, FEW, 0, 0))))
    small.manage("import_policies", str(policies), "--replace")

    say(f"{found.title}: {size.cards} cards, {size.people} people, {size.doors} doors")
    big.manage("shell", "-c", ADD_DOORS.format(size.doors - len(DOORS)))
    policies.write_text(json.dumps(big_house(size)))
    sheet = files / "cards.csv"
    rows = [f"{uid(n)},Person {n % size.people},fob {n}" for n in range(size.cards)]
    sheet.write_text("card_uid,user_name,label\n" + "\n".join(rows))
    found.imports["policies"] = timed_import(found, big, "import_policies", policies)
    found.imports["cards"] = timed_import(found, big, "import_cards", sheet)
    if isinstance(big, Stack):
        tidy(big)

    few = itertools.cycle([uid(number) for number in range(FEW)])
    step = size.cards // PRESENTED
    many = itertools.cycle([uid(number) for number in range(0, step * PRESENTED, step)])
    present(small, few, Results(), size.seconds / 4)
    present(big, many, found.first, PRESENTED / CHECKS_PER_SECOND)
    for _ in range(TURNS):
        present(small, few, found.few, size.seconds / TURNS)
        present(big, many, found.many, size.seconds / TURNS)
    open_lists(found, big)
    return found


def tidy(stack: Stack) -> None:
    """What PostgreSQL does by itself some minutes later."""
    address = urlsplit(settings_of(stack)["MIGRATION_DATABASE_URL"])._replace(scheme="postgresql")
    with psycopg.connect(address.geturl(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def uid(number: int) -> str:
    return ":".join(f"04{number:010X}"[i : i + 2] for i in range(0, 12, 2))


def big_house(size: Size) -> dict[str, Any]:
    """Everybody is in two groups; every group has rules with schedules, for zones or doors. The
    rule that always lets everybody through is the last one that is asked."""
    rules: list[dict[str, Any]] = [
        {
            "name": f"rule {n}",
            "group": f"group {n % GROUPS}",
            "schedule": f"schedule {n % SCHEDULES}",
        }
        | ({"zone": f"zone {n % ZONES}"} if n % 2 else {"doors": [f"door-{n:03}"]})
        for n in range(size.rules)
    ]
    windows = [{"days": ["mon", "wed"], "from": "22:00", "to": "22:01"}]
    zones: list[list[str]] = [[] for _ in range(ZONES)]
    for n in range(max(0, size.doors - len(DOORS))):
        zones[n % ZONES].append(f"door-{n:03}")
    return {
        "people": [
            {"name": f"Person {n}", "groups": [f"group {n % GROUPS}", f"group {n * 7 % GROUPS}"]}
            for n in range(size.people)
        ],
        "cards": [
            {"uid": uid(n), "person": f"Person {n % size.people}"} for n in range(size.cards)
        ],
        "zones": [{"name": f"zone {n}", "devices": doors} for n, doors in enumerate(zones)],
        "schedules": [{"name": f"schedule {n}", "windows": windows} for n in range(SCHEDULES)],
        "holidays": [{"date": "2026-12-25", "name": "Christmas", "yearly": True}],
        "rules": [*rules, {"name": "to the front doors", "doors": DOORS}],
    }


def present(house: House | Stack, turn: Iterator[str], results: Results, seconds: float) -> None:
    """The cards one after the other, at all doors together."""
    a_door = CHECKS_PER_SECOND / len(DOORS)
    jobs = [
        Job(door, "/api/access/check", a_door, scans(door, turn), judge_check, results)
        for door in DOORS
    ]
    files = house.data_dir / "devices"
    asyncio.run(load.run(jobs, house.mtls_port, files, seconds, SEED))


def scans(door: str, uids: Iterator[str]) -> Iterator[Payload]:
    return ({"device_id": door, "card_uid": one} for one in uids)


def judge_check(body: Payload, status: int, reply: Payload) -> str:
    return "" if status == 200 and reply.get("granted") else "expected a grant"


def timed_import(found: Found, house: House | Stack, command: str, file: Path) -> float:
    """Seconds, on a terminal, where its progress is to be seen."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    shown = bytearray()
    reader = threading.Thread(target=lambda: shown.extend(read_all(ours)))
    reader.start()
    begun = time.perf_counter()
    options = ["--replace"] if command == "import_policies" else []
    done = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), command, str(file), *options],
        env=settings_of(house),
        cwd=house.data_dir,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    took = time.perf_counter() - begun
    os.close(theirs)
    reader.join()
    os.close(ours)
    if done.returncode:
        raise SystemExit(shown.decode())
    say(f"  {command}: {took:.1f} s; " + "; ".join(done.stdout.splitlines()))
    if b"%|" not in shown:
        found.faults.append(f"{command} showed no progress")
    return took


def read_all(terminal: int) -> bytes:
    """What is written to a terminal until nobody has it open any more."""
    text = b""
    try:
        while chunk := os.read(terminal, 4096):
            text += chunk
    except OSError:  # the way in which a terminal says that
        pass
    return text


def settings_of(house: House | Stack) -> dict[str, str]:
    if isinstance(house, House):
        return house.environment
    lines = (house.data_dir / "stack.env").read_text().splitlines()
    return {"PATH": os.environ["PATH"]} | dict(line.split("=", 1) for line in lines)


def open_lists(found: Found, house: House | Stack) -> None:
    """Every list that the console names, and searches in the two long ones."""
    with httpx.Client(base_url=house.url, verify=house.tls(), timeout=60) as browser:
        page = browser.get("/admin/login/")
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {
            "username": "admin",
            "password": ADMIN_PASSWORD,
            "csrfmiddlewaretoken": token,
            "next": "/admin/",
        }
        headers = {"Referer": f"{house.url}/admin/login/"}
        browser.post("/admin/login/", data=form, headers=headers)
        lists = sorted({*LIST.findall(browser.get("/admin/").text)})
        if not lists:
            found.faults.append("the console shows no lists")
        searches = ["/admin/policies/card/?q=Person 77", "/admin/policies/person/?q=Person 77"]
        for path in [*lists, *searches]:
            browser.get(path)  # what is made once a process is made
            for _ in range(OPENED):
                begun = time.perf_counter()
                answer = browser.get(path)
                took = (time.perf_counter() - begun) * 1000
                found.lists[path] = max(took, found.lists.get(path, 0))
                is_there = any(mark in answer.text for mark in MARKS)
                if answer.status_code != 200 or not is_there:
                    found.faults.append(f"{path}: {answer.status_code}")


def judge(houses: list[Found]) -> int:
    """Compare with the goals, print, keep; the exit status."""
    figures = {
        "check_flat_10_to_50000_cards": round(max(one.ratio for one in houses), 2),
        "admin_list_ms": round(max(max(one.lists.values()) for one in houses)),
        "import_50000_cards_s": round(max(max(one.imports.values()) for one in houses), 1),
    }
    for one in houses:
        print(f"{one.title:24}{'P50':>8}{'P99':>8}{'max':>8}{'goal':>12}")
        row(f"  check, {FEW} cards, ms", one.few)
        row("  many, first time, ms", one.first)
        row("  many, again, ms", one.many)
        line("  ratio of the P50", round(one.ratio, 2), "< 1.2")
        for name, seconds in one.imports.items():
            line(f"  import of {name}, s", round(seconds, 1), GOALS["import_50000_cards_s"])
        for path, took in sorted(one.lists.items(), key=lambda pair: -pair[1])[:5]:
            line(f"  {path.removeprefix('/admin/')[:22]}", round(took), GOALS["admin_list_ms"])
    keep(figures)
    results = [results for one in houses for results in (one.few, one.first, one.many)]
    faults = [fault for one in (*houses, *results) for fault in one.faults]
    for fault in faults[:5]:
        print(f"WRONG {fault}")
    missed = [name for name, goal in GOALS.items() if figures[name] >= goal]
    print(f"{len(faults)} wrong answers; " + (f"missed: {missed}" if missed else "goals met"))
    return 1 if faults or missed else 0


if __name__ == "__main__":
    sys.exit(main())
