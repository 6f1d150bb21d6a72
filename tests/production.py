"""The same tests in production mode: `python -m tests.production [what pytest takes]`.

Starts a private PostgreSQL (with TimescaleDB where the machine has it) and two private Redis, and
runs pytest with their addresses in the environment. Without these programs it says so and ends
well, except where `CI` is set.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import (
    CACHE_OPTIONS,
    POSTGRES,
    STREAM_OPTIONS,
    PostgresServer,
    RedisServer,
    private_folder,
    running,
)

# Tests that start houses of their own: embedded ones, or a whole stack, which need no other mode.
OWN_HOUSES = ("serve", "device_socket", "viewer_socket", "simulate_devices", "stack", "deploy")
OWN_SERVERS = ("check_degraded", "timescale", "documents", "pki")


def main() -> int:
    """Pytest's exit status."""
    if missing := missing_programs():
        print(f"The production pass was NOT RUN: {missing} is not installed.", file=sys.stderr)
        return int(bool(os.environ.get("CI")))
    with private_folder() as folder:
        postgres = PostgresServer(folder / "postgres", timescale_options())
        stream = RedisServer(folder / "redis", STREAM_OPTIONS)
        cache = RedisServer(folder / "cache", CACHE_OPTIONS)
        with running(postgres, stream, cache):
            scheme = "timescale" if timescale_options() else "postgres"
            print(f"Production pass: {scheme}, two Redis …", file=sys.stderr)
            environment = os.environ | {
                "DATABASE_URL": postgres.url.replace("postgres", scheme, 1),
                "REDIS_URL": stream.url,
                "CACHE_REDIS_URL": cache.url,
            }
            return subprocess.run(command(), env=environment).returncode


def command() -> list[str]:
    """Pytest, without the tests that bring their own servers."""
    ignored = [
        f"--ignore-glob=tests/test_{name}*.py" for name in (*OWN_HOUSES, *OWN_SERVERS, "browser")
    ]
    return [sys.executable, "-m", "pytest", *ignored, *sys.argv[1:]]


def missing_programs() -> str:
    """What is needed and not there."""
    paths = [Path(folder) / "redis-server" for folder in os.environ["PATH"].split(os.pathsep)]
    if not any(path.exists() for path in paths):
        return "redis-server"
    return "" if list(POSTGRES.glob("*/bin/postgres")) else "postgresql"


def timescale_options() -> tuple[str, ...]:
    """What makes PostgreSQL load TimescaleDB, where it is installed."""
    versions = sorted(POSTGRES.glob("*/bin"), key=lambda one: float(one.parent.name))
    library = versions[-1].parent / "lib" / "timescaledb.so"
    if not library.exists():
        return ()
    return ("shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off")


if __name__ == "__main__":
    sys.exit(main())
