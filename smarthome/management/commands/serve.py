"""Serve the house: people over HTTP, devices over mutual TLS, one process."""

import errno
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from access import clock
from policies import pki
from sensors import rollups
from smarthome.names import server_names

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Command(BaseCommand):
    help = "Serve the house: people over HTTP, doors and sensors over mutual TLS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--http", default="127.0.0.1:8000", metavar="HOST:PORT", type=address)
        parser.add_argument("--mtls", default="0.0.0.0:8443", metavar="HOST:PORT", type=address)
        parser.add_argument(
            "--demo", action="store_true", help="also simulate two doors and three sensors"
        )

    def handle(
        self, *args: Any, http: tuple[str, int], mtls: tuple[str, int], demo: bool, **options: Any
    ) -> None:
        refuse_debug_in_public(http[0])
        refuse_unmigrated()
        rollups.follow_zone()
        clock.watch.start()
        folder = settings.DATA_DIR / "pki"
        try:
            pki.ensure_server_certificate(folder, server_names(), timezone.now())
        except pki.PkiError as error:
            raise CommandError(str(error)) from error
        self.http, self.mtls, self.demo = http, mtls, demo
        self.simulator: subprocess.Popen[bytes] | None = None

        # Only now: importing Daphne installs its reactor, which no other command needs.
        from smarthome.serve import Server
        from smarthome.tls import DeviceTls

        try:
            Server(http, mtls, DeviceTls(folder), up=self.announce).run()
        except Exception as error:
            raise CommandError(listening_problem(error)) from error
        finally:
            if self.simulator:
                self.simulator.terminate()
                self.simulator.wait()

    def announce(self) -> None:
        """Say where the house is, once it is up."""
        host, port = self.http
        everywhere = host in ("0.0.0.0", "::")  # noqa: S104  # compared, not listened on
        shown = "localhost" if host in LOOPBACK or everywhere else host
        self.stdout.write(f"People:  http://{shown}:{port}/  (console: /admin/, API: /docs)")
        self.stdout.write(f"Devices: https://localhost:{self.mtls[1]}/  (mutual TLS)")
        self.stdout.write("Sign in as admin; bootstrap showed the password once. Forgotten:")
        self.stdout.write("         .venv/bin/python manage.py changepassword admin")
        self.stdout.flush()  # into a pipe or the journal, too
        if host not in LOOPBACK:
            self.stderr.write(
                "Warning: passwords cross the network in clear; put nginx with HTTPS in front."
            )
        if self.demo:
            self.simulator = subprocess.Popen(  # noqa: S603  # our own command
                [
                    sys.executable,
                    str(settings.BASE_DIR / "manage.py"),
                    "simulate_devices",
                    "--with-parent",
                    f"--url=https://localhost:{self.mtls[1]}",
                ]
            )


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT` (IPv6 in brackets) as a pair."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def refuse_debug_in_public(host: str) -> None:
    """Django's error pages show code and settings. (Devices get none of them.)"""
    if settings.DEBUG and host not in LOOPBACK:
        raise CommandError(f"DEBUG is on, and {host} is not this machine alone. Set DEBUG=0.")


def refuse_unmigrated() -> None:
    """A server over a database of another version would fail later and worse."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("The database is not up to date. Run: manage.py bootstrap")


def listening_problem(error: Exception) -> str:
    """Why a listener did not open, in one sentence that says what to do."""
    cause = getattr(error, "socketError", None)
    where = f"{getattr(error, 'interface', '') or '0.0.0.0'}:{getattr(error, 'port', '')}"  # noqa: S104  # words
    number = getattr(cause, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{where} is in use by another program; stop it or choose another port."
    if number == errno.EACCES:
        return f"this user may not listen on {where}; choose a port above 1023."
    if number == errno.EADDRNOTAVAIL:
        return f"{where} is not an address of this machine; choose one that is."
    return f"cannot listen on {where}: {error}"
