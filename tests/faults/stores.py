"""What happens to the stores: locked, full, emptied, slow; and a revocation meanwhile."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from realtime.streams import key
from tests.faults.house import House
from tests.faults.inject import away, frozen
from tests.faults.journal import GRANTED, now
from tests.faults.load import DOORS, TOGGLED
from tests.faults.scene import Fault, Scene
from tests.faults.workers import without_worker
from tests.faults.writer import PATIENCE, REPAIRED_S

RISKY, RISK_S = 10_000, 2.0  # bytes, and how long to wait for such a moment


def tables_locked(scene: Scene) -> None:
    """Somebody alters tables, and takes his time."""
    with scene.window(), scene.house.database() as connection:
        while True:
            with (
                suppress(psycopg.errors.DeadlockDetected),  # with the load: once more
                connection.transaction(force_rollback=True),
            ):
                for table in ("access_logs", "policies_card", "sensor_accepted_readings"):
                    connection.execute(f"ALTER TABLE {table} ADD COLUMN fault int")
                time.sleep(scene.seconds)
                return


def stream_full(scene: Scene) -> None:
    """No worker, and hardly any memory left: full until a worker comes."""
    house = scene.house
    with house.redis("redis") as client:
        most = client.config_get("maxmemory")["maxmemory"]
        with scene.window():
            try:
                with without_worker(house):
                    time.sleep(1)  # something to drain
                    client.config_set("maxmemory", client.info("memory")["used_memory"])
                    time.sleep(scene.seconds)
                    held = house.backlog()
                # Full of what only a worker can take away; it must be able to start.
                house.wait_for(lambda: house.backlog() < held / 2, "drained without more memory")
            finally:
                client.config_set("maxmemory", most)


EMPTY = """
local found = {}
for _, key in ipairs(KEYS) do
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
    table.insert(found, entry[2][2])
  end
end
redis.call('FLUSHALL')
return found
"""


def stream_emptied(scene: Scene) -> None:
    """Somebody empties the stream Redis. What lay in it is gone, and known exactly."""
    keys = [key(kind) for kind in ("access", "sensors")]
    with scene.window(), scene.house.redis("redis") as client:
        gone = client.eval(EMPTY, len(keys), *keys)
        scene.house.wait_for(lambda: client.exists(*keys), "the groups are made again")
    entries = [json.loads(raw) for raw in gone]
    scene.taken |= {
        entry["metrics"]["mark"] if "metrics" in entry else entry["id"] for entry in entries
    }
    scene.note("taken", len(entries))


def cache_away(how: str) -> Fault:
    """The cache Redis is `killed` or `frozen`, and meanwhile somebody loses his card."""

    def fault(scene: Scene) -> None:
        house = scene.house
        store_away = away(house, "cache") if how == "killed" else frozen(house, "cache")
        with house.manager() as manager, house.stack.device(DOORS[0]) as door:
            path = f"/api/policies/cards/{TOGGLED}"
            status = manager.patch(path, json={"active": True}).status_code
            scene.expect(status == 200, f"the card could not be given back: {status}")
            scene.expect_outcome(scene.ask(door, TOGGLED), GRANTED, "at first")
            with scene.window():
                with store_away:
                    time.sleep(scene.seconds / 2)
                    status = manager.patch(path, json={"active": False}).status_code
                    scene.expect(status == 503, f"a revocation got {status} without the cache")
                    changed = now()
                    while now() - changed < scene.seconds / 2:
                        scene.ask(door, TOGGLED)
                        time.sleep(0.1)
                back = held = now()
            while now() - held < REPAIRED_S + 1:  # a grant anywhere in it begins it anew
                if scene.ask(door, TOGGLED).outcome == GRANTED:
                    held = scene.checks[-1].asked
                if now() - back > PATIENCE:
                    raise TimeoutError("a revoked card is granted for ever")
                time.sleep(0.02)
        scene.note("held_after_s", held - back)
        scene.expect_in_time(
            held - back <= REPAIRED_S,
            f"a revoked card was granted {held - back:.1f} s after the return",
        )

    return fault


# -- Disks -----------------------------------------------------------------------------------------


def disk_full(name: str) -> Fault:
    """The disk of `postgres` or `redis` has not a byte left. Needs a house with small disks."""

    def fault(scene: Scene) -> None:
        house, before = scene.house, scene.house.pid(name)
        ballast = house.folder / name / "ballast"
        with scene.window():
            with ballast.open("wb", buffering=0) as file:
                fill(file)
                begun, felt = now(), False
                while (took := now() - begun) < scene.seconds or (not felt and took < PATIENCE):
                    time.sleep(0.1)
                    fill(file)  # what somebody gives back is taken
                    # Redis ends when it cannot keep its word, PostgreSQL stores nothing.
                    felt = house.pid(name) != before if name == "redis" else house.is_behind
            scene.expect(felt, f"{name} did not feel the full disk")
            ballast.unlink()
            house.wait_for(lambda: house.answers(name), f"{name} is back")

    return fault


def fill(file: object) -> None:
    """Write until there is no room."""
    for size in (1 << 20, 1 << 12, 1):
        try:
            while True:
                file.write(b"\0" * size)  # type: ignore[attr-defined]
        except OSError:
            continue


def disk_slow(milliseconds: float, *, policy: str = "always") -> Fault:
    """Every fdatasync of the stream Redis takes a while, and in one of them it is killed. No worker
    takes anything away before: what was confirmed lies there alone."""

    def fault(scene: Scene) -> None:
        house = scene.house
        for _ in range(scene.times):
            with scene.window(), without_worker(house):
                with house.redis("redis") as client:
                    client.config_set("appendfsync", policy)
                with slow_fsync(house.pid("redis"), milliseconds):
                    time.sleep(scene.seconds / scene.times)
                    with suppress(TimeoutError):  # `always` never holds anything back
                        house.wait_for(lambda: unwritten(house) > RISKY, "a risk", RISK_S)
                    with away(house, "redis"):
                        pass

    return fault


def unwritten(house: House) -> int:
    """Bytes that the stream Redis has confirmed and not yet given to the disk."""
    with house.redis("redis") as client:
        return int(client.info("persistence")["aof_buffer_length"])


@contextmanager
def slow_fsync(pid: int, milliseconds: float) -> Iterator[None]:
    """Delay the calls by which a process asks for its data to be on the disk."""
    delay = f"inject=fdatasync:delay_enter={int(milliseconds * 1000)}"
    strace = subprocess.Popen(
        [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-p",
            str(pid),
            "-e",
            "trace=fdatasync",
            "-e",
            delay,
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = now() + 5
    while tracer(pid) != strace.pid and now() < until:
        time.sleep(0.01)
    try:
        if tracer(pid) != strace.pid:
            raise RuntimeError("strace may not attach")
        yield
    finally:
        strace.terminate()
        strace.wait()


def tracer(pid: int) -> int:
    """Who traces a process; 0 for nobody."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0
