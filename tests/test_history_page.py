"""The history page: what it asks for, and what it may not ask for."""

import csv
import datetime as dt
from urllib.parse import urlencode

import pytest

from policies.models import Device
from tests.test_sensors_rollups import entry, store

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def readings(sensor):
    """A minute's readings at noon, none for an hour, then one; and a second sensor."""
    Device.objects.create(device_id="cellar", kind="sensor", name="=cellar")
    store.write(
        [
            *(
                entry("kitchen", NOON + dt.timedelta(seconds=10 * n), temperature=20 + n)
                for n in range(3)
            ),
            entry("kitchen", NOON + HOUR, temperature=19.5),
            entry("kitchen", NOON + HOUR, humidity=40),
            entry("cellar", NOON + HOUR, temperature=-9.5),
        ]
    )


def address(what="history/data", length=2 * HOUR, until=NOON + 2 * HOUR, **more):
    span = {"start": (until - length).isoformat(), "end": until.isoformat()}
    return f"/{what}?{urlencode(span | more, doseq=True)}"


def shown(client, **asked):
    answer = client.get(address(**asked))
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_it_has_columns_for_each_sensor_and_leaves_gaps(viewer, readings):
    answer = shown(viewer, sensor=["kitchen", "cellar"], metric="temperature")

    noon = NOON.timestamp()
    assert (answer["interval"], answer["width"]) == ("1m", 60)
    assert answer["series"] == [
        {
            "id": "kitchen",
            "times": [noon, noon + 3600],
            "mean": [21, 19.5],
            "least": [20, 19.5],
            "most": [22, 19.5],
        },
        {"id": "cellar", "times": [noon + 3600], "mean": [-9.5], "least": [-9.5], "most": [-9.5]},
    ]


def test_a_metric_is_shown_where_it_was_measured(viewer, readings):
    answer = shown(viewer, sensor=["kitchen", "cellar"], metric="humidity")

    assert [one["mean"] for one in answer["series"]] == [[40], []]


def test_a_few_minutes_are_shown_reading_by_reading(viewer, readings):
    start = dt.timedelta(minutes=2)

    answer = shown(viewer, length=start, until=NOON + start, sensor="kitchen", metric="temperature")

    assert (answer["interval"], answer["width"]) == (None, 0)
    assert answer["series"][0]["mean"] == [20, 21, 22]
    assert answer["series"][0]["least"] == [None, None, None]


@pytest.mark.parametrize(
    ("days", "interval"),
    [(1 / 24, "1m"), (1, "1m"), (7, "5m"), (30, "1h"), (366, "1d"), (3653, "1d")],
)
def test_a_range_has_as_many_points_as_a_screen_can_show(viewer, readings, days, interval):
    answer = shown(viewer, length=dt.timedelta(days=days), sensor="kitchen")

    assert answer["interval"] == interval
    assert sum(one["mean"] != [] for one in answer["series"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensor": "attic"},
        {"sensor": "kitchen\0"},
        {"metric": "noise"},
        {"end": "2026-11-23T10:00:00Z", "start": "2026-11-23T11:00:00Z"},
        {"start": "yesterday"},
        {"start": "1000-01-01T00:00:00Z"},
        {"end": "0001-01-01T00:00:00Z", "start": ""},
        {"start": "9999-12-31T23:59:59-23:00"},
    ],
)
@pytest.mark.parametrize("what", ["history/data", "history.csv"])
def test_what_cannot_be_is_refused(viewer, readings, wrong, what):
    assert viewer.get(address(what, **wrong)).status_code == 400
    assert viewer.get(address("history", **wrong)).status_code == 200  # it begins anew


def test_there_are_no_more_sensors_at_once_than_colours(viewer, db):
    names = [f"sensor-{n}" for n in range(9)]
    Device.objects.bulk_create(Device(device_id=name, kind="sensor") for name in names)

    assert viewer.get(address(sensor=names[:8])).status_code == 200
    assert viewer.get(address(sensor=names)).status_code == 400


def test_the_table_is_what_is_shown_and_no_cell_is_a_formula(viewer, readings):
    answer = viewer.get(address("history.csv", sensor=["kitchen", "cellar"]))

    text = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    assert answer["Content-Disposition"].startswith('attachment; filename="temperature-')
    assert list(csv.reader(text.splitlines())) == [
        ["time", "device_id", "name", "temperature_avg", "temperature_min", "temperature_max"],
        ["2026-11-23T12:00:00.000Z", "kitchen", "kitchen", "21", "20", "22"],
        ["2026-11-23T13:00:00.000Z", "kitchen", "kitchen", "19.5", "19.5", "19.5"],
        ["2026-11-23T13:00:00.000Z", "cellar", "'=cellar", "-9.5", "-9.5", "-9.5"],
    ]


def test_the_page_has_what_was_chosen(viewer, readings):
    page = viewer.get("/history?sensor=cellar&metric=humidity").content.decode()

    assert page.count(" checked") == 2
    assert 'value="cellar" checked' in page
    assert 'value="humidity" checked' in page
    assert "history.csv?sensor=cellar&amp;metric=humidity" in page


def test_without_sensors_it_says_so(viewer):
    assert "No sensor yet." in viewer.get("/history").content.decode()
    assert shown(viewer)["series"] == []


def test_a_range_costs_the_same_for_any_length(viewer, readings, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        shown(viewer, length=dt.timedelta(days=366), sensor=["kitchen", "cellar"])


@pytest.mark.parametrize("what", ["history", "history/data", "history.csv"])
def test_who_has_no_role_sees_nothing(outsider, nobody, readings, what):
    assert outsider.get(address(what)).status_code == 403
    assert nobody.get(address(what)).status_code == 302
