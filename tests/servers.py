"""Private Redis and PostgreSQL servers: in a folder of the test, ended by their process ids.

They listen on Unix sockets only, so no two runs can meet. `freeze()` stops a server without
closing anything, which is how a machine out of memory or a broken disk looks from outside.
"""

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest
import redis

START_SECONDS = 120  # only a hang takes that long
ASKED_TO_END = 5  # times, two seconds each, before it is killed
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30  # noqa: S108  # folders in it are made by mkdtemp
POSTGRES = Path("/usr/lib/postgresql")  # Debian keeps the server's programs here, by version
# Fast, and forgetful only of a power cut.
POSTGRES_OPTIONS = ("fsync=off", "listen_addresses=", "max_connections=60", "logging_collector=off")
STREAM_OPTIONS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory": "64mb",
    "maxmemory-policy": "noeviction",
}
CACHE_OPTIONS = {"appendonly": "no", "maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}


class Server:
    """A server process in a folder of its own."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process, "the server is not running"
        return self.process.pid

    def pids(self) -> list[int]:
        """Its own process and those it started."""
        return [self.pid]

    def freeze(self) -> None:
        """Stop everything without closing anything."""
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self.pids():
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Frozen for as long as the block lasts."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def kill(self) -> None:
        """End it as a crash does."""
        self.stop(signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is None:
            return
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        process, self.process = self.process, None
        for signal_now in (how,) * ASKED_TO_END + (signal.SIGKILL,):
            process.send_signal(signal_now)  # a Redis that writes its first file ignores it
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
                return

    def _run(self, command: list[str], is_up: Callable[[], bool], user: int | None = None) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=user)
        until = time.monotonic() + START_SECONDS
        while not is_up():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)


class RedisServer(Server):
    """A Redis with these options; `url` reaches it."""

    def __init__(self, folder: Path, options: dict[str, str]) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.socket = folder / "socket"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.folder), "save": ""}
        options |= self.options
        command = [needed("redis-server")]
        for name, value in options.items():
            command += [f"--{name}", value]
        self._run(command, self._answers)

    def client(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis.from_url(self.url, socket_timeout=5, decode_responses=True)

    def _answers(self) -> bool:
        with suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False


class PostgresServer(Server):
    """A PostgreSQL cluster with one superuser, `house`, and one empty database, `house`."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.options = (*POSTGRES_OPTIONS, *options)
        self.url = f"postgres://house@/house?host={folder}"
        # PostgreSQL refuses to run as root; its files must then belong to somebody else.
        self.user = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def start(self) -> None:
        if not self.folder.exists():
            self._make()
        command = [postgres_program("postgres"), "-D", str(self.folder / "data")]
        command += ["-k", str(self.folder)]
        for option in self.options:
            command += ["-c", option]
        self._run(command, self._answers, self.user)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, connections and all."""
        super().stop(how)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the test's own, every statement its own transaction."""
        return psycopg.connect(self.dsn("house"), autocommit=True, connect_timeout=2)

    def dsn(self, database: str) -> str:
        return f"host={self.folder} user=house dbname={database}"

    def _make(self) -> None:
        self.folder.mkdir(parents=True)
        if self.user is not None:
            os.chown(self.folder, self.user, -1)
        command = ["cp", "-a", str(cluster(self.user)), str(self.folder / "data")]
        subprocess.run(command, check=True, capture_output=True, user=self.user, cwd="/")

    def _answers(self) -> bool:
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(self.dsn("postgres"), autocommit=True, connect_timeout=2) as connection,
        ):
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'house'")
            if not known.fetchone():
                connection.execute("CREATE DATABASE house")
            return True
        return False


@cache
def cluster(user: int | None) -> Path:
    """A new cluster to be copied, made once a run: copying takes a tenth of the time."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=roomy()))
    atexit.register(shutil.rmtree, folder)
    if user is not None:
        os.chown(folder, user, -1)
    initdb = [postgres_program("initdb"), "-D", str(folder / "data"), "-U", "house"]
    initdb += ["-A", "trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd="/")
    return folder / "data"


@cache
def roomy() -> str:
    """Where tests keep their files: in memory where there is room enough, for they wait for a
    disk at every commit, some ten thousand times."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        found = os.statvfs(MEMORY)
        if found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC:
            return str(MEMORY)
    return "/tmp"  # noqa: S108  # as above


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder with a short name, because a Unix socket's path has 107 bytes at most, that the
    server's user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="house-", dir=roomy()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Start servers, and end them whatever happens."""
    try:
        for server in servers:
            server.start()  # type: ignore[attr-defined]  # each has its own
        yield
    finally:
        for server in servers:
            server.stop()


def needed(program: str, *folders: Path) -> str:
    """The path of a program; without it the test is skipped, where `CI` is set it fails."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(program, path=path)
    if found:
        return found
    reason = f"{program} is not installed (Debian: redis-server, postgresql)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def postgres_program(name: str) -> str:
    """A program of the newest PostgreSQL on this machine."""
    versions = sorted(POSTGRES.glob("*/bin"), key=lambda one: float(one.parent.name), reverse=True)
    return needed(name, *versions)
