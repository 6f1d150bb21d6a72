"""The production house under test: its processes, and its database through Django."""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks.processes import cpu_seconds, family, resident_mb
from tests.house import ADMIN_PASSWORD
from tests.stack import Stack, open_stack

APP = ("web", "live", "worker")
STORES = ("redis", "cache", "postgres")
KEEPER = "supervisord"
DRAIN_SECONDS = 60


@contextmanager
def open_house(folder: Path) -> Iterator[Stack]:
    """A running house without rate limits, which Django in this process works on too."""
    folder.mkdir(mode=0o700)
    unlimited = dict.fromkeys(("RATE_LIMIT_CHECK", "RATE_LIMIT_INGEST", "RATE_LIMIT_READINGS"), "0")
    with open_stack(folder, LOG_LEVEL="WARNING", **unlimited) as stack:
        settings = shlex.split((folder / "stack.env").read_text())
        os.environ |= dict(line.split("=", 1) for line in settings) | {
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "DJANGO_SETTINGS_MODULE": "smarthome.settings",
            # For the viewers' process and for who asks for a token.
            "SSL_CERT_FILE": str(folder / "pki" / "ca.crt"),
        }
        import django

        django.setup()
        yield stack


def as_owner() -> psycopg.Connection[Any]:
    """The role that migrates: aggregates are refreshed by whoever owns them."""
    address = urlsplit(os.environ["MIGRATION_DATABASE_URL"])._replace(scheme="postgresql")
    return psycopg.connect(address.geturl(), autocommit=True)


def memory_mb(stack: Stack) -> dict[str, float]:
    """What the processes of the app with their children, and who keeps them, have resident; what
    some share is counted for each."""
    app = {name: sum(map(resident_mb, family(stack.pid(name)))) for name in APP}
    return app | {KEEPER: resident_mb(stack.pid(KEEPER))}


def used_seconds(stack: Stack) -> dict[str, float]:
    """Seconds of a core that each process has used, with its children."""
    names = (*APP, "nginx", *STORES)
    return {name: sum(map(cpu_seconds, family(stack.pid(name)))) for name in names}


def wait_until_stored() -> None:
    """Until the workers have stored everything and said so."""
    until = time.monotonic() + DRAIN_SECONDS
    while waiting():
        if time.monotonic() > until:
            raise SystemExit(f"{waiting()} entries were not stored in {DRAIN_SECONDS} s")
        time.sleep(0.02)


def waiting() -> int:
    """Entries that no worker has stored yet."""
    from realtime import consume, streams

    return sum(state.length for state in consume.state(streams.connect(5.0)))
