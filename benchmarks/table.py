"""What a benchmark found out: printed as a table, and kept for the others."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.load import Results

PROJECT = Path(__file__).resolve().parent.parent


def head() -> None:
    print(f"{'':24}{'P50':>8}{'P99':>8}{'max':>8}{'goal':>12}")


def row(name: str, results: Results, goal: int | None = None) -> None:
    values = (results.percentile(50), results.percentile(99), results.percentile(100))
    shown = f"P99 < {goal}" if goal else ""
    print(f"{name:24}" + "".join(f"{value:8.1f}" for value in values) + f"{shown:>12}")


def line(name: str, value: Any, goal: int | str | None = None) -> None:
    shown = f"< {goal}" if isinstance(goal, int) else goal or ""
    print(f"{name:24}{value:>24}{shown:>12}")


def keep(figures: dict[str, Any]) -> None:
    """Into var/bench.json, beside what other benchmarks wrote there."""
    path = PROJECT / "var" / "bench.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    before: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        before = json.loads(path.read_text())
    path.write_text(json.dumps(before | figures, indent=2) + "\n")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
