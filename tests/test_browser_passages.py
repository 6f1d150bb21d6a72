"""The access page in a real Chromium."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import (
    DESKTOP,
    PHONE,
    SIGNED_IN,
    pictures,
    serious_faults,
    take_picture,
    too_narrow,
    windows,
)
from tests.house import House, open_house

pytestmark = pytest.mark.browser

ANNA, BEN, STRANGER = "04:A3:2B:F2:1C:80", "04:A3:2B:F2:1C:81", "04:00:00:01"
DEVICES = {"front-door": "door", "garage": "door"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    cards = {ANNA: "Anna", BEN: "Ben"}
    with open_house(folder, DEVICES, cards, RATE_LIMIT_CHECK="0") as house:
        badge(house, "front-door", ANNA)
        badge(house, "garage", STRANGER)
        yield house


@pytest.fixture
def look(browser: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Opens the page, signed in and live."""
    meant = "net::ERR_FAILED"  # what a test does, and the browser tells
    with windows(browser, house, meant) as open_window:

        def open_page(
            asked: str = "", size: tuple[int, int] = DESKTOP, **options: str | float
        ) -> Page:
            window = open_window(size, **options)
            page = window.sign_in(path=f"/access{asked}")
            expect(page.locator("#connection")).to_have_text("Live")
            SIGNED_IN[house.url, "admin"] = window.context.cookies()
            return page

        yield open_page


def badge(house: House, door: str, uid: str) -> None:
    with house.device(door) as client:
        assert client.post("/api/access/check", json={"card_uid": uid}).status_code == 200


def test_who_comes_appears_by_itself(house, look):
    page = look()
    before = page.locator("#rows tbody tr").count()
    page.evaluate("document.querySelector('#rows tbody tr').dataset.old = 'yes'")

    badge(house, "garage", BEN)

    expect(page.locator("#rows tbody tr")).to_have_count(before + 1)
    expect(page.locator("#rows tbody tr").nth(1)).to_have_attribute("data-old", "yes")
    newest = page.locator("#rows tbody tr").first
    expect(newest.locator("th")).to_have_text("Ben")
    expect(newest).to_contain_text("garage")
    expect(newest).to_contain_text("allowed")
    expect(newest).to_have_class("new")


def test_who_came_while_the_house_gave_no_answer_appears_all_the_same(house, look):
    page = look()
    refusals = []

    def refuse(route):
        refusals.append(route.request.url)
        route.abort()

    page.route("**/access", refuse, times=1)
    badge(house, "front-door", BEN)

    expect(page.locator("#rows tbody tr").first).to_contain_text("front-door", timeout=20_000)
    expect(page.locator("#rows tbody tr").first).to_contain_text("Ben", timeout=20_000)
    assert len(refusals) == 1


def test_a_filter_holds_for_what_comes_as_well(house, look):
    page = look()
    page.get_by_label("Door", exact=True).select_option("front-door")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#connection")).to_have_text("Live")

    badge(house, "garage", BEN)
    badge(house, "front-door", STRANGER)

    expect(page.locator("#rows tbody tr").first).to_contain_text("refused")
    expect(page.locator("#rows tbody")).not_to_contain_text("garage")


def test_it_fits_every_screen(look):
    page = look(size=PHONE)

    assert too_narrow(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_of_screens_can_use_it(look, scheme):
    assert serious_faults(look(color_scheme=scheme)) == []


@pictures
def test_pictures_for_the_documentation(look):
    for name, size, scheme in (
        ("access", DESKTOP, "light"),
        ("access-dark", DESKTOP, "dark"),
        ("access-phone", PHONE, "light"),
    ):
        take_picture(look("", size, color_scheme=scheme), name)
