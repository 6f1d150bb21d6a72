"""The revocation race as a row: tests/test_revocation_race.py in its long form."""

import os
import re
import subprocess
import sys

from tests.faults.oracle import Findings
from tests.faults.result import Result
from tests.house import ROOT

NAME = "revocation race"
TOGGLES = 2000
TEST = "tests/test_revocation_race.py"
# What the test logs: how many checks began and ended between a revocation and the next grant.
COUNTED = re.compile(rf"{TOGGLES} toggles, \d+ checks, \d+ while shut")


def run(seed: int) -> Result:
    """Pytest's verdict, and the figures that it logged."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.production", TEST, "-rP", "--log-level=INFO"],
        cwd=ROOT,
        env=os.environ | {"RACE_TOGGLES": str(TOGGLES), "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    result = Result(NAME, seed, Findings())
    counted = COUNTED.search(done.stdout)
    result.said = counted[0] if counted else ""
    result.expect(bool(counted), f"nobody counted: {done.stderr[-200:]}")
    result.expect(done.returncode == 0, done.stdout[-500:])
    return result
