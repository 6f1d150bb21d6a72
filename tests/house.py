"""A real embedded house in a process of its own: `bootstrap`, then `serve`."""

import atexit
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.beside import ROOT, Changed, Named

ADMIN_PASSWORD = "a long enough password"
START_SECONDS = 120  # only a hang takes that long
TOKEN_SECONDS = 120  # of the 300 that it holds


@dataclass
class House(Changed):
    """Its folder, its ports, and the process that serves it."""

    data_dir: Path
    http_port: int
    mtls_port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def known(self) -> dict[str, str]:
        return self.environment

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "DATA_DIR": str(self.data_dir),
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "TIME_ZONE": "Europe/Berlin",
            "PYTHONUNBUFFERED": "1",
            # It is embedded, also where the tests are not.
            **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "CACHE_REDIS_URL"), ""),
        }
        return os.environ | own | self.settings

    @property
    def log(self) -> Path:
        return self.data_dir / "serve.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def device_url(self) -> str:
        return f"https://localhost:{self.mtls_port}"

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command of this house, as another process."""
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.environment,
            cwd=self.data_dir,
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
        )

    def start(self) -> float:
        """Serve; returns the seconds until `/health/live` answered and devices could connect."""
        begun = time.monotonic()
        command = [
            sys.executable,
            str(ROOT / "manage.py"),
            "serve",
            f"--http=127.0.0.1:{self.http_port}",
            f"--mtls=127.0.0.1:{self.mtls_port}",
        ]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.data_dir,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
            )
        while time.monotonic() - begun < START_SECONDS:
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            if self._answers():
                return time.monotonic() - begun
            time.sleep(0.02)
        raise TimeoutError("the house did not come up")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; returns its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    def resident_mb(self) -> float:
        """How much memory the process takes."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def device(self, device_id: str) -> httpx.Client:
        """A client with the device's certificate, over one kept-alive connection."""
        return httpx.Client(
            base_url=self.device_url,
            verify=self.tls(device_id),
            timeout=30,
            limits=httpx.Limits(max_connections=1),
        )

    def tls(self, device_id: str | None = None) -> ssl.SSLContext:
        """A client's TLS context: our CA, and a device's certificate."""
        files = self.data_dir / "devices"
        context = ssl.create_default_context(cafile=str(self.data_dir / "pki" / "ca.crt"))
        if device_id:
            context.load_cert_chain(files / f"{device_id}.crt", files / f"{device_id}.key")
        return context

    def token(self, username: str = "admin") -> str:
        """An access token; passwords are slow on purpose, so it is used for a while."""
        until, access = self._tokens.get(username, (0.0, ""))
        if time.monotonic() > until:
            until, access = time.monotonic() + TOKEN_SECONDS, self.new_token(username)
            self._tokens[username] = until, access
        return access

    def new_token(self, username: str = "admin") -> str:
        """An access token by password."""
        body = {"username": username, "password": ADMIN_PASSWORD}
        access: str = httpx.post(f"{self.url}/api/auth/token", json=body).json()["access"]
        return access

    def raw(self, request: bytes, *, timeout: float = 30) -> tuple[int, dict[str, str], Any]:
        """Send bytes to the people face; the status, the headers, the JSON body."""
        with socket.create_connection(("127.0.0.1", self.http_port), timeout=timeout) as sock:
            sock.sendall(request)
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers, json.loads(body)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.mtls_port), timeout=1):
                return httpx.get(f"{self.url}/health/live", timeout=1).status_code == 200
        except (OSError, httpx.HTTPError):
            return False


@contextmanager
def open_house(
    data_dir: Path, devices: Named | None = None, cards: Named | None = None, **settings: str
) -> Iterator[House]:
    """A serving house with free ports, with these devices and cards; ended at the end."""
    house = house_in(data_dir, devices, cards, **settings)
    try:
        house.start()
        yield house
    finally:
        house.leave()
        house.stop()


def house_in(
    data_dir: Path, devices: Named | None = None, cards: Named | None = None, **settings: str
) -> House:
    """A house as the commands leave it, copied from one like it: they take seconds.

    tests/test_serve.py has one that nobody has copied.
    """
    wanted = tuple((devices or {}).items()), tuple((cards or {}).items())
    shutil.copytree(made(*wanted), data_dir, dirs_exist_ok=True)
    return House(data_dir, free_port(), free_port(), settings)


Pairs = tuple[tuple[str, str], ...]


@cache
def made(devices: Pairs, cards: Pairs) -> Path:
    """The folder to copy, with what `bootstrap` and other commands have made."""
    data_dir = folder() / f"{time.monotonic_ns()}"
    if devices or cards:
        house = house_in(data_dir)
        house.furnish(dict(devices), dict(cards))
    else:
        data_dir.mkdir()
        house = House(data_dir, 0, 0)
        house.beside.command("bootstrap")
    house.leave()
    return data_dir


@cache
def folder() -> Path:
    """Where they lie until the end of the run."""
    folder = Path(tempfile.mkdtemp(prefix="houses-"))
    atexit.register(shutil.rmtree, folder)
    return folder


def free_port() -> int:
    """A TCP port of loopback that nobody uses right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
