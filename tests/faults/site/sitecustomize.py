"""Python under libfaketime 0.9.10, which misreads the monotonic moments that `time.sleep` hands to
clock_nanosleep. Found by PYTHONPATH, in houses with a clock of their own only."""

import select
import time


def sleep(seconds: float) -> None:
    """As time.sleep, by a call that is left alone."""
    select.select([], [], [], seconds)


time.sleep = sleep
