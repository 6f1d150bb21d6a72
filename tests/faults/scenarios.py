"""One row for each fault: what is done, for how long, and what must hold meanwhile and after."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tests.faults.clock import clock_set
from tests.faults.inject import (
    answers_cut,
    froze,
    killed,
    killed_now_and_then,
    line_dead,
    nginx_reloaded,
)
from tests.faults.poison import poisoned
from tests.faults.scene import Fault
from tests.faults.stores import (
    cache_away,
    disk_full,
    disk_slow,
    stream_emptied,
    stream_full,
    tables_locked,
)
from tests.faults.workers import (
    worker_asked_to_end,
    worker_dies_before_acknowledging,
    worker_frozen,
)
from tests.faults.writer import REPAIRED_S, by_dying_writer, by_psql, untold

# Classes of checks that nobody can decide: what is in no cache, without the database; all.
NOT_CACHED = ("unknown", "cold")
ALL = ("granted", "revoked", "wrong door", *NOT_CACHED)
# Bounds of a check in milliseconds: for the slowest, or for 99 of 100.
EVERY, MOST = {"check_max_ms": 150.0}, {"check_p99_ms": 150.0}
REPAIRED = EVERY | {"repaired_s": REPAIRED_S}
HOUR = 3600


@dataclass(frozen=True)
class Scenario:
    """A row. Lengths in seconds; `short` is for QUICK, `short=0` leaves it out there."""

    name: str
    fault: Fault
    long: float
    short: float
    times: int = 1  # of a repeated blow
    short_times: int = 1
    # The declared window, and how long it lasts after the fault: these classes of checks may be
    # answered 503 then. With `cuts` a check may come to nothing.
    excused: Collection[str] = ()
    grace: float = 0.5
    cuts: bool = False
    ingest: str = "202"  # what readings get in the window: always `202`, never (`503`), or `any`
    resumes_s: float = 2  # until the first 202 after the fault
    drains_s: float = 30  # until the backlog is gone after the fault
    bounds: Mapping[str, float] = field(default_factory=lambda: EVERY)
    house: str = "plain"
    through_proxy: bool = False
    needs: tuple[str, ...] = ()


SCENARIOS = [
    # Of the worker's deaths nobody asks how long a check takes: what has piled up is stored at full
    # speed afterwards, on the processors of the load.
    Scenario("worker killed", killed_now_and_then("worker"), 30, 2, 5, 2, bounds=MOST),
    Scenario(
        "worker killed between COMMIT and XACK",
        worker_dies_before_acknowledging,
        0,
        1,
        50,
        3,
        bounds=MOST,
    ),
    Scenario(
        "worker frozen in a transaction, a second takes over",
        worker_frozen,
        40,
        0,
        bounds=MOST | {"claimed_s": 35},
    ),
    Scenario("worker asked to end", worker_asked_to_end, 5, 1, 5, 1, bounds={"ended_s": 10}),
    Scenario("PostgreSQL killed", killed("postgres"), 10, 2, excused=NOT_CACHED, grace=2),
    Scenario("PostgreSQL frozen", froze("postgres"), 30, 2, excused=NOT_CACHED, grace=2),
    Scenario("tables locked", tables_locked, 10, 2, excused=NOT_CACHED),
    Scenario("stream Redis killed", killed("redis"), 5, 2, ingest="503", bounds=MOST),
    Scenario("stream Redis frozen", froze("redis"), 10, 2, ingest="503", bounds=MOST),
    Scenario("stream Redis out of memory", stream_full, 10, 1, ingest="any", bounds=MOST),
    Scenario("stream Redis emptied", stream_emptied, 0, 1, bounds=MOST),
    Scenario("cache Redis killed", cache_away("killed"), 30, 2),
    Scenario("cache Redis frozen", cache_away("frozen"), 10, 2),
    Scenario("card revoked by psql", untold(by_psql), 0, 1, 5, 1, bounds=REPAIRED),
    Scenario(
        "writer killed between COMMIT and forgetting",
        untold(by_dying_writer),
        0,
        1,
        5,
        1,
        bounds=REPAIRED,
    ),
    Scenario(
        "cache Redis and PostgreSQL killed",
        killed("cache", "postgres"),
        20,
        2,
        excused=ALL,
        grace=2,
        ingest="any",  # nobody knows whose certificate it is
    ),
    Scenario(
        "stream Redis and PostgreSQL killed",
        killed("redis", "postgres"),
        20,
        2,
        excused=ALL,
        grace=2,
        ingest="503",
    ),
    Scenario(
        "web killed",
        killed_now_and_then("web"),
        20,
        1,
        3,
        1,
        excused=ALL,
        cuts=True,
        ingest="any",
        bounds={},
    ),
    Scenario(
        "nginx killed",
        killed_now_and_then("nginx"),
        20,
        1,
        3,
        1,
        excused=ALL,
        cuts=True,
        ingest="any",
        bounds={},
    ),
    Scenario("nginx reloaded", nginx_reloaded, 20, 1, 3, 1, cuts=True, ingest="any"),
    Scenario(
        "answers cut, one in ten",
        answers_cut,
        30,
        2,
        cuts=True,
        ingest="any",
        bounds={},
        through_proxy=True,
    ),
    Scenario(
        "line dead",
        line_dead,
        10,
        0,
        excused=ALL,
        cuts=True,
        ingest="any",
        resumes_s=6,  # who sent into it waits 5 s for the answer
        grace=6,
        bounds={},
        through_proxy=True,
    ),
    Scenario(
        "slow fsync, then stream Redis killed",
        disk_slow(40),  # as on a memory card
        20,
        2,
        3,
        1,
        excused=ALL,  # a row that is not on the disk in time is none, and then the door stays shut
        ingest="any",
        bounds={},  # each answer waits for the disk
        needs=("strace",),
    ),
    Scenario("poison, one in a hundred", poisoned, 30, 2),
    Scenario(
        "PostgreSQL's disk full",
        disk_full("postgres"),
        20,
        3,
        excused=NOT_CACHED,
        grace=2,
        house="small disks",
    ),
    Scenario(
        "stream Redis' disk full",
        disk_full("redis"),
        10,
        3,
        ingest="any",
        bounds=MOST,
        house="small disks",
    ),
    Scenario("clock an hour ahead", clock_set(HOUR), 20, 2, house="clock"),
    Scenario("clock an hour behind", clock_set(-HOUR), 20, 0, house="clock"),
]
