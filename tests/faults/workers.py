"""What happens to workers: dead, frozen, asked to end."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realtime.streams import GROUP, key
from tests.faults.house import House
from tests.faults.inject import resume
from tests.faults.journal import now
from tests.faults.scene import Scene


@contextmanager
def without_worker(house: House) -> Iterator[None]:
    house.stack.ask_supervisor("stopProcess", "worker")
    try:
        yield
    finally:
        house.stack.ask_supervisor("startProcess", "worker")


def worker_dies_before_acknowledging(scene: Scene) -> None:
    """Its batch is committed, nobody was told: again and again."""
    house = scene.house
    with scene.window(), without_worker(house):
        for _ in range(scene.times):
            dying_worker(scene, "die-before-ack", scene.chance.randrange(5))
    scene.note("deaths", scene.times)


def dying_worker(scene: Scene, fault: str, after: int) -> None:
    """A worker that kills itself at the batch after so many."""
    worker = scene.house.run_python("-m", "tests.faults.worker", fault, str(after))
    status = worker.wait(30)
    scene.expect(status == -signal.SIGKILL, f"the worker ended by itself: {status}")


def worker_frozen(scene: Scene) -> None:
    """Frozen in the middle of a transaction; a second worker takes over what it had read."""
    house = scene.house
    with scene.window(), without_worker(house):
        first = house.run_python("-m", "tests.faults.worker", "freeze-in-transaction")
        house.wait_for(lambda: state(first.pid) == "T", "the worker froze")
        held, begun = house.pending(), now()
        second = house.run_python("manage.py", "run_worker", "--name=second")
        try:
            # What is pending is the first one's until the second claims it.
            house.wait_for(
                lambda: not of_consumer(house, socket.gethostname()), "taken over", scene.seconds
            )
            scene.note("claimed_s", now() - begun)
            scene.note("held", held)
        finally:
            resume(first.pid)
            for worker in (first, second):
                worker.terminate()
            for worker in (first, second):
                worker.wait(20)


def of_consumer(house: House, name: str) -> int:
    """Entries that a worker has read and nobody has stored."""
    with house.redis("redis") as client:
        return sum(
            consumer["pending"]
            for kind in ("access", "sensors")
            for consumer in client.xinfo_consumers(key(kind), GROUP)
            if consumer["name"].decode() == name
        )


def worker_asked_to_end(scene: Scene) -> None:
    """SIGTERM: it finishes its batch."""
    house = scene.house
    for _ in range(scene.times):
        time.sleep(scene.chance.uniform(0, 1))
        before, begun = house.pid("worker"), now()
        os.kill(before, signal.SIGTERM)
        house.wait_for(lambda p=before: not Path(f"/proc/{p}").exists(), "the worker ended")
        scene.note("ended_s", now() - begun)
        house.wait_for(lambda p=before: house.pid("worker") not in (p, 0), "another one")


def state(pid: int) -> str:
    """A process as the kernel sees it: `T` is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
