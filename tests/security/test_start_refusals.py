"""What the house does not start with: weak keys, known passwords, DEBUG in public, unsafe Redis."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smarthome.refusals import has_known_password, weakness_of_key
from tests.house import ROOT
from tests.servers import CACHE_OPTIONS, STREAM_OPTIONS, RedisServer, private_folder, running

GOOD_KEY = "kX9-2mQ7_wLr5tYb8nVc3zHj6pDf1sGa4eUi0oRxTqWyMlKvBh"
PRODUCTION = {
    "DATABASE_URL": "postgres://house@/house?host=/nowhere",
    "REDIS_URL": "redis://127.0.0.1:1",
    "CACHE_REDIS_URL": "redis://127.0.0.1:1/1",
    "ALLOWED_HOSTS": "house.example",
    "SECRET_KEY": GOOD_KEY,
}


def manage(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command of a house that is only these settings."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=os.environ
        | dict.fromkeys(("DATABASE_URL", "REDIS_URL", "CACHE_REDIS_URL", "SECRET_KEY"), "")
        | {"DATA_DIR": str(folder)}
        | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("key", "weakness"),
    [
        (GOOD_KEY, ""),
        ("", "has 0 characters"),
        ("changeme", "has 8 characters"),
        (GOOD_KEY[:49], "has 49 characters"),
        ("ab" * 40, "has 2 different characters"),
        (f"django-insecure-{GOOD_KEY}", "is the one of an example"),
    ],
)
def test_a_weak_key_is_named(key, weakness):
    assert weakness_of_key(key).startswith(weakness)
    assert bool(weakness_of_key(key)) is bool(weakness)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("postgres://house:postgres@db/house", True),
        ("postgres://house:Password@db/house", True),
        ("timescale://smarthome:smarthome@db:5432/house", True),
        ("postgres://anna:cellar@db/cellar", True),
        ("postgres://house:@db/house", True),
        ("postgres://house:%70assword@db/house", True),
        ("postgres://house:8Kd-xq1Lw0@db/house", False),
        ("postgres://house@%2Frun%2Fpostgresql/house", False),
        ("postgres://house@/house?host=/run/postgresql", False),
        ("", False),
    ],
)
def test_a_password_that_everybody_knows_is_one(url, known):
    assert has_known_password(url) is known


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY has 8 characters"),
        (PRODUCTION | {"DEBUG": "1"}, "DEBUG shows strangers"),
        (
            PRODUCTION | {"DATABASE_URL": "postgres://house:postgres@db/house"},
            "DATABASE_URL holds a password",
        ),
        (
            PRODUCTION | {"MAINTENANCE_DATABASE_URL": "postgres://upkeep:upkeep@db/house"},
            "MAINTENANCE_DATABASE_URL holds a password",
        ),
    ],
)
def test_no_command_runs_with_it(tmp_path, chosen, said):
    refused = manage(tmp_path, "serve", **chosen)

    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not {"changeme", "postgres@", "upkeep@"} & set(refused.stderr.split())


def test_a_house_that_lost_its_key_does_not_run_with_an_empty_one(tmp_path):
    (tmp_path / "secret_key").touch()

    refused = manage(tmp_path, "check")

    assert (refused.returncode, "SECRET_KEY has 0 characters" in refused.stderr) == (1, True)


def test_debug_is_for_this_machine_alone(tmp_path):
    refused = manage(tmp_path, "serve", "--http=0.0.0.0:8000", DEBUG="1")

    assert (refused.returncode, "DEBUG is on" in refused.stderr) == (1, True)


def test_the_worker_does_not_start_over_a_stream_redis_that_evicts(tmp_path):
    with private_folder() as folder:
        stream = RedisServer(
            folder / "stream", STREAM_OPTIONS | {"maxmemory-policy": "allkeys-lru"}
        )
        cache = RedisServer(folder / "cache", CACHE_OPTIONS)
        with running(stream, cache):
            unsafe = {"REDIS_URL": stream.url, "CACHE_REDIS_URL": cache.url}
            refused = manage(tmp_path, "run_worker", **(PRODUCTION | unsafe))

    assert refused.returncode == 1
    assert "evicts" in refused.stderr
    assert "smarthome.E001" in refused.stderr


@pytest.mark.parametrize(
    ("chosen", "silenced"),
    [
        # Plain HTTP on loopback: no HSTS, no redirect to HTTPS, no Secure cookies.
        (
            {"ALLOWED_HOSTS": "house.example"},
            ["security.W004", "security.W008", "security.W012", "security.W016"],
        ),
        # nginx sends HSTS, and there is no plain HTTP to redirect from.
        (PRODUCTION, ["security.W004", "security.W008"]),
    ],
)
def test_the_deployment_checks_find_nothing_and_no_other_is_silenced(tmp_path, chosen, silenced):
    program = (
        "from django.conf import settings; from django.core.management import call_command;"
        "print(settings.SILENCED_SYSTEM_CHECKS);"
        "call_command('check', deploy=True, fail_level='WARNING')"
    )

    shown = manage(tmp_path, "shell", "-v0", "-c", program, **chosen)

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"{silenced}\n")
