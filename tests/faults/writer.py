"""Cards revoked by somebody who does not tell the cache: the worker notices and repairs that.

`python -m tests.faults.writer UID` revokes a card and dies between the commit and the new
generation. The hook is put in from outside; the product has none.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

import django

from tests.faults.house import House
from tests.faults.journal import GRANTED, now
from tests.faults.load import DOORS, TOGGLED
from tests.faults.scene import Fault, Scene

REPAIRED_S = 2.0  # after which a change that could not be told holds everywhere
PATIENCE = 10.0  # then it is granted for ever
INACTIVE = "UPDATE policies_card SET status = 'inactive' WHERE uid = %s"


def untold(revoke: Callable[[House], None]) -> Fault:
    """The card is in the cache; then it is revoked, and nobody says so."""

    def fault(scene: Scene) -> None:
        path = f"/api/policies/cards/{TOGGLED}"
        with scene.house.manager() as manager, scene.house.stack.device(DOORS[0]) as door:
            for _ in range(scene.times):
                time.sleep(scene.chance.uniform(0, 1))  # anywhere between two looks of the worker
                manager.patch(path, json={"active": True}).raise_for_status()
                scene.expect_outcome(scene.ask(door, TOGGLED), GRANTED, "at first")
                with scene.window():
                    revoke(scene.house)
                    revoked = now()
                    while scene.ask(door, TOGGLED).outcome == GRANTED:
                        if now() - revoked > PATIENCE:
                            raise TimeoutError("the card is granted for ever")
                        time.sleep(0.1)  # few beside the load, which is what is judged
                    scene.note("repaired_s", now() - revoked)

    return fault


def by_psql(house: House) -> None:
    """Somebody with the database's password."""
    with house.database() as connection:
        connection.execute(INACTIVE, [TOGGLED])


def by_dying_writer(house: House) -> None:
    """A process of the house that is killed after its commit."""
    status = house.run_python("-m", "tests.faults.writer", TOGGLED).wait(30)
    if status != -signal.SIGKILL:
        raise RuntimeError(f"the writer ended by itself: {status}")


def main(uid: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "smarthome.settings"
    django.setup()
    from policies import changes
    from policies.models import Card

    changes._forget = lambda: os.kill(os.getpid(), signal.SIGKILL)
    Card.objects.get(uid=uid).revoke()


if __name__ == "__main__":
    main(sys.argv[1])
