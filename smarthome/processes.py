"""The processes of a production house, once: `make stack`, compose.yaml and systemd run these.

No Django here: the stack starts them before there is anything to ask.
"""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Arguments of manage.py. `bootstrap` comes first and ends, the others stay.
FIRST = ("bootstrap",)
HOUSE = {
    "web": ("web",),
    "live": ("live",),
    "worker": ("run_worker",),
}
# The two Redis, and what each is configured by.
REDIS = {
    "redis": ROOT / "deploy" / "redis" / "streams.conf",
    "cache": ROOT / "deploy" / "redis" / "cache.conf",
}


def manage(*arguments: str) -> list[str]:
    """A `manage.py` command as this machine runs it."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def found(program: str) -> str:
    """A program's path; Debian keeps servers where users' PATH does not look."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""
