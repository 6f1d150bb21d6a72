"""The same tests in production mode: `python -m tests.production [what pytest takes]`.

Starts a private PostgreSQL (with TimescaleDB where the machine has it) and for each of pytest's
workers two private Redis, and runs pytest with their addresses in the environment. Without these
programs it says so and ends well, except where `CI` is set.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import (
    CACHE_OPTIONS,
    POSTGRES,
    STREAM_OPTIONS,
    PostgresServer,
    RedisServer,
    private_folder,
    running,
)

WORKERS = 2
STREAMS, CACHES = "WORKERS_REDIS_URLS", "WORKERS_CACHE_REDIS_URLS"  # read by tests/worker_redis.py
# Tests that start houses of their own: embedded ones, or a whole stack, which need no other mode.
OWN_HOUSES = ("serve", "device_socket", "viewer_socket", "simulate_devices", "stack", "deploy")
ONLY_SQLITE = ("memory",)
OWN_SERVERS = ("check_degraded", "checks", "timescale", "documents", "pki", "browser")
ELSEWHERE = (*OWN_HOUSES, *OWN_SERVERS, *ONLY_SQLITE)
# Of tests/security; the others have houses of their own.
SECURITY = ("api_fuzz", "inputs")


def main() -> int:
    """Pytest's exit status."""
    if missing := missing_programs():
        print(f"The production pass was NOT RUN: {missing} is not installed.", file=sys.stderr)
        return int(bool(os.environ.get("CI")))
    with private_folder() as folder:
        postgres = PostgresServer(folder / "postgres", timescale_options())
        streams = [RedisServer(folder / f"redis{n}", STREAM_OPTIONS) for n in range(WORKERS)]
        caches = [RedisServer(folder / f"cache{n}", CACHE_OPTIONS) for n in range(WORKERS)]
        with running(postgres, *streams, *caches):
            scheme = "timescale" if timescale_options() else "postgres"
            print(f"Production pass: {versions(postgres)}, two Redis a worker …", file=sys.stderr)
            environment = os.environ | {
                "DATABASE_URL": postgres.url.replace("postgres", scheme, 1),
                STREAMS: " ".join(server.url for server in streams),
                CACHES: " ".join(server.url for server in caches),
            }
            return subprocess.run(command(), env=environment).returncode


def command() -> list[str]:
    """Pytest, without the tests that bring their own servers."""
    ignored = [f"--ignore-glob=tests/test_{name}*.py" for name in ELSEWHERE]
    workers = ["-n", str(WORKERS), "-p", "tests.worker_redis"]
    return [sys.executable, "-m", "pytest", *workers, "-m", "not pure", *ignored, *sys.argv[1:]]


def is_run_there(item: pytest.Item) -> bool:
    """Whether a test of the embedded pass is one of this pass, too."""
    if item.path.parent.name == "security":
        return item.path.stem.removeprefix("test_") in SECURITY
    name = item.path.stem.removeprefix("test_")
    return not name.startswith(ELSEWHERE) and "pure" not in item.keywords


def missing_programs() -> str:
    """What is needed and not there."""
    paths = [Path(folder) / "redis-server" for folder in os.environ["PATH"].split(os.pathsep)]
    if not any(path.exists() for path in paths):
        return "redis-server"
    return "" if list(POSTGRES.glob("*/bin/postgres")) else "postgresql"


def versions(postgres: PostgresServer) -> str:
    """What the database is, for the report of the run."""
    with postgres.connect() as connection:
        ((version,),) = connection.execute("SHOW server_version").fetchall()
        available = connection.execute(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
        ).fetchone()
    return f"PostgreSQL {version}, " + (
        f"TimescaleDB {available[0]}" if available and timescale_options() else "no TimescaleDB"
    )


def timescale_options() -> tuple[str, ...]:
    """What makes PostgreSQL load TimescaleDB, where it is installed."""
    versions = sorted(POSTGRES.glob("*/bin"), key=lambda one: float(one.parent.name))
    library = versions[-1].parent / "lib" / "timescaledb.so"
    if not library.exists():
        return ()
    return ("shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off")


if __name__ == "__main__":
    sys.exit(main())
