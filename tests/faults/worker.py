"""A worker with a fault built in: `python -m tests.faults.worker FAULT [NUMBER]`.

The hooks are put in from outside; the product has none.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django


def die_before_ack(after: int) -> None:
    """SIGKILL between COMMIT and XACK, at the batch after so many."""
    from realtime import consume

    acknowledge, batches = consume.acknowledge, itertools.count()

    def hooked(*arguments: Any) -> None:
        if next(batches) >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        acknowledge(*arguments)

    consume.acknowledge = hooked


def freeze_in_transaction(after: int) -> None:
    """SIGSTOP with rows written and not committed, at the batch after so many; once."""
    from realtime import streams
    from sensors import store

    batches = itertools.count()

    def hooked(entries: Any) -> None:
        store.write(entries)
        if next(batches) == after:
            os.kill(os.getpid(), signal.SIGSTOP)

    streams.sink("sensors", hooked)


def forget_the_ledger(after: int) -> None:
    """The control: every reading is new; dies before it acknowledges as well."""
    from sensors import store

    store._not_in_ledger = list  # type: ignore[assignment]
    die_before_ack(after)


FAULTS: dict[str, Callable[[int], None]] = {
    "die-before-ack": die_before_ack,
    "freeze-in-transaction": freeze_in_transaction,
    "forget-the-ledger": forget_the_ledger,
}


def main(fault: str, after: int = 0) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "smarthome.settings"
    django.setup()
    from django.core.management import call_command

    FAULTS[fault](after)
    call_command("run_worker")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
