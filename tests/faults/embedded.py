"""The embedded house, killed again and again at 100 readings/s and 20 checks/s."""

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import oracle, stored
from tests.faults.house import NO_LIMITS
from tests.faults.journal import Journal
from tests.faults.load import Load
from tests.faults.result import Result
from tests.house import ROOT, House, free_port

NAME = "embedded: serve killed"
READINGS_PER_SECOND = 10  # of each sensor
START_S = 3.0
LIVES = 0.1, 0.8  # seconds between being up and being killed, a range


def run(times: int, seed: int, *, timed: bool = True) -> Result:
    """So many kills, then the oracle and SQLite's own."""
    name = f"{seed}/{NAME}"
    chance = random.Random(name)  # noqa: S311  # a seed is the point
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        house = open_house(Path(folder))
        journal = Journal(house.data_dir / "journal")
        files = house.data_dir / "devices"
        load = Load(house.mtls_port, files, journal, name, READINGS_PER_SECOND)
        starts = []
        try:
            with load.running():
                for _ in range(times):
                    time.sleep(chance.uniform(*LIVES))
                    house.stop(signal.SIGKILL)
                    starts.append(house.start())
        finally:
            house.stop()
        confirmed = journal.close()
        database = house.data_dir / "house.sqlite3"
        kept = stored.in_sqlite(database)
        findings = oracle.judge(journal.sent, confirmed, journal.checks, kept)
        result = Result(NAME, seed, findings, len(confirmed))
        result.figures |= {"kills": times, "start_max_s": max(starts)}
        result.said = f"{times} kills, up again after {max(starts):.1f} s at most"
        if max(starts) > START_S:
            (result.faults if timed else result.late).append(f"a start took {max(starts):.1f} s")
        said = quick_check(database)
        result.expect(said == "ok", f"quick_check: {said}")
        return result


def open_house(folder: Path) -> House:
    """A serving house with its cast."""
    settings = NO_LIMITS | {"LOG_LEVEL": "ERROR"}
    house = House(folder, free_port(), free_port(), settings)
    house.manage("bootstrap")
    subprocess.run(
        [sys.executable, "-m", "tests.faults.cast", str(folder / "devices")],
        cwd=ROOT,
        env=house.environment,
        check=True,
    )
    house.start()
    return house


def quick_check(database: Path) -> str:
    connection = sqlite3.connect(database)
    try:
        return str(connection.execute("PRAGMA quick_check").fetchone()[0])
    finally:
        connection.close()
