"""Half an hour of random faults: nothing lost of 300 000 readings, memory and descriptors flat."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults import oracle
from tests.faults.audience import audience_of
from tests.faults.house import House
from tests.faults.inject import family, froze, killed, killed_now_and_then, nginx_reloaded
from tests.faults.journal import Journal
from tests.faults.load import Load
from tests.faults.result import Result
from tests.faults.scene import Fault, Scene
from tests.faults.stores import tables_locked
from tests.faults.workers import worker_asked_to_end

NAME = "soak: random faults"
A_MINUTE = 10_000  # readings confirmed at least: 300 000 in half an hour
PAUSES, LENGTHS = (8.0, 20.0), (2.0, 5.0)  # seconds between faults and of them
SAMPLE_SECONDS = 5.0
# In the second half a process may take so many times what it took at most in the first, and a
# little; restarts in between are part of it.
GROWTH, LITTLE_MB, LITTLE_FILES = 1.15, 10.0, 10.0
WATCHED = ("web", "live", "worker", "nginx", "redis", "cache")

FAULTS: list[Fault] = [
    killed_now_and_then("worker"),
    worker_asked_to_end,
    killed("postgres"),
    froze("postgres"),
    tables_locked,
    killed("redis"),
    froze("redis"),
    killed("cache"),
    froze("cache"),
    killed("cache", "postgres"),
    killed_now_and_then("web"),
    killed_now_and_then("nginx"),
    nginx_reloaded,
]


def run(house: House, minutes: float, seed: int) -> Result:
    """Load all the time, a fault every few seconds, viewers all along."""
    name = f"{seed}/{NAME}"
    chance = random.Random(name)  # noqa: S311  # a seed is the point
    before, journal = house.stored(), Journal(house.folder / "journal")
    result = Result(NAME, seed, oracle.Findings())
    load = Load(house.stack.mtls_port, house.files, journal, name)
    end, faults = time.monotonic() + 60 * minutes, 0
    with measured(house) as samples, load.running():
        while time.monotonic() < end:
            with audience_of(house) as audience:
                first = len(journal.checks)
                while time.monotonic() < end and not audience.is_old:
                    time.sleep(chance.uniform(*PAUSES))
                    chance.choice(FAULTS)(Scene(house, chance.uniform(*LENGTHS), chance))
                    faults += 1
                house.wait_for(lambda: not house.is_behind, "drained")
                audience.checks += journal.checks[first:]
                result.faults += audience.end()
    house.wait_for(lambda: not house.backlog(), "everything is stored")
    confirmed = journal.close()
    kept = house.stored().since(before)
    result.findings = oracle.judge(journal.sent, confirmed, journal.checks, kept)
    result.confirmed = len(confirmed)
    result.figures |= {"minutes": minutes, "faults": faults}
    result.said = f"{minutes:g} minutes, {faults} faults"
    result.expect(not house.pending(), "entries are pending at rest")
    result.expect(not house.letters(), "dead letters without poison")
    result.expect(len(confirmed) >= A_MINUTE * minutes, f"only {len(confirmed)} confirmed")
    judge_growth(result, samples)
    return result


Samples = dict[str, list[float]]


@contextmanager
def measured(house: House) -> Iterator[Samples]:
    """Memory (MB) and open files of every program, while the block lasts."""
    samples: Samples = defaultdict(list)
    ended = threading.Event()

    def measure() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            for name in WATCHED:
                with suppress(OSError):  # it is just being killed
                    pids = family(house.pid(name))
                    samples[f"{name}_mb"].append(sum(map(memory_mb, pids)))
                    samples[f"{name}_files"].append(sum(map(open_files, pids)))

    thread = threading.Thread(target=measure, name="samples", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def memory_mb(pid: int) -> float:
    """Its own part of the memory: what processes share is divided among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def open_files(pid: int) -> float:
    return float(len(list(Path(f"/proc/{pid}/fd").iterdir())))


def judge_growth(result: Result, samples: Samples) -> None:
    """The second half against the first."""
    for name, values in samples.items():
        middle = len(values) // 2
        first, second = max(values[:middle], default=0.0), max(values[middle:], default=0.0)
        result.figures[name] = second
        little = LITTLE_MB if name.endswith("_mb") else LITTLE_FILES
        result.expect(
            second <= first * GROWTH + little, f"{name} grew from {first:.0f} to {second:.0f}"
        )
