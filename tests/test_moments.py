"""Times: ISO 8601 with an offset in; UTC, milliseconds and Z out."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.moments import parse_moment, parse_query_moment, to_milliseconds, utc_text

pytestmark = pytest.mark.pure

MOMENTS = st.datetimes(
    min_value=dt.datetime(1, 1, 3),  # noqa: DTZ001  # hypothesis adds the zone
    max_value=dt.datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.timezones(),
)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("2026-11-23T07:37:01.542Z", "2026-11-23T07:37:01.542Z"),
        ("2026-11-23T08:37:01.542+01:00", "2026-11-23T07:37:01.542Z"),
        ("2026-11-23T07:37:01Z", "2026-11-23T07:37:01.000Z"),
        ("2026-11-23 07:37:01Z", "2026-11-23T07:37:01.000Z"),
        ("20261123T073701Z", "2026-11-23T07:37:01.000Z"),
        ("2026-11-23T07:37:01.5429999Z", "2026-11-23T07:37:01.542Z"),
        (" 2026-11-23T07:37Z ", "2026-11-23T07:37:00.000Z"),
        ("2026-11-22T21:37:01-10:00", "2026-11-23T07:37:01.000Z"),
    ],
)
def test_a_time_with_an_offset_is_read(text, out):
    assert utc_text(parse_moment(text)) == out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T07:37:01",  # whose seven o'clock?
        "2026-13-01T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "T+00h00m12s",  # what the field's firmware sends
        "1790000000",
        "٢٠٢٦-11-23T07:37:01Z",
        "2026-11-23T07:37:01Z\0",
        "0001-01-01T00:00:00+14:00",  # before the year 1
        "9999-12-31T23:59:59-14:00",  # after the year 9999
    ],
)
def test_anything_else_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011  # datetime's own words
        parse_moment(text)


@given(MOMENTS)
def test_what_we_write_is_what_we_read(moment):
    text = utc_text(moment)

    assert parse_moment(text) == to_milliseconds(moment.astimezone(dt.UTC))
    assert utc_text(parse_moment(text)) == text


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text):
    try:
        found = parse_moment(text)
    except ValueError:
        return
    assert found.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T08:37:01+01:00",
        "2026-11-23T08:37:01 01:00",
        "2026-11-23T08:37:01 0100",
        "2026-11-23T08:37:01 01",
        "2026-11-23 08:37:01 01:00",
        "2026-11-23T07:37:01Z",
    ],
)
def test_in_a_query_the_plus_may_have_become_a_space(text):
    assert utc_text(parse_query_moment(text)) == "2026-11-23T07:37:01.000Z"


@pytest.mark.parametrize("text", ["2026-11-23 07:37", "2026-11-23 07", "2026-11-23T07:37 "])
def test_a_space_alone_makes_no_offset(text):
    with pytest.raises(ValueError, match="offset"):
        parse_query_moment(text)
