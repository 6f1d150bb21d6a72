"""The console shows readings and changes none."""

import re

import pytest
from django.contrib.auth.models import User

from policies.moments import parse_moment
from sensors.models import SensorReading
from tests.test_sensors_rollups import entry, store

LIST = "/admin/sensors/sensorreading/"


@pytest.fixture
def reading(sensor):
    store.write(
        [
            entry(
                "kitchen",
                "2026-11-23T11:00:00Z",
                temperature=21.5000004,
                humidity=40,
                metrics={"light_lux": 120.5},
                time_source="server",
                device_time="T+00h00m12s",
                flags=["humidity_out_of_range", "sensor_missing", "of_tomorrow"],
            ),
            entry("cellar", "2026-11-23T10:00:00Z", temperature=9),
        ]
    )
    return SensorReading.objects.get(device_id="kitchen")


@pytest.fixture
def console(viewer):
    User.objects.update(is_staff=True)
    return viewer


def test_the_list_speaks_in_words_and_units(console, reading):
    page = console.get(LIST).content.decode()

    assert "21.5 °C" in page
    assert "40 %" in page
    assert "humidity outside the sensor&#x27;s range; sensor missing (all values are 0)" in page
    assert "of_tomorrow" in page


@pytest.mark.parametrize(
    ("query", "found", "hidden"),
    [
        ("device=kitchen", "21.5 °C", "9 °C"),
        ("time_source__exact=device", "9 °C", "21.5 °C"),
        ("time__gte=2026-11-23+10:30:00Z", "21.5 °C", "9 °C"),
    ],
)
def test_the_list_can_be_filtered(console, reading, query, found, hidden):
    page = console.get(f"{LIST}?{query}").content.decode()

    assert f">{found}<" in page
    assert f">{hidden}<" not in page


def test_a_reading_shows_all_that_was_kept(console, reading):
    at = "2026-11-23T11:00:00Z"
    page = console.get(f"{LIST}{reading.pk}/change/", {"at": at}).content.decode()

    assert "light_lux" in page
    assert "T+00h00m12s" in page
    assert "the server&#x27;s clock" in page


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_evidence_is_neither_added_nor_deleted(owner, reading, path):
    User.objects.update(is_staff=True, is_superuser=True)

    assert owner.get(LIST + path.format(pk=reading.pk)).status_code == 403
    assert owner.post(LIST + path.format(pk=reading.pk)).status_code == 403


def test_evidence_is_not_changed(owner, reading):
    User.objects.update(is_staff=True, is_superuser=True)

    answer = owner.post(f"{LIST}{reading.pk}/change/", {"temperature": "1"})

    reading.refresh_from_db()
    assert answer.status_code == 403
    assert reading.temperature == 21.5000004


def test_the_lists_link_finds_a_reading_at_its_time(console, reading):
    (link,) = re.findall(rf'href="({LIST}{reading.pk}/change/[^"]*)"', listed(console))
    elsewhere = console.get(link.replace("T11", "T12"))

    assert "at=2026-11-23T11" in link
    assert "120.5" in console.get(link).content.decode()
    assert elsewhere.status_code == 302  # to the start page, which says so
    assert console.get(f"{LIST}nonsense/change/?at=2026-11-23T11:00:00Z").status_code == 302
    assert console.get(f"{LIST}{reading.pk}/change/?at=today").status_code == 302


def listed(console):
    return console.get(LIST).content.decode()


def test_the_list_has_no_actions(owner, reading):
    User.objects.update(is_staff=True, is_superuser=True)

    assert "delete_selected" not in owner.get(LIST).content.decode()


def test_a_reading_says_whose_and_when():
    reading = SensorReading(device_id="kitchen", time=parse_moment("2026-11-23T11:00:00Z"))

    assert str(reading) == "kitchen, 2026-11-23 11:00:00"
