"""One round of load: what devices were told, what viewers saw, what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import devices, live
from benchmarks.load import Job, Results


@dataclass
class Round:
    """The load of one round and what came of it."""

    title: str
    checks_per_second: float
    readings_per_second: float
    checks: Results = field(default_factory=Results)
    readings: Results = field(default_factory=Results)
    shown: live.Round = field(default_factory=live.Round)
    memory_mb: float = 0  # at its end
    shares: dict[str, float] = field(default_factory=dict)  # of one core, by process

    def jobs(self, sockets: int = 0) -> list[Job]:
        """The devices' parts; so many sensors send frames over /ws."""
        rates = self.checks_per_second, self.readings_per_second
        return devices.jobs(self.checks, self.readings, *rates, sockets)

    @property
    def lateness(self) -> Results:
        """How late the generator itself was."""
        return Results(latencies=self.checks.lateness + self.readings.lateness)

    @property
    def faults(self) -> list[str]:
        """Wrong answers, and what viewers should have seen."""
        return [*self.checks.faults, *self.readings.faults, *self._unseen()]

    def _unseen(self) -> list[str]:
        """Nobody who watched without a break may miss an event; who paused must have missed
        readings, or the pause was not felt and proves nothing."""
        faults = [
            f"{viewer} missed {count} access events"
            for viewer, count in self.shown.missed.items()
            if count and viewer.startswith("viewer")
        ]
        return faults + ["the pause was not felt"] * (self.shown.skipped.get("paused") == 0)


def missing_rows(rounds: Sequence[Round], others: int = 0) -> list[str]:
    """Every answer stands for exactly one stored row; so many readings came in other ways."""
    from access.models import AccessLog
    from sensors.models import SensorReading

    events = sum(len(r.shown.events) for r in rounds)
    answered = sum(len(r.shown.accepted) for r in rounds)
    wanted = {
        "access log": (AccessLog.objects, events),
        "readings": (SensorReading.objects, answered - events + others),
    }
    return [
        f"{name}: {rows.count()} rows for {answered} answers"
        for name, (rows, answered) in wanted.items()
        if rows.count() != answered
    ]
