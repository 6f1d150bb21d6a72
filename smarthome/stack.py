"""`make stack`: a whole production house on this machine, without containers.

nginx, `web`, `live`, a worker, two Redis and PostgreSQL, private ones with everything in DATA_DIR
unless DATABASE_URL or REDIS_URL name others. supervisor keeps them; this program prepares, starts,
waits and ends them. It is no `manage.py` command, because settings could not be read yet.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import environ
import redis

from smarthome import database_server, nginx, processes
from smarthome.database_server import Missing, PrivateDatabase
from smarthome.keeper import Keeper, Problem, Program
from smarthome.processes import found

STORES, APP = ("postgres", "redis", "cache"), tuple(processes.HOUSE)
# A user of the two Redis who may do what the app may not (deploy/redis/*.conf), and its rights.
KEEPER, ALL = "keeper", ("allkeys", "allchannels", "+@all")
STOP_SIGNALS = {"postgres": "INT"}  # the fast one: others' connections do not hold it up
LONGEST_SOCKET = 107  # bytes of a unix socket's path, Linux
PACKAGES = {"nginx": "nginx", "redis-server": "redis-server", "postgres": "postgresql"}
# What a `manage.py` command must know to work on this house, beside the addresses.
SETTINGS = (
    "ALLOWED_HOSTS",
    "ALLOWED_ORIGINS",
    "ALLOW_LOSSY_STREAM",
    "DEBUG",
    "FORGET_NAMES_AFTER_DAYS",
    "LOG_LEVEL",
    "MAINTENANCE_DATABASE_URL",
    "MIGRATION_DATABASE_URL",
    "RATE_LIMIT_CHECK",
    "RATE_LIMIT_INGEST",
    "RATE_LIMIT_POLICIES",
    "RATE_LIMIT_READINGS",
    "SECRET_KEY",
    "SERVER_NAMES",
    "TIME_ZONE",
)
# No shell changes these in an assignment, not even * and ?.
PLAIN = re.compile(r"[\w@%+=:,./*?\[\]-]*", re.ASCII)
# Debian asks it whether it may start what it has installed.
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
ADDRESSES = ("DATA_DIR", "RUN_DIR", "DATABASE_URL", "REDIS_URL", "CACHE_REDIS_URL")


class Ended(BaseException):
    """A signal asked for the end. No Exception: nothing may swallow it."""


@dataclass
class Stack:
    """One house: its folder, its ports and the environment of all its processes."""

    data_dir: Path
    https_port: int
    mtls_port: int
    environment: dict[str, str]
    database: PrivateDatabase | None = None
    private: list[str] = field(default_factory=list)  # the stores that are ours

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def keeper(self) -> Keeper:
        return Keeper(self.run_dir, self.log_dir)

    @property
    def pki_dir(self) -> Path:
        return self.data_dir / "pki"

    def run(self) -> None:
        """From nothing to the end."""
        self.make_folders()
        with self.only_one():
            self.install_missing()
            self.refuse_busy_ports()
            self.choose_stores()
            with self.keeper.keeping(self.programs(), self.environment):
                self.wait_for_stores()
                self.bootstrap()
                self.start_house()
                self.announce()
                self.stay()

    # -- Before anything runs ----------------------------------------------------------------

    def make_folders(self) -> None:
        """Folders that only this user may enter, with paths that everybody can read."""
        os.umask(0o077)
        if not nginx.VALUE.fullmatch(str(self.data_dir)):  # spaces, quotes, percent signs
            raise Problem(f"nginx would misread {self.data_dir}: set DATA_DIR to a plainer path.")
        try:
            for folder in (self.data_dir, self.run_dir, self.log_dir):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(
                f"cannot use {self.data_dir}: {error.strerror}. Set DATA_DIR to another folder."
            ) from error
        longest = max(len(os.fsencode(path)) for path in self.sockets())
        if longest > LONGEST_SOCKET:
            raise Problem(
                f"DATA_DIR is {longest - LONGEST_SOCKET} characters too long for unix sockets: "
                f"set it to a shorter path."
            )

    def sockets(self) -> list[Path]:
        names = ("web", "live", "redis", "cache", "supervisor")
        own = [self.run_dir / f"{name}.sock" for name in names]
        # supervisor binds under a name with its process number and renames.
        return [
            *own,
            self.run_dir / "supervisor.sock.1234567",
            PrivateDatabase.socket(self.data_dir),
        ]

    def install_missing(self) -> None:
        """Debian's packages, when this may install them."""
        missing = [
            package
            for program, package in PACKAGES.items()
            if self.needs(program) and not found(program)
        ]
        if not missing:
            return
        ask = f"Install {', '.join(missing)} first; on Debian: apt install {' '.join(missing)}"
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Problem(f"{ask} (as root).")
        say(f"Installing {', '.join(missing)} …")
        with services_held_back():
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
            for command in (["apt-get", "update", "-q"], install):
                done = subprocess.run(  # noqa: S603  # fixed words
                    command, env=os.environ | quiet, capture_output=True, text=True, check=False
                )
        if done.returncode:
            raise Problem(f"{ask}. apt-get said: {done.stderr.strip().splitlines()[-1:]}")

    def needs(self, program: str) -> bool:
        given = self.environment
        if program == "postgres":
            return not given.get("DATABASE_URL") and not database_server.programs()
        if program == "redis-server":
            return not (given.get("REDIS_URL") and given.get("CACHE_REDIS_URL"))
        return True

    def refuse_busy_ports(self) -> None:
        for port in (self.https_port, self.mtls_port):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise Problem(
                        f"cannot listen on port {port}: {error.strerror}. "
                        f"Choose others by HTTPS_PORT and MTLS_PORT."
                    ) from error

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Two stacks over one folder would ruin each other."""
        lock = os.open(self.run_dir / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"a stack is already running in {self.data_dir}.") from None
        try:
            self.sweep()
            yield
        finally:
            self.sweep()
            os.close(lock)

    def sweep(self) -> None:
        """What an earlier run left in `run/`: numbers of processes that are others' by now."""
        for path in self.run_dir.iterdir():
            if path.name == "stack.lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def choose_stores(self) -> None:
        """Private stores for what the environment does not name."""
        given = self.environment
        if not given.get("DATABASE_URL"):
            try:
                self.database = PrivateDatabase.find(self.data_dir)
            except Missing as error:
                raise Problem(str(error)) from error
            given["DATABASE_URL"] = self.database.url(database_server.APP)
            given["MIGRATION_DATABASE_URL"] = self.database.url(database_server.NAME)
            given["MAINTENANCE_DATABASE_URL"] = self.database.url(database_server.MAINTENANCE)
            self.private.append("postgres")
        for name, variable in (("redis", "REDIS_URL"), ("cache", "CACHE_REDIS_URL")):
            if not given.get(variable):
                given[variable] = f"unix://{quote(str(self.run_dir / name))}.sock"
                self.private.append(name)

    def programs(self) -> list[Program]:
        """In the order in which they start; they end the other way round."""
        return [
            Program(name, self.command(name), name in STORES, STOP_SIGNALS.get(name, "TERM"))
            for name in (*self.private, *self.app)
        ]

    @property
    def app(self) -> list[str]:
        """The processes of the house, nginx last."""
        keeps_up = self.environment.get("FORGET_NAMES_AFTER_DAYS", "").strip()
        return [*APP, *(processes.UPKEEP if keeps_up else ()), "nginx"]

    def command(self, name: str) -> str:
        if name == "postgres" and self.database:
            return self.database.command()
        if name in processes.REDIS:
            folder = self.data_dir / name
            folder.mkdir(mode=0o700, exist_ok=True)
            place = ["--unixsocket", f"{self.run_dir}/{name}.sock", "--dir", str(folder)]
            server = ["exec", found("redis-server"), str(processes.REDIS[name]), *place]
            return shlex.join([*server, "--user", KEEPER, "on", f"#{self.keeper_hash()}", *ALL])
        if name == "nginx":
            directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
            own = ["-p", str(self.nginx_dir), "-c", str(self.nginx_dir / "nginx.conf")]
            return shlex.join(["exec", found("nginx"), "-e", "stderr", *own, "-g", directives])
        metrics = shlex.quote(str(self.run_dir / "metrics" / name))
        command = shlex.join(
            ["exec", *processes.manage(*(processes.HOUSE | processes.UPKEEP)[name])]
        )
        return f"export PROMETHEUS_MULTIPROC_DIR={metrics}\n{command}"

    def keeper_hash(self) -> str:
        """Of the password in DATA_DIR/redis_keeper: who may read that may do anything in Redis."""
        path = self.data_dir / "redis_keeper"
        if not path.exists():
            path.write_text(secrets.token_hex(32))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    # -- Starting ----------------------------------------------------------------------------

    def wait_for_stores(self) -> None:
        """Wait until the database and both Redis answer."""
        if self.database:
            self.keeper.wait_for(self.database.is_prepared, "postgres")
        for name in processes.REDIS:
            if name in self.private:
                client = redis.Redis(unix_socket_path=f"{self.run_dir}/{name}.sock")
                self.keeper.wait_for(partial(is_answered, client), name)
                client.close()

    def bootstrap(self) -> None:
        """Migrations, certificates, the first owner; what it prints is for who started us."""
        done = subprocess.run(  # noqa: S603  # our own command
            processes.manage(*processes.FIRST), env=self.environment, check=False
        )
        if done.returncode:
            raise Problem("bootstrap did not finish, see above.")

    @property
    def nginx_dir(self) -> Path:
        return self.run_dir / "nginx"

    def start_house(self) -> None:
        """nginx and what is behind it; returns when /health/ready answers 200 through it."""
        values = {
            "NGINX_DIR": str(self.nginx_dir),
            "PKI_DIR": str(self.pki_dir),
            "WEB_SOCKET": f"{self.run_dir}/web.sock",
            "LIVE_SOCKET": f"{self.run_dir}/live.sock",
            "HTTPS_LISTEN": f"127.0.0.1:{self.https_port}",
            "MTLS_LISTEN": f"127.0.0.1:{self.mtls_port}",
        }
        nginx.render(self.nginx_dir, values)
        self.write_env()
        for name in self.app:
            if name == "nginx":  # last: who is answered at all is answered everywhere
                for behind in ("web", "live"):
                    self.keeper.wait_for((self.run_dir / f"{behind}.sock").exists, behind)
            self.keeper.ask("startProcess", name)
        self.keeper.wait_for(self.is_ready, "web")

    def write_env(self) -> None:
        """`NAME=value` lines: what a `manage.py` command needs to work on this house."""
        known = self.environment | {"DATA_DIR": str(self.data_dir), "RUN_DIR": str(self.run_dir)}
        names = [*ADDRESSES, *(name for name in SETTINGS if known.get(name))]
        lines = [f"{name}={as_shell_reads_it(known[name])}\n" for name in names]
        path = self.data_dir / "stack.env"
        path.unlink(missing_ok=True)
        path.write_text("".join(lines))

    def is_ready(self) -> bool:
        tls = ssl.create_default_context(cafile=str(self.pki_dir / "ca.crt"))
        connection = HTTPSConnection("localhost", self.https_port, timeout=5, context=tls)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def announce(self) -> None:
        """Say where the house is."""
        say(f"People:   https://localhost:{self.https_port}/  (admin: /admin/, API: /docs)")
        say(f"Devices:  https://localhost:{self.mtls_port}/  (mutual TLS)")
        say(f"Commands: set -a; . {self.data_dir}/stack.env; set +a; python manage.py …")
        say(f"Logs:     {self.log_dir}")

    # -- Staying -----------------------------------------------------------------------------

    def stay(self) -> None:
        """Until a signal. A new server certificate is brought to nginx."""
        known = self.certificate_age()
        while not left_by_make():
            self.keeper.hurry()
            if self.certificate_age() not in (known, 0):
                known = self.certificate_age()
                self.keeper.ask("signalProcess", "nginx", "HUP")

    def certificate_age(self) -> int:
        """When the server's certificate was written; 0 while there is none."""
        try:
            return (self.pki_dir / "server.crt").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def left_by_make() -> bool:
    """Whether the make that started this waits for it to end.

    make passes a SIGTERM on, but of a SIGINT or SIGHUP it thinks that its children got it too, as
    they do from a terminal, and waits: while it does, it holds that signal back.
    """
    if "MAKELEVEL" not in os.environ:
        return False
    try:
        status = Path(f"/proc/{os.getppid()}/status").read_text()
    except OSError:
        return False
    held = int(status.partition("SigBlk:")[2].split()[0], 16)
    return any(held >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGHUP))


@contextmanager
def services_held_back() -> Iterator[None]:
    """Debian starts what it installs; this house starts its own."""
    if SERVICE_POLICY.exists():
        yield
        return
    SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
    SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        SERVICE_POLICY.unlink()


def as_shell_reads_it(value: str) -> str:
    """A value for `NAME=value`, quoted only where a shell needs it there: others read it too."""
    return value if PLAIN.fullmatch(value) else shlex.quote(value)


def is_answered(client: redis.Redis) -> bool:
    return bool(client.ping())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def port(name: str, default: int) -> int:
    text = os.environ.get(name, "") or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Problem(f"{name} is {text!r}; write a port's number.")
    return int(text)


def end(number: int, frame: FrameType | None) -> None:
    raise Ended


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    environ.Env.read_env(processes.ROOT / ".env", overwrite=False)
    data_dir = Path(os.environ.get("DATA_DIR", "") or processes.ROOT / "var").resolve()
    environment = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
    environment |= {"DATA_DIR": str(data_dir), "RUN_DIR": str(data_dir / "run")}
    try:
        Stack(data_dir, port("HTTPS_PORT", 8444), port("MTLS_PORT", 8443), environment).run()
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except Ended:
        return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
