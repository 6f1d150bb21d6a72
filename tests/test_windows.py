"""Days and times of day as people write them."""

import datetime as dt

import pytest

from policies.serializers.schedules import HolidaySerializer, ScheduleSerializer
from policies.windows import (
    clock_text,
    date_text,
    day_names,
    parse_clock,
    parse_date,
    parse_days,
)
from smarthome.errors import flat

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("text", ["00:00", "06:30", "09:05", "19:59", "23:59"])
def test_a_time_of_day_is_read_and_written_back(text):
    assert clock_text(parse_clock(text)) == text


@pytest.mark.parametrize(
    "wrong",
    [
        *("24:00", "6:30", "06:60", "06:30:00", "0630", "06.30", " 06:30", "06:30\n", ""),
        *("٠٦:٣٠", "06:30Z", "06:3\0", "noon", 6, 6.5, True, None, ["06:30"], {}),
    ],
)
def test_anything_else_is_no_time_of_day(wrong):
    with pytest.raises(ValueError, match="time of day"):
        parse_clock(wrong)


@pytest.mark.parametrize(
    ("names", "days"),
    [
        (["mon"], 1),
        (["sun"], 64),
        (["fri", "mon"], 17),
        (["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 127),
    ],
)
def test_days_are_added_up_and_come_back_in_the_order_of_the_week(names, days):
    assert parse_days(names) == days
    assert set(day_names(days)) == set(names)
    assert day_names(days) == sorted(names, key=day_names(127).index)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "at least one"),
        (None, "at least one"),
        ("mon", "at least one"),
        (1, "at least one"),
        ({"mon": True}, "at least one"),
        (["Mon"], "“Mon” is no day"),
        (["mon", "monday"], "“monday” is no day"),
        (["mon", 1], "“1” is no day"),
        ([["mon"]], "is no day"),
        ([{}], "is no day"),
        ([None], "is no day"),
        (["mon", "mon"], "twice"),
    ],
)
def test_anything_else_names_no_days(wrong, said):
    with pytest.raises(ValueError, match=said):
        parse_days(wrong)


def test_a_date_is_read_and_written_back():
    assert parse_date("2028-02-29") == dt.date(2028, 2, 29)
    assert date_text(dt.date(987, 1, 1)) == "0987-01-01"


@pytest.mark.parametrize(
    "wrong",
    [
        *("2027-02-29", "2026-13-01", "0000-01-01", "20261225", "2026-W52-5", "26-12-25"),
        *("2026-12-25T00:00:00Z", "٢٠٢٦-١٢-٢٥", "25.12.2026", "", 2026, None, ["2026-12-25"]),
    ],
)
def test_anything_else_is_no_date(wrong):
    with pytest.raises(ValueError, match="date"):
        parse_date(wrong)


NIGHT = {"days": ["mon", "sun"], "from": "22:00", "to": "06:00"}
NIGHT_INSIDE = {"days": 65, "starts_at": dt.time(22), "ends_at": dt.time(6)}


def test_a_schedule_is_read_into_what_its_model_holds():
    fields = ScheduleSerializer(data={"name": " Nights ", "windows": [NIGHT]})

    assert fields.is_valid()
    assert fields.validated_data == {"name": "Nights", "windows": [NIGHT_INSIDE]}


def test_a_holiday_is_read_into_what_its_model_holds():
    plain = HolidaySerializer(data={"date": "2026-12-25", "name": "Christmas"})
    opened = HolidaySerializer(
        data={
            "date": "2026-12-24",
            "name": "Eve",
            "yearly": True,
            "windows": [{"from": "09:00", "to": "13:00"}],
        }
    )

    assert plain.is_valid()
    assert opened.is_valid()
    assert plain.validated_data == {
        "date": dt.date(2026, 12, 25),
        "name": "Christmas",
        "yearly": False,
        "windows": [],
    }
    assert opened.validated_data["windows"] == [{"starts_at": dt.time(9), "ends_at": dt.time(13)}]


@pytest.mark.parametrize(
    ("windows", "place"),
    [
        ("mon", "windows"),
        ({"0": NIGHT}, "windows"),
        ([NIGHT] * 101, "windows.1"),
        ([NIGHT, "mon"], "windows.1"),
        ([NIGHT, NIGHT | {"days": ["sun", "mon"]}], "windows.1"),
        ([NIGHT | {"from": "22"}], "windows.0.from"),
        ([NIGHT | {"to": None}], "windows.0.to"),
        ([NIGHT | {"days": []}], "windows.0.days"),
        ([NIGHT, {}], "windows.1.days windows.1.from windows.1.to"),
    ],
)
def test_what_is_wrong_with_windows_is_named_by_its_place(windows, place):
    fields = ScheduleSerializer(data={"name": "Nights", "windows": windows})

    assert not fields.is_valid()
    assert flat(fields.errors).keys() == set(place.split())
