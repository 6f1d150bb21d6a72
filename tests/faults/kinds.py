"""Houses that some faults need: one on small disks, one whose clock can be set."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smarthome.database_server import PrivateDatabase
from smarthome.processes import found
from tests import production

DISKS = {"postgres": "300m", "redis": "16m"}
SITE = Path(__file__).parent / "site"  # see there
LIBRARIES = "usr/lib/*/faketime/libfaketime.so.1"


def impossible(kind: str) -> str:
    """Why there cannot be a house of that kind on this machine; nothing when there can."""
    if kind == "small disks" and os.geteuid() != 0:
        return "only root may mount a small disk"
    if kind == "clock" and not library():
        return "libfaketime is not installed"
    return ""


def missing_programs() -> str:
    """A program that every house needs and this machine has not."""
    return production.missing_programs() or ("" if found("nginx") else "nginx")


def missing(programs: tuple[str, ...]) -> str:
    """The programs that a fault needs and this machine has not."""
    absent = [program for program in programs if not shutil.which(program)]
    return f"{', '.join(absent)} is not installed" if absent else ""


@contextmanager
def small_disks(folder: Path) -> Iterator[None]:
    """PostgreSQL and the streams each on a file system in memory that is soon full."""
    PrivateDatabase.find(folder)  # makes it
    made = (folder / "postgres").rename(folder / "postgres.made")
    (folder / "redis").mkdir(mode=0o700)
    (folder / "postgres").mkdir(mode=0o700)
    owner = made.stat()
    with ExitStack() as mounts:
        for name, size in DISKS.items():
            where = str(folder / name)
            options = f"size={size},mode=0700"
            if name == "postgres":
                options += f",uid={owner.st_uid},gid={owner.st_gid}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", where], check=True)
            mounts.callback(subprocess.run, ["umount", "--lazy", where], check=True)
        subprocess.run(["cp", "-a", f"{made}/.", str(folder / "postgres")], check=True)
        yield


def library() -> str:
    """libfaketime, or nothing."""
    return next(map(str, Path("/").glob(LIBRARIES)), "")


@contextmanager
def clock_file() -> Iterator[dict[str, str]]:
    """What makes a house read its clock from a file, which PostgreSQL's user must be able to, too.

    All but the two Redis: their allocator and libfaketime wait for each other.
    """
    number, name = tempfile.mkstemp(prefix="faults-clock-")
    os.fchmod(number, 0o644)
    os.write(number, b"+0")
    os.close(number)
    try:
        yield {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": name,
            "FAKETIME_CACHE_DURATION": "1",  # read at every look, the house would do nothing else
            # A clock that is set does not stretch a second.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "PYTHONPATH": str(SITE),
            "PATH": f"{SITE}:{os.environ['PATH']}",
        }
    finally:
        Path(name).unlink()
