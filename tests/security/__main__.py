"""Nobody in: every row of the security proof in its long form, `make security`.

A row is green when all its checks ran and passed. One that could not run, because a program is
missing or a test was skipped, is red. Prints a table,
writes var/security.json, and ends with 1 when a row is red. `make security ROWS=tokens,logs` runs
only rows whose names begin so.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "var" / "security.json"
LANES = 2  # rows at a time
LONGEST_ROW = 600  # seconds
OWN = "tests/security/test_"


@dataclass(frozen=True)
class Row:
    """Tests that together show one line of the proof."""

    name: str
    tests: tuple[str, ...]
    production: bool = False  # over PostgreSQL and Redis


FUZZ, INPUTS, ROLES, LOCKOUT = (
    (f"{OWN}{name}.py",) for name in ("api_fuzz", "inputs", "role_matrix", "lockout")
)
BODIES = (
    "reading_is_accepted_or_refused_in_words",
    "scan_is_answered_or_refused_in_words",
    "bytes_are_answered_in_our_shape",
)
# The long ones first, so that both lanes end together.
ROWS = [
    Row("OpenAPI fuzzing by role, production", FUZZ, production=True),
    Row("OpenAPI fuzzing by role, embedded", FUZZ),
    Row(
        "bodies, production",
        tuple(f"{INPUTS[0]}::test_any_{what}" for what in BODIES),
        production=True,
    ),
    Row("card numbers and bodies, embedded", INPUTS),
    Row("WebSocket frames and handshakes", (f"{OWN}socket_fuzz.py",)),
    Row("mutual TLS at serve and nginx", (f"{OWN}mutual_tls.py",)),
    Row("WebSocket sign-in", (f"{OWN}socket_identity.py", "tests/test_viewer_socket.py")),
    Row("roles × every URL, production", (*ROLES, "tests/test_roles.py"), production=True),
    Row("roles × every URL, embedded", (*ROLES, "tests/test_roles.py")),
    Row("forged headers, every location", (f"{OWN}forged_headers.py", "tests/test_deploy.py")),
    Row("forged headers, whole stack", ("tests/test_stack.py",)),
    Row("tokens", (f"{OWN}tokens_forged.py", "tests/test_tokens.py")),
    Row("wrong passwords lock, production", LOCKOUT, production=True),
    Row("wrong passwords lock, embedded", LOCKOUT),
    Row("second factor, production", ("tests/test_second_factor.py",), production=True),
    Row("second factor, embedded", ("tests/test_second_factor.py",)),
    Row("headers and cookies", (f"{OWN}headers.py",)),
    Row("logs", (f"{OWN}logs.py",)),
    Row("start refusals, check --deploy", (f"{OWN}start_refusals.py", "tests/test_checks.py")),
    Row("dependency floors", (f"{OWN}dependencies.py",)),
    Row("exports: cells that start a formula", (f"{OWN}exports.py",)),
    Row(
        "schedules where clocks are set",
        (f"{OWN}set_clocks.py", "tests/test_schedules.py"),
    ),
]


@dataclass(frozen=True)
class Outcome:
    """What came of a row: `green` or `red`."""

    row: str
    result: str
    cases: int
    seconds: float
    why: str = ""

    def __str__(self) -> str:
        return f"{self.row:42}{self.cases:>8}{self.seconds:>8.0f}  {self.result}" + (
            f": {self.why}" if self.why else ""
        )


def main(wanted: Sequence[str]) -> int:
    rows = [row for row in ROWS if not wanted or row.name.startswith(tuple(wanted))]
    if not rows:
        print(f"No row begins with {' or '.join(wanted)}.", file=sys.stderr)
        return 2
    begun = time.monotonic()
    print(f"{'row':42}{'cases':>8}{'seconds':>8}  result", flush=True)
    with ThreadPoolExecutor(LANES) as lanes:
        outcomes = list(lanes.map(run_and_tell, rows))
    tally = {word: sum(one.result == word for one in outcomes) for word in ("green", "red")}
    seconds = time.monotonic() - begun
    print(f"{tally['green']} green, {tally['red']} red, {seconds:.0f} s")
    REPORT.parent.mkdir(exist_ok=True)
    report = {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "seconds": round(seconds), **tally}
    report["rows"] = [asdict(one) for one in outcomes]
    REPORT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 1 if tally["red"] else 0


def run_and_tell(row: Row) -> Outcome:
    outcome = run(row)
    print(outcome, flush=True)
    return outcome


def run(row: Row) -> Outcome:
    """Run a row's tests in a process of their own."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {
            "SECURITY_FULL": "1",
            "SECURITY_CASES": str(folder / "cases"),
            "CI": "1",  # a program that is missing fails, instead of being passed over
            "DATA_DIR": str(folder / "data"),
        }
        module = "tests.production" if row.production else "pytest"
        options = [f"--junitxml={folder / 'report.xml'}", "--timeout=400", "-p", "no:cacheprovider"]
        options += ["--tb=short", "--show-capture=no"]
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, *options, *row.tests],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=LONGEST_ROW,
            )
            said, status = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired:
            said, status = f"took longer than {LONGEST_ROW} s", -1
        result, cases, why = judged(row, folder, status, said)
    if result == "red":
        print(said, file=sys.stderr)
    return Outcome(row.name, result, cases, round(time.monotonic() - begun, 1), why)


def judged(row: Row, folder: Path, status: int, said: str) -> tuple[str, int, str]:
    """Result, number of cases, and why it is not green."""
    try:
        suite = ElementTree.parse(folder / "report.xml").getroot()[0].attrib  # noqa: S314  # our own
    except (OSError, ElementTree.ParseError):
        return "red", 0, (said.strip().splitlines() or ["nothing was run"])[-1]
    tests, skipped = int(suite["tests"]), int(suite["skipped"])
    failed = int(suite["failures"]) + int(suite["errors"])
    counted = folder / "cases"
    cases = tests + sum(map(int, counted.read_text().split())) if counted.exists() else tests
    if status != 0 or failed or tests == 0:
        return "red", cases, f"{failed} of {tests} tests failed"
    if skipped:
        return "red", cases, f"{skipped} tests could not run"
    return "green", cases, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
