"""A row of the report."""

from dataclasses import dataclass, field
from typing import Any

from tests.faults.oracle import Findings


@dataclass
class Result:
    """What was found; `said` is for rows that say it in words."""

    fault: str
    seed: int
    findings: Findings
    confirmed: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)  # told, and not judged
    not_run: str = ""
    said: str = ""

    def expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.faults.append(otherwise)

    @property
    def passed(self) -> bool:
        return self.findings.none and not self.faults and not self.not_run

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "seed": self.seed,
            "verdict": "not run" if self.not_run else "pass" if self.passed else "FAIL",
            "confirmed": self.confirmed,
            **self.findings.counts,
            "figures": {name: round(value, 2) for name, value in self.figures.items()},
            "faults": [*self.faults, *self.findings.examples],
            "late": self.late,
            "said": self.not_run or self.said,
        }
