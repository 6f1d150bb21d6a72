"""A real production house in processes of its own: what `make stack` starts."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from smarthome import stack as program
from tests.beside import Changed
from tests.house import ADMIN_PASSWORD, ROOT, free_port

START_SECONDS = 150
# Nothing of a test run's own house may reach this one.
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "CACHE_REDIS_URL", "SECRET_KEY", "RUN_DIR", "MAKELEVEL")


class AsksAgain(httpx.HTTPTransport):
    """A door's line: told 503, because a busy house could not answer in time, it asks again."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = time.monotonic() + 5
        while True:
            response = super().handle_request(request)
            is_busy = response.status_code == 503 and request.url.path == "/api/access/check"
            if not is_busy or time.monotonic() > until:
                return response
            response.read()
            time.sleep(0.1)


@dataclass
class Stack(Changed):
    """Its folder, its ports, and the process that keeps all others."""

    data_dir: Path
    https_port: int = field(default_factory=free_port)
    mtls_port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    asks_again: bool = False  # its doors do, where nobody is interested in a busy house

    @property
    def environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        own = {
            "DATA_DIR": str(self.data_dir),
            "HTTPS_PORT": str(self.https_port),
            "MTLS_PORT": str(self.mtls_port),
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "TIME_ZONE": "Europe/Berlin",
        }
        return others | own | self.settings

    @property
    def known(self) -> dict[str, str]:
        """No more than stack.env."""
        lines = (self.data_dir / "stack.env").read_text().splitlines()
        return {"PATH": os.environ["PATH"]} | dict(line.split("=", 1) for line in lines)

    @property
    def log(self) -> Path:
        return self.data_dir / "stack.log"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def device_url(self) -> str:
        return f"https://localhost:{self.mtls_port}"

    def start(self) -> None:
        """Start everything; returns when people and devices are answered."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "smarthome.stack"],
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                text=True,
            )
        until = time.monotonic() + START_SECONDS
        while "Logs:" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; the exit status."""
        if self.process is None:
            return 0
        self.leave()
        self.process.send_signal(how)
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command of this house, as another process."""
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.known,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )

    def tls(self, device_id: str | None = None) -> ssl.SSLContext:
        """A client's TLS context: our CA, and a device's certificate."""
        files = self.data_dir / "devices"
        context = ssl.create_default_context(cafile=str(self.data_dir / "pki" / "ca.crt"))
        if device_id:
            context.load_cert_chain(files / f"{device_id}.crt", files / f"{device_id}.key")
        return context

    def socket_tls(self, device_id: str | None = None) -> ssl.SSLContext:
        """For websockets 17, whose two threads with TLS 1.3 now and then wait for each other."""
        context = self.tls(device_id)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def device(self, device_id: str | None) -> httpx.Client:
        """A client of the device face, over one kept-alive connection."""
        kind = AsksAgain if self.asks_again else httpx.HTTPTransport
        line = kind(verify=self.tls(device_id), limits=httpx.Limits(max_connections=1))
        return httpx.Client(base_url=self.device_url, transport=line, timeout=20)

    def people(self) -> httpx.Client:
        """A client of the people face."""
        return httpx.Client(base_url=self.url, verify=self.tls(), timeout=20)

    def token(self) -> str:
        """An access token of the owner."""
        with self.people() as nobody:
            body = {"username": "admin", "password": ADMIN_PASSWORD}
            access: str = nobody.post("/api/auth/token", json=body).json()["access"]
            return access

    def raw(self, request: bytes, device_id: str | None = None) -> "Answer":
        """Send bytes through TLS: as a device to the device face, else to the people face."""
        port = self.mtls_port if device_id else self.https_port
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
            self.tls(device_id).wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(request)
            return Answer.read(sock)

    def straight(self, name: str, request: bytes) -> "Answer":
        """Send bytes to the unix socket of `web` or `live`, past nginx."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(self.data_dir / "run" / f"{name}.sock"))
            sock.sendall(request)
            return Answer.read(sock)

    def pid(self, name: str) -> int:
        """The number of a process; 0 while it has none."""
        try:
            return int((self.data_dir / "run" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return 0

    def ask_supervisor(self, question: str, name: str) -> None:
        """`stopProcess` or `startProcess`, of one process."""
        program.Stack(self.data_dir, 0, 0, {}).keeper.ask(question, name)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """A process stopped for a while."""
        self.ask_supervisor("stopProcess", name)
        try:
            yield
        finally:
            self.ask_supervisor("startProcess", name)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, sock: socket.socket) -> "Answer":
        received = b""
        with suppress(TimeoutError, ConnectionResetError, ssl.SSLError):
            while not is_whole(received) and (chunk := sock.recv(65536)):
                received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        return cls(int(first.split()[1]), headers, body)

    @property
    def code(self) -> str:
        """The code of an error in our shape."""
        code: str = json.loads(self.body)["error"]["code"]
        return code


def is_whole(received: bytes) -> bool:
    """Whether an answer that says how long it is has come to its end."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end and length and len(body) >= int(length[1]))


@contextmanager
def open_stack(data_dir: Path, **settings: str) -> Iterator[Stack]:
    """A running production house with free ports; ended at the end."""
    stack = Stack(data_dir, settings=settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.leave()
        stack.stop()
