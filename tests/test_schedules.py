"""When does a schedule hold? By the clock on the wall, holidays and set clocks included."""

import datetime as dt

import pytest

from policies.rules import Window
from policies.schedules import Holding, holding

NIGHT = Window(1, dt.time(22), dt.time(6))  # Mondays


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-23T21:59:59.999", False),
        ("2026-11-23T22:00", True),  # Monday night
        ("2026-11-24T05:59:59.999", True),  # still Monday's
        ("2026-11-24T06:00", False),
        ("2026-11-23T05:59", False),  # Sunday has no night
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_starts(moment, holds):
    found = holding([NIGHT], (), dt.datetime.fromisoformat(moment))

    assert (found is Holding.HOLDS) is holds
