"""The table and the JSON lines of a run."""

import json
import os
import sys

from tests.faults.result import Result
from tests.house import ROOT

FOLDER = ROOT / "var"
COLUMNS = (
    ("fault", 46),
    ("seed", 4),
    ("confirmed", 9),
    ("lost", 4),
    ("twice", 5),
    ("false", 5),
    ("slowest", 8),
    ("p99", 7),
    ("resumed", 7),
    ("drained", 7),
    ("", 0),
)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def head() -> None:
    """What is said before the first row."""
    say(
        f"Rate limits off (the load is 20 times a device's); {os.cpu_count()} cores, of which the "
        "load, the journal and the viewers use their part."
    )
    say("  ".join(f"{name:<{width}}" for name, width in COLUMNS))


def row(result: Result) -> None:
    """One line, and under it what was wrong."""
    found, figures = result.findings, result.figures
    cells = [
        result.fault,
        str(result.seed),
        str(result.confirmed),
        str(found.lost),
        str(found.twice),
        str(found.false_grants),
        *(
            shown(figures.get(name), unit)
            for name, unit in (
                ("check_max_ms", " ms"),
                ("check_p99_ms", " ms"),
                ("resumed_s", " s"),
                ("drained_s", " s"),
            )
        ),
        verdict(result),
    ]
    say("  ".join(f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)))
    for fault in [*result.faults, *found.examples, *(f"not judged: {one}" for one in result.late)]:
        say(f"    {fault}")


def verdict(result: Result) -> str:
    if result.not_run:
        return f"not run: {result.not_run}"
    words = "pass" if result.passed else "FAIL"
    return f"{words}, {result.said}" if result.said else words


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}{unit}" if unit == " ms" else f"{value:.1f}{unit}"


def foot(results: list[Result], seconds: float) -> None:
    """What is said after the last row; again what failed, for who sees only the end."""
    failed = [one for one in results if not one.passed and not one.not_run]
    not_run = sum(bool(one.not_run) for one in results)
    for one in failed:
        say(f"FAIL  {one.fault} (seed {one.seed})")
        for fault in [*one.faults, *one.findings.examples]:
            say(f"    {fault}")
    say(f"{len(results)} rows, {len(failed)} failed, {not_run} not run, {seconds:.0f} s")


def keep(result: Result, kind: str) -> None:
    """One JSON line a row. Those that are not run this time stay as they were."""
    file = FOLDER / f"faults_{kind}.json"
    file.parent.mkdir(exist_ok=True)
    before = file.read_text().splitlines() if file.exists() else []
    rows = [json.loads(line) for line in before] + [result.as_json()]
    newest = {(row["fault"], row["seed"]): json.dumps(row) for row in rows}
    file.write_text("".join(f"{row}\n" for row in newest.values()))
