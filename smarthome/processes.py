"""The processes of a production house, once: `make stack`, compose.yaml and systemd run these.

No Django here: the stack starts them before there is anything to ask.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Arguments of manage.py. `bootstrap` comes first and ends, the others stay.
FIRST = ("bootstrap",)
HOUSE = {
    "web": ("web",),
    "live": ("live",),
    "worker": ("run_worker",),
}
# Works as the maintenance role; only where FORGET_NAMES_AFTER_DAYS is set.
UPKEEP = {"upkeep": ("upkeep",)}
# Commands that serve until a signal ends them.
SERVERS = ("serve", *(arguments[0] for arguments in (HOUSE | UPKEEP).values()))
# How far they stand back from the processor (`nice`): who answers doors goes first. A worker that
# is killed and starts again takes a processor for seconds.
YIELDS = {"run_worker": 5, "upkeep": 10}
# Who works on the database under another role than the app's (smarthome/database_roles.py).
ROLES = {
    "bootstrap": "MIGRATION_DATABASE_URL",
    "migrate": "MIGRATION_DATABASE_URL",
    "forget_person": "MAINTENANCE_DATABASE_URL",
    "upkeep": "MAINTENANCE_DATABASE_URL",
}
# The two Redis, and what each is configured by.
REDIS = {
    "redis": ROOT / "deploy" / "redis" / "streams.conf",
    "cache": ROOT / "deploy" / "redis" / "cache.conf",
}


def manage(*arguments: str) -> list[str]:
    """A `manage.py` command as this machine runs it."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def database_setting(arguments: Sequence[str]) -> str:
    """The setting with the database's address for a process of these arguments (`sys.argv`)."""
    command = arguments[1] if len(arguments) > 1 else ""
    return ROLES.get(command, "DATABASE_URL")


def found(program: str) -> str:
    """A program's path; Debian keeps servers where users' PATH does not look."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""
