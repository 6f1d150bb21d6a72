"""When does a schedule hold? By the clock on the wall, holidays and set clocks included."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from policies.rules import DayWindow, DoorState, HolidayDay, Window
from policies.schedules import Holding, holding, holiday_on

pytestmark = pytest.mark.pure

BERLIN = ZoneInfo("Europe/Berlin")
MON, TUE, WED, THU, FRI, SAT, SUN = (1 << day for day in range(7))
EVERY_DAY = 127


def time(text: str) -> dt.time:
    return dt.time.fromisoformat(text)


def window(days: int, starts_at: str, ends_at: str) -> Window:
    return Window(days, time(starts_at), time(ends_at))


def day(date: str, *windows: tuple[str, str], yearly: bool = False) -> HolidayDay:
    own = tuple(DayWindow(time(start), time(end)) for start, end in windows)
    return HolidayDay(dt.date.fromisoformat(date), yearly, own)


def found(windows, holidays, moment: str) -> str:
    """`holds`, `holiday` or `outside`, at a time on the building's wall."""
    return holding(windows, tuple(holidays), dt.datetime.fromisoformat(moment)).name.lower()


CLEANER = window(TUE, "09:00", "12:00")
NIGHT = window(MON, "22:00", "06:00")
NIGHTS = window(EVERY_DAY, "22:00", "06:00")
OFFICE = window(MON | TUE | WED | THU | FRI, "08:00", "18:00")


@pytest.mark.parametrize(
    ("windows", "moment", "holds"),
    [
        # From `from` (included) to `to` (not included).
        ([CLEANER], "2026-11-24T08:59:59.999", False),
        ([CLEANER], "2026-11-24T09:00", True),
        ([CLEANER], "2026-11-24T11:59:59.999", True),
        ([CLEANER], "2026-11-24T12:00", False),
        # On its days only.
        ([CLEANER], "2026-11-23T10:00", False),
        ([CLEANER], "2026-11-25T10:00", False),
        ([OFFICE], "2026-11-27T10:00", True),
        ([OFFICE], "2026-11-28T10:00", False),
        ([OFFICE], "2026-11-29T10:00", False),
        # Many of them: one is enough; without any it never holds.
        ([CLEANER, window(TUE, "14:00", "15:00")], "2026-11-24T14:30", True),
        ([CLEANER, window(TUE, "14:00", "15:00")], "2026-11-24T13:00", False),
        ([], "2026-11-24T13:00", False),
        # One over midnight belongs to the day on which it starts.
        ([NIGHT], "2026-11-23T21:59:59.999", False),
        ([NIGHT], "2026-11-23T22:00", True),
        ([NIGHT], "2026-11-23T23:59:59.999", True),
        ([NIGHT], "2026-11-24T00:00", True),
        ([NIGHT], "2026-11-24T05:59:59.999", True),
        ([NIGHT], "2026-11-24T06:00", False),
        ([NIGHT], "2026-11-23T05:00", False),  # that would be Sunday's
        ([window(SUN, "22:00", "06:00")], "2026-11-23T05:00", True),
        ([window(MON, "22:00", "00:00")], "2026-11-23T23:59", True),
        ([window(MON, "22:00", "00:00")], "2026-11-24T00:00", False),
        # The same `from` and `to`: 24 hours.
        ([window(MON, "00:00", "00:00")], "2026-11-22T23:59", False),
        ([window(MON, "00:00", "00:00")], "2026-11-23T00:00", True),
        ([window(MON, "00:00", "00:00")], "2026-11-23T23:59:59.999", True),
        ([window(MON, "00:00", "00:00")], "2026-11-24T00:00", False),
        ([window(MON, "08:00", "08:00")], "2026-11-23T07:59", False),
        ([window(MON, "08:00", "08:00")], "2026-11-23T08:00", True),
        ([window(MON, "08:00", "08:00")], "2026-11-24T07:59:59.999", True),
        ([window(MON, "08:00", "08:00")], "2026-11-24T08:00", False),
        # Over the end of a year.
        ([NIGHTS], "2027-01-01T03:00", True),
    ],
)
def test_a_schedule_holds_in_its_windows(windows, moment, holds):
    assert found(windows, [], moment) == ("holds" if holds else "outside")


CHRISTMAS = day("2026-12-25")  # a Friday
LONG_AGO = day("2019-12-25", yearly=True)
MORNING = day("2026-12-25", ("09:00", "12:00"))
PARTY = day("2026-12-25", ("20:00", "04:00"))
ALL_DAY = day("2026-12-25", ("00:00", "00:00"))


@pytest.mark.parametrize(
    ("windows", "holidays", "moment", "verdict"),
    [
        # It closes every minute of its date, in schedules' windows and beside them.
        ([OFFICE], [CHRISTMAS], "2026-12-24T17:59", "holds"),
        ([OFFICE], [CHRISTMAS], "2026-12-25T00:00", "holiday"),
        ([OFFICE], [CHRISTMAS], "2026-12-25T10:00", "holiday"),
        ([OFFICE], [CHRISTMAS], "2026-12-25T23:59:59.999", "holiday"),
        ([OFFICE], [CHRISTMAS], "2026-12-26T10:00", "outside"),  # a Saturday
        ([NIGHTS], [CHRISTMAS], "2026-12-25T12:00", "holiday"),
        # The evening before ends at midnight; the night that would begin on it does not happen.
        ([NIGHTS], [CHRISTMAS], "2026-12-24T23:59:59.999", "holds"),
        ([NIGHTS], [CHRISTMAS], "2026-12-25T00:00", "holiday"),
        ([NIGHTS], [CHRISTMAS], "2026-12-25T22:00", "holiday"),
        ([NIGHTS], [CHRISTMAS], "2026-12-26T00:00", "outside"),
        ([NIGHTS], [CHRISTMAS], "2026-12-26T05:59", "outside"),
        ([NIGHTS], [CHRISTMAS], "2026-12-26T22:00", "holds"),
        ([window(EVERY_DAY, "08:00", "08:00")], [CHRISTMAS], "2026-12-26T07:59", "outside"),
        ([window(EVERY_DAY, "08:00", "08:00")], [CHRISTMAS], "2026-12-26T08:00", "holds"),
        # Its own windows replace them, on whatever day of the week the schedule has any.
        ([OFFICE], [MORNING], "2026-12-25T08:59", "holiday"),
        ([OFFICE], [MORNING], "2026-12-25T09:00", "holds"),
        ([OFFICE], [MORNING], "2026-12-25T11:59:59.999", "holds"),
        ([OFFICE], [MORNING], "2026-12-25T12:00", "holiday"),
        ([CLEANER], [MORNING], "2026-12-25T09:30", "holds"),
        ([NIGHTS], [MORNING], "2026-12-25T23:00", "holiday"),
        ([], [MORNING], "2026-12-25T09:30", "holds"),
        # One of its own over midnight runs into the day after; from the one before comes nothing.
        ([NIGHTS], [PARTY], "2026-12-25T03:00", "holiday"),
        ([OFFICE], [PARTY], "2026-12-25T20:00", "holds"),
        ([OFFICE], [PARTY], "2026-12-26T03:59:59.999", "holds"),
        ([OFFICE], [PARTY], "2026-12-26T04:00", "outside"),
        ([NIGHTS], [PARTY], "2026-12-26T05:00", "outside"),
        ([OFFICE], [ALL_DAY], "2026-12-25T00:00", "holds"),
        ([OFFICE], [ALL_DAY], "2026-12-25T23:59:59.999", "holds"),
        ([OFFICE], [ALL_DAY], "2026-12-26T00:00", "outside"),
        # Two holidays in a row: what the first one began ends at midnight.
        ([OFFICE], [PARTY, day("2026-12-26")], "2026-12-26T03:00", "holiday"),
        ([OFFICE], [PARTY, day("2026-12-26")], "2026-12-27T03:00", "outside"),
        # Yearly: day and month count.
        ([OFFICE], [LONG_AGO], "2026-12-25T10:00", "holiday"),
        ([OFFICE], [LONG_AGO], "2034-12-25T10:00", "holiday"),
        ([OFFICE], [LONG_AGO], "2018-12-25T10:00", "holiday"),  # a date before it was written down
        ([OFFICE], [LONG_AGO], "2026-11-25T10:00", "holds"),
        ([OFFICE], [CHRISTMAS], "2028-12-25T10:00", "holds"),  # once only
        # Where both fall on a date the one of that date counts, alone.
        ([OFFICE], [LONG_AGO, MORNING], "2026-12-25T10:00", "holds"),
        ([OFFICE], [MORNING, LONG_AGO], "2026-12-25T10:00", "holds"),
        ([OFFICE], [day("2000-12-25", ("09:00", "12:00"), yearly=True), CHRISTMAS],
         "2026-12-25T10:00", "holiday"),
        # 29 February comes in leap years only.
        ([OFFICE], [day("2024-02-29", yearly=True)], "2028-02-29T10:00", "holiday"),
        ([OFFICE], [day("2024-02-29", yearly=True)], "2027-03-01T10:00", "holds"),
        ([OFFICE], [day("2024-02-29", yearly=True)], "2025-02-28T10:00", "holds"),
    ],
)  # fmt: skip
def test_a_holiday_overrides_schedules(windows, holidays, moment, verdict):
    assert found(windows, holidays, moment) == verdict


def test_no_holiday_is_none():
    assert holiday_on(dt.date(2026, 12, 24), [CHRISTMAS, LONG_AGO]) is None


@pytest.mark.parametrize(
    ("window", "utc", "holds"),
    [
        # Spring: 02:00 to 03:00 is left out, so a window in it never matches.
        (window(SUN, "02:00", "03:00"), "2026-03-29T00:59:59", False),
        (window(SUN, "02:00", "03:00"), "2026-03-29T01:00", False),
        (window(SUN, "02:15", "02:45"), "2026-03-29T01:15", False),
        (window(SUN, "01:30", "03:30"), "2026-03-29T00:59", True),
        (window(SUN, "01:30", "03:30"), "2026-03-29T01:29", True),
        (window(SUN, "01:30", "03:30"), "2026-03-29T01:30", False),
        (window(SUN, "02:30", "04:00"), "2026-03-29T00:59", False),
        (window(SUN, "02:30", "04:00"), "2026-03-29T01:00", True),  # the clock shows 03:00
        (window(SAT, "22:00", "02:30"), "2026-03-29T00:59", True),
        (window(SAT, "22:00", "02:30"), "2026-03-29T01:00", False),
        # Autumn: 02:00 to 03:00 comes twice, and a window in it matches both times.
        (window(SUN, "02:00", "02:30"), "2026-10-24T23:59", False),
        (window(SUN, "02:00", "02:30"), "2026-10-25T00:00", True),
        (window(SUN, "02:00", "02:30"), "2026-10-25T00:29", True),
        (window(SUN, "02:00", "02:30"), "2026-10-25T00:30", False),
        (window(SUN, "02:00", "02:30"), "2026-10-25T01:00", True),
        (window(SUN, "02:00", "02:30"), "2026-10-25T01:30", False),
        (window(SUN, "01:00", "02:30"), "2026-10-25T00:45", False),
        (window(SUN, "01:00", "02:30"), "2026-10-25T01:15", True),
        (window(SAT, "22:00", "02:30"), "2026-10-25T01:29", True),
    ],
)
def test_what_counts_is_what_the_clock_on_the_wall_shows(window, utc, holds):
    moment = dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC)

    assert (holding([window], (), moment.astimezone(BERLIN)) is Holding.HOLDS) is holds


@pytest.mark.parametrize(
    ("moment", "is_locked"),
    [
        ("2026-11-23T21:59", False),
        ("2026-11-23T22:00", True),
        ("2026-11-24T06:00", False),
        ("2026-12-25T23:00", True),  # a holiday does not open it
        ("2026-12-26T05:00", True),
    ],
)
def test_an_always_locked_door_is_locked_on_holidays_too(moment, is_locked):
    door = DoorState("front-door", True, locked_windows=(NIGHTS,), holidays=(CHRISTMAS,))

    assert door.is_locked(dt.datetime.fromisoformat(moment)) is is_locked


@pytest.mark.parametrize(
    ("changes", "moment", "stays_open"),
    [
        ({}, "2026-11-23T10:00", True),
        ({}, "2026-11-23T18:00", False),
        ({}, "2026-12-25T10:00", False),
        ({"holidays": (MORNING,)}, "2026-12-25T10:00", True),
        ({"lockdown": True}, "2026-11-23T10:00", False),
        ({"switched_on": False}, "2026-11-23T10:00", False),
        ({"locked_windows": (OFFICE,)}, "2026-11-23T10:00", False),
        ({"unlocked_windows": ()}, "2026-11-23T10:00", False),
    ],
)
def test_an_always_unlocked_door_stays_open_unless_something_closes_it(changes, moment, stays_open):
    state = {"unlocked_windows": (OFFICE,), "holidays": (CHRISTMAS,), "switched_on": True}
    door = DoorState("front-door", **(state | changes))
    at = dt.datetime.fromisoformat(moment)

    assert door.stays_open(at) is stays_open
    assert door.stays_open(at, clock_trusted=False) is False
