"""The history page in a real Chromium."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import (
    DESKTOP,
    PHONE,
    pictures,
    serious_faults,
    take_picture,
    too_narrow,
    windows,
)
from tests.house import House, open_house

pytestmark = pytest.mark.browser

DEVICES = {"cellar": "sensor", "kitchen": "sensor", "front-door": "door"}
# Three days, a reading every five minutes; nothing for six hours of the second one.
FILL = """
import datetime as dt, math
from django.utils import timezone
from policies.models import Device
from realtime import streams
from tests.test_sensors_rollups import entry
now = timezone.now().replace(microsecond=0)
for name, label, mean in (("kitchen", "Kitchen", 21), ("cellar", "Cellar", 11)):
    Device.objects.filter(pk=name).update(name=label)
    moments = [now - dt.timedelta(minutes=5 * n) for n in range(3 * 288)]
    streams.publish("sensors", [
        entry(name, at, temperature=mean + 2 * math.sin(at.timestamp() / 13750), humidity=50)
        for n, at in enumerate(moments) if not 300 < n < 372
    ])
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), DEVICES) as house:
        house.beside.run(FILL)
        yield house


@pytest.fixture
def look(browser: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Opens the page; at the end the consoles must be clean and no other host was asked."""
    meant = "net::ERR_INTERNET_DISCONNECTED"  # what a test does, and the browser tells
    with windows(browser, house, meant) as open_window:

        def open_page(
            asked: str = "?sensor=kitchen", size: tuple[int, int] = DESKTOP, **options: str | float
        ) -> Page:
            page = open_window(size, **options).sign_in(path=f"/history{asked}")
            drawn(page)
            return page

        yield open_page


def drawn(page: Page) -> None:
    expect(page.locator("#drawn")).to_have_attribute("data-state", "drawn")


def resolution(page: Page, words: str) -> None:
    expect(page.locator("#resolution")).to_contain_text(words)


def drag(page: Page, start: float, end: float) -> None:
    """Over a part of the chart, from 0 (left) to 1 (right)."""
    box = page.locator("#chart .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()


def test_a_day_is_drawn_and_said_in_figures(look):
    page = look()

    resolution(page, "a minute")
    row = page.locator("#figures tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Kitchen")
    expect(row).to_contain_text("°C")
    expect(page.get_by_role("button", name="day")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chart canvas")).to_have_count(1)


def test_a_closer_look_asks_for_finer_points_and_back_leads_back(look):
    page = look("?sensor=kitchen&hours=720")
    resolution(page, "an hour")

    drag(page, 0.96, 0.99)

    resolution(page, "a minute")
    assert "start=" in page.url
    page.go_back()
    resolution(page, "an hour")
    drawn(page)


def test_several_sensors_and_another_metric(look):
    page = look()

    page.get_by_text("Cellar").first.click()
    expect(page.locator("#figures tbody tr")).to_have_count(2)
    page.get_by_text("humidity").click()

    expect(page.locator("#figures tbody")).to_contain_text("50.0 %")
    link = page.locator("#csv").get_attribute("href") or ""
    assert "sensor=cellar&sensor=kitchen&metric=humidity" in link
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert download.value.suggested_filename.startswith("humidity-")


def test_nothing_is_said_of_an_outage(look):
    page = look("?sensor=kitchen&hours=72")
    box = page.locator("#chart .u-over").bounding_box()
    assert box
    hint = page.locator("#hint")

    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 50)
    expect(hint).to_contain_text("Kitchen")
    page.mouse.move(box["x"] + box["width"] * (1 - 336 / 864), box["y"] + 50)

    expect(hint).not_to_contain_text("Kitchen")


def test_keys_move_in_time(look):
    page = look()
    before = page.locator("#range").text_content() or ""

    page.locator("#chart").press("ArrowLeft")
    expect(page.locator("#range")).not_to_have_text(before)
    page.locator("#chart").press("+")
    resolution(page, "a minute")
    page.locator("#chart").press("Home")

    drawn(page)
    assert "start=" not in page.url


def test_a_sensor_that_is_not_there_begins_anew(look):
    page = look("?sensor=attic&metric=noise")

    expect(page.locator("#figures tbody tr")).to_have_count(1)


def test_a_house_that_is_away_is_said_and_asked_again(look):
    page = look()
    page.context.set_offline(True)

    page.get_by_role("button", name="week").click()
    expect(page.locator("#hint")).to_contain_text("could not be shown")
    page.context.set_offline(False)
    page.get_by_role("button", name="week").click()

    resolution(page, "5 minutes")


@pytest.mark.parametrize("path", ["/history", "/devices", "/system"])
def test_nothing_needs_sideways_scrolling(look, house, path):
    page = look(size=PHONE)
    page.goto(house.url + path)

    assert too_narrow(page) == []


@pictures
def test_pictures_for_the_documentation(look, house):
    for name, size, scheme in (
        ("history", DESKTOP, "light"),
        ("history-dark", DESKTOP, "dark"),
        ("history-phone", PHONE, "light"),
    ):
        page = look("?sensor=kitchen&sensor=cellar&hours=72", size, color_scheme=scheme)
        page.wait_for_timeout(500)
        take_picture(page, name)
    for name in ("devices", "system"):
        page.goto(f"{house.url}/{name}")
        take_picture(page, f"{name}-phone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_of_screens_can_use_it(house, look, scheme):
    page = look("?sensor=kitchen&sensor=cellar", color_scheme=scheme)
    found = {"history": serious_faults(page)}
    for name in ("devices", "system"):
        page.goto(f"{house.url}/{name}")
        found[name] = serious_faults(page)

    assert found == {"history": [], "devices": [], "system": []}
