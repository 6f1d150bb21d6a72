"""Ending, freezing and cutting: faults of whole processes and of the line between.

Processes are ended and frozen by their numbers. While one is to stay away, the script by which its
keeper starts it again waits.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.faults.house import House
from tests.faults.scene import Fault, Scene


@contextmanager
def away(house: House, *names: str) -> Iterator[None]:
    """Killed, and not started again before the block has ended; then they are back."""
    with ExitStack() as back:
        for name in names:
            back.callback(house.wait_for, lambda name=name: house.answers(name), f"{name} is back")
            back.enter_context(held_back(house, name))
        for name in names:
            house.signal(name, signal.SIGKILL)
        yield


@contextmanager
def held_back(house: House, name: str) -> Iterator[None]:
    """Who starts the program again waits until the block has ended."""
    script, hold = (house.folder / "run" / f"{name}.{end}" for end in ("sh", "hold"))
    program = script.read_text()
    hold.touch()
    waiting = script.with_suffix(".waiting")
    waiting.write_text(f"while [ -e {hold} ]; do sleep 0.02; done\n{program}")
    waiting.replace(script)
    try:
        yield
    finally:
        hold.unlink()


@contextmanager
def frozen(house: House, *names: str) -> Iterator[None]:
    """Stopped without closing anything, as on a machine out of memory."""
    with ExitStack() as thaw:
        for name in names:
            for pid in family(house.pid(name)):
                os.kill(pid, signal.SIGSTOP)
                thaw.callback(resume, pid)
        yield


def resume(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def family(pid: int) -> list[int]:
    """A process and all that it started, in groups of their own or not."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def killed(*names: str) -> Fault:
    """Away for the whole time."""

    def fault(scene: Scene) -> None:
        with scene.window(), away(scene.house, *names), scene.absence():
            time.sleep(scene.seconds)

    return fault


def froze(*names: str) -> Fault:
    """Frozen for the whole time."""

    def fault(scene: Scene) -> None:
        with scene.window(), frozen(scene.house, *names), scene.absence():
            time.sleep(scene.seconds)

    return fault


def killed_now_and_then(name: str) -> Fault:
    """Killed at random moments; started again at once by its keeper."""

    def fault(scene: Scene) -> None:
        for _ in range(scene.times):
            time.sleep(scene.chance.uniform(0, scene.seconds / scene.times))
            before = scene.house.pid(name)
            with scene.window():
                scene.house.signal(name, signal.SIGKILL)
                scene.house.wait_for(lambda b=before: scene.house.pid(name) not in (b, 0), name)
                if name in ("web", "nginx"):
                    scene.house.wait_for(lambda: scene.house.answers(name), f"{name} is back")

    return fault


def nginx_reloaded(scene: Scene) -> None:
    """As when the server's certificate was renewed."""
    for _ in range(scene.times):
        time.sleep(scene.chance.uniform(0, scene.seconds / scene.times))
        with scene.window():
            os.kill(scene.house.pid("nginx"), signal.SIGHUP)
            time.sleep(0.5)


def answers_cut(scene: Scene) -> None:
    """One answer in ten is cut after its request was sent."""
    assert scene.proxy
    with scene.window():
        scene.proxy.share = 0.1
        time.sleep(scene.seconds)
        scene.proxy.share = 0.0
    scene.note("cuts", scene.proxy.cuts)
    scene.expect(scene.proxy.cuts > 0, "nothing was cut")


def line_dead(scene: Scene) -> None:
    """The line swallows everything and says nothing."""
    assert scene.proxy
    with scene.window(), scene.proxy.black_hole():
        time.sleep(scene.seconds)
