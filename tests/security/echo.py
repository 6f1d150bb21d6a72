"""Our nginx, as deploy/nginx renders it, before a house that only repeats the headers it got."""

import datetime as dt
import json
import os
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from policies import pki
from smarthome import nginx
from tests.house import free_port

LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


class Repeater(socketserver.StreamRequestHandler):
    """Answers with the request's header lines, as they came over the unix socket."""

    def handle(self) -> None:
        head = b""
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            head += line
        if length := LENGTH.search(head):
            self.rfile.read(int(length[1]))
        lines = [line.decode("latin-1") for line in head.split(b"\r\n")[1:] if line]
        body = json.dumps([line.split(":", 1) for line in lines]).encode()
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nX-Echo: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@dataclass
class EchoHouse:
    """nginx on two ports; `device.crt` is a device's certificate."""

    folder: Path
    people_port: int
    device_port: int

    def ask(self, request: bytes, *, as_device: bool) -> tuple[int, list[tuple[str, str]] | None]:
        """The status, and the headers that reached the house; None when nginx answered itself."""
        port = self.device_port if as_device else self.people_port
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            self.tls(as_device).wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            received = b""
            with suppress(ConnectionResetError, ssl.SSLError):
                sock.sendall(request)
                while chunk := sock.recv(65536):
                    received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        if not head:
            return 0, None
        status = int(head.split(b" ", 2)[1])
        if b"X-Echo" not in head:
            return status, None
        return status, [(name, value.strip()) for name, value in json.loads(body)]

    def tls(self, as_device: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "pki" / "ca.crt"))
        if as_device:
            context.load_cert_chain(self.folder / "device.crt", self.folder / "device.key")
        return context

    def locations(self) -> dict[str, str]:
        """Every location of the rendered configuration and what stands in it."""
        text = "\n".join(path.read_text() for path in (self.folder / "nginx").glob("*.conf"))
        return dict(re.findall(r"^\s*location\s+([^{]+?)\s*\{([^}]*)\}", text, re.MULTILINE))


@contextmanager
def echo_house(folder: Path, forgetful: str = "") -> Iterator[EchoHouse]:
    """Started, and ended. `forgetful` is a location that does not set the house's headers."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    house = EchoHouse(folder, free_port(), free_port())
    pki.create_ca(folder / "pki")
    pki.ensure_server_certificate(folder / "pki", ["localhost"], dt.datetime.now(dt.UTC))
    issued = pki.issue_device(folder / "pki", "hall")
    (folder / "device.crt").write_text(issued.certificate_pem)
    (folder / "device.key").write_text(issued.key_pem)
    servers = []
    for name in ("web", "live"):
        servers.append(Server(str(folder / f"{name}.sock"), Repeater))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
    configuration = nginx.render(
        folder / "nginx",
        {
            "NGINX_DIR": str(folder / "nginx"),
            "PKI_DIR": str(folder / "pki"),
            "WEB_SOCKET": str(folder / "web.sock"),
            "LIVE_SOCKET": str(folder / "live.sock"),
            "HTTPS_LISTEN": f"127.0.0.1:{house.people_port}",
            "MTLS_LISTEN": f"127.0.0.1:{house.device_port}",
        },
    )
    if forgetful:
        path = folder / "nginx" / "locations.conf"
        before, after = path.read_text().split(f"location {forgetful} {{")
        path.write_text(
            f"{before}location {forgetful} {{" + after.replace("    include headers.conf;\n", "", 1)
        )
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    command = [program, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
    with (folder / "nginx.log").open("w") as log:
        process = subprocess.Popen([*command, "-g", directives], stderr=log)
    try:
        until = time.monotonic() + 10
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", house.device_port)):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "nginx.log").read_text())
            time.sleep(0.02)
        yield house
    finally:
        process.terminate()
        process.wait(timeout=10)
        for server in servers:
            server.shutdown()
            server.server_close()
