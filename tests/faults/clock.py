"""The whole house's clock is set an hour on or back, by libfaketime."""

import time
from datetime import datetime
from pathlib import Path

from tests.faults.house import House
from tests.faults.journal import GRANTED, REFUSED, now
from tests.faults.load import BEGAN, DOORS, EXPIRES
from tests.faults.scene import Fault, Scene

NEAR_S = 60.0
LOOKED_S = 1.1  # after which each process has looked at the file (kinds.py)


def set_clock(house: House, seconds: int) -> None:
    """Set it so much off; returns when every process has looked at the file."""
    Path(house.stack.settings["FAKETIME_TIMESTAMP_FILE"]).write_text(f"{seconds:+d}")
    wanted = time.time() + seconds
    house.wait_for(lambda: abs(clock_of(house) - wanted) < NEAR_S, "the clock is set", 10)
    time.sleep(LOOKED_S)


def clock_of(house: House) -> float:
    """What time it is there."""
    with house.stack.people() as people:
        said: str = people.get("/health").json()["timestamp"]
    return datetime.fromisoformat(said).timestamp()


def clock_set(seconds: int) -> Fault:
    """Set for a while, and set back."""

    def fault(scene: Scene) -> None:
        house = scene.house
        # The card that is not valid any more, or not yet.
        uid = EXPIRES if seconds > 0 else BEGAN
        with house.stack.device(DOORS[0]) as door:
            scene.expect_outcome(scene.ask(door, uid), GRANTED, "before")
            with scene.window():
                set_clock(house, seconds)
                until = now() + scene.seconds
                while now() < until:
                    scene.expect_outcome(scene.ask(door, uid), REFUSED, "by the new clock")
                    time.sleep(0.1)
                set_clock(house, 0)
            scene.expect_outcome(scene.ask(door, uid), GRANTED, "afterwards")
        with house.database() as connection:
            rows = connection.execute("SELECT min(latency_ms), max(latency_ms) FROM access_logs")
            least, most = rows.fetchone() or (0, 0)
        scene.expect(0 <= least <= most < 10_000, f"durations from {least} to {most} ms")

    return fault
