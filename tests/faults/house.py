"""The house under test: the production stack as `make stack` starts it, and its insides."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from realtime.streams import FIELD, GROUP, dead_key, key
from smarthome.database_server import PORT
from smarthome.processes import REDIS
from smarthome.stack import KEEPER
from tests.faults import kinds, stored
from tests.faults.journal import now
from tests.house import ADMIN_PASSWORD, ROOT
from tests.stack import Stack, open_stack

# Real rates would refuse the load, which is many times what devices may send.
NO_LIMITS = dict.fromkeys(
    [f"RATE_LIMIT_{what}" for what in ("CHECK", "INGEST", "POLICIES", "READINGS")], "0"
)
KINDS = ("access", "door_events", "presence", "sensors")
PATIENCE = 60.0  # for a process that comes up again


class House:
    """A running stack with its cast, and what an operator with root could look at."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.poison: list[bytes] = []  # put into the streams; must all be dead letters
        lines = shlex.split((stack.data_dir / "stack.env").read_text())
        self.settings = dict(line.split("=", 1) for line in lines)

    @property
    def files(self) -> Path:
        return self.stack.data_dir / "devices"

    @property
    def folder(self) -> Path:
        return self.stack.data_dir

    def run_python(self, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
        """Start `python …` with this house's settings; its words go to `log/harness.log`."""
        with (self.stack.data_dir / "log" / "harness.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.stack.environment | self.settings | settings,
                stdout=log,
                stderr=log,
            )

    # -- Processes ---------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """A program's process; `supervisord` is who keeps the others."""
        return self.stack.pid(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """To a program and everything it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid(name), number)

    def wait_for(self, is_so: Callable[[], Any], what: str, patience: float = PATIENCE) -> float:
        """Seconds until it was so; TimeoutError when it is not."""
        begun = now()
        while now() - begun < patience:
            with suppress(OSError, httpx.HTTPError, psycopg.Error, redis.RedisError):
                if is_so():
                    return now() - begun
            time.sleep(0.02)
        raise TimeoutError(f"{what}: not within {patience:.0f} s")

    def answers(self, name: str) -> bool:
        """Whether a program does its work."""
        if name in REDIS:
            with self.redis(name) as client:
                return bool(client.ping())
        if name == "postgres":
            with self.database() as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        with self.stack.people() as people:
            return people.get("/health/ready").status_code == 200

    # -- Stores ------------------------------------------------------------------------------

    def redis(self, name: str) -> Any:
        """A client of `redis` (the streams) or `cache` that waits two seconds and tries once: as
        the keeper, who may do what the house may not."""
        return redis.Redis(
            unix_socket_path=str(self.folder / "run" / f"{name}.sock"),
            username=KEEPER,
            password=(self.folder / "redis_keeper").read_text(),
            socket_timeout=2,
            socket_connect_timeout=2,
            retry=None,
        )

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the server's own superuser, whom nothing of the house's roles binds."""
        with psycopg.connect(
            host=str(self.stack.data_dir / "postgres"),
            port=PORT,
            user="postgres",
            dbname="smarthome",
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            yield connection

    def stored(self) -> stored.Stored:
        """All rows there are."""
        with self.database() as connection:
            return stored.in_postgres(connection)

    def backlog(self) -> int:
        """Entries that no worker has stored yet."""
        with self.redis("redis") as client:
            return sum(client.xlen(key(kind)) for kind in KINDS)

    @property
    def is_behind(self) -> bool:
        """Whether more waits than ever does under load."""
        return self.backlog() >= 100

    def pending(self) -> int:
        """Entries that a worker has read and not acknowledged."""
        with self.redis("redis") as client:
            found = [
                client.xpending(key(kind), GROUP) for kind in KINDS if client.exists(key(kind))
            ]
            return sum(one["pending"] for one in found)

    def letters(self) -> list[bytes]:
        """What was put aside, as it came."""
        with self.redis("redis") as client:
            return [fields[FIELD] for kind in KINDS for _, fields in client.xrange(dead_key(kind))]

    # -- People ------------------------------------------------------------------------------

    @contextmanager
    def manager(self) -> Iterator[httpx.Client]:
        """Somebody who may change policies, signed in."""
        with self.stack.people() as people:
            body = {"username": "admin", "password": ADMIN_PASSWORD}
            answer = people.post("/api/auth/token", json=body).raise_for_status()
            people.headers["Authorization"] = f"Bearer {answer.json()['access']}"
            yield people


@contextmanager
def open_house(kind: str = "plain") -> Iterator[House]:
    """A house in a folder of its own, with devices and cards; ended and removed at the end.

    `small disks` has a file system of its own for each store that keeps things, `clock` reads its
    clock from a file.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        settings = NO_LIMITS | {"LOG_LEVEL": "WARNING"}
        if kind == "small disks":
            stack.enter_context(kinds.small_disks(folder))
        if kind == "clock":
            settings |= stack.enter_context(kinds.clock_file())
        house = House(stack.enter_context(open_stack(folder, **settings)))
        cast = house.run_python("-m", "tests.faults.cast", str(house.files))
        if cast.wait(PATIENCE):
            raise RuntimeError((house.folder / "log" / "harness.log").read_text())
        yield house
