"""A process beside a house that changes it, told by a test what to do.

`python -m tests.beside` with the house's settings in its environment: one JSON object a line on
stdin, one answer a line on stdout. It is another process than the one that serves, as who types
`manage.py` is, and starts once instead of once a command.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).parent.parent
END_SECONDS = 60  # only a hang takes that long
Named = Mapping[str, str]  # kinds of devices by their ids, holders of cards by their numbers


class Beside:
    """That process, as a test sees it."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.log = folder / "beside.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.beside", str(folder)],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def command(self, *arguments: str) -> str:
        """Run a `manage.py` command; what it said."""
        return self._ask({"command": arguments})

    def run(self, code: str) -> str:
        """Run Python; what it printed."""
        return self._ask({"code": code})

    def end(self) -> None:
        """End it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=END_SECONDS)
        self.process.stdout.close()

    def _ask(self, order: Mapping[str, Any]) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.log.read_text())
        answer = json.loads(line)
        if answer["trouble"]:
            raise RuntimeError(answer["trouble"])
        said: str = answer["said"]
        return said


class Changed:
    """A house that a process beside it changes. It says where it lies and what its settings are."""

    data_dir: Path

    @property
    def known(self) -> Mapping[str, str]:
        raise NotImplementedError

    @cached_property
    def beside(self) -> Beside:
        """That process, from when it is needed first."""
        return Beside(self.known, self.data_dir)

    def enrol(self, device_id: str, kind: str) -> None:
        """Give a device its files in `devices/`."""
        self.beside.command("enrol_device", device_id, f"--kind={kind}", "--out=devices")

    def furnish(self, devices: Named, cards: Named) -> None:
        """Enrol devices and add cards."""
        for device_id, kind in devices.items():
            self.enrol(device_id, kind)
        for uid, holder in cards.items():
            self.beside.command("add_card", uid, f"--holder={holder}")

    def leave(self) -> None:
        """End the process beside it, if there is one."""
        if beside := self.__dict__.pop("beside", None):
            beside.end()


def main(folder: str) -> None:
    """Do as told until stdin ends."""
    os.umask(0o077)  # as manage.py
    os.chdir(folder)
    answers = sys.stdout
    os.environ["DJANGO_SETTINGS_MODULE"] = "smarthome.settings"
    django.setup()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def answer(order: Mapping[str, Any]) -> dict[str, str]:
    """What was said, and what went wrong."""
    from django.db import connections

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            do(order)
    except Exception:  # noqa: BLE001  # the test hears of it
        return {"said": said.getvalue(), "trouble": traceback.format_exc()}
    finally:
        connections.close_all()  # as if it had ended: a server may be gone when it is asked again
    return {"said": said.getvalue(), "trouble": ""}


def do(order: Mapping[str, Any]) -> None:
    from django.core.management import call_command

    if "command" in order:
        call_command(*order["command"])
    else:
        exec(order["code"], {})  # noqa: S102  # the test's own


if __name__ == "__main__":
    main(sys.argv[1])
