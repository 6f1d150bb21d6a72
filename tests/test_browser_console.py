"""The console in a real Chromium, over a real house that is lived in."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import DESKTOP, FITS, PHONE, pictures, serious_faults, take_picture, windows
from tests.console_house import FURNISH
from tests.house import ADMIN_PASSWORD, House, open_house

pytestmark = pytest.mark.browser

# Of Django's own templates: the label of the search is a picture, icons of help have names, the
# search in a choice of many has none.
DJANGOS = ("label-title-only", "aria-prohibited-attr", "select2-search__field")
DOORS = ("front-door", "garage", "workshop")
PAGES = [
    "/admin/",
    "/admin/policies/person/",
    "/admin/policies/person/1/change/",
    "/admin/policies/peoplegroup/1/change/",
    "/admin/policies/schedule/",
    "/admin/policies/schedule/2/change/",
    "/admin/policies/holiday/",
    "/admin/policies/rule/2/change/",
    "/admin/policies/door/",
    "/admin/policies/door/front-door/change/",
    "/admin/policies/door/front-door/entry/?card=carla",
    "/admin/policies/house/",
    "/admin/access/accesslog/",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with open_house(folder, RATE_LIMIT_CHECK="0") as house:
        for door in DOORS:
            house.enrol(door, "door")
        house.manage("shell", "--no-imports", "-c", f"PASSWORD = {ADMIN_PASSWORD!r}\n{FURNISH}")
        yield house


@pytest.fixture
def enter(browser: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Signs in; at the end the window's console must be clean and no other host was asked."""
    with windows(browser, house) as open_window:

        def sign_in(size: tuple[int, int] = DESKTOP, **options: str) -> Page:
            page = open_window(size, locale="en-GB", **options).sign_in("manager")
            expect(page.locator("#connection")).to_be_visible()
            return page

        yield sign_in


def test_every_page_fits_a_phone_and_asks_nobody_else(house, enter):
    page = enter(PHONE)

    too_wide = []
    for path in PAGES:
        assert page.goto(house.url + path).status == 200
        too_wide += [] if page.evaluate(FITS) else [path]

    assert too_wide == []


def test_a_card_that_is_presented_shows_up_by_itself(house, enter):
    page = enter()
    page.goto(f"{house.url}/admin/policies/person/3/change/")
    page.get_by_label("A new card?").select_option("garage")
    page.get_by_role("button", name="Wait for it there").click()
    expect(page.get_by_text("Hold the new card to the reader of Garage now.")).to_be_visible()

    with house.device("garage") as door:
        door.post("/api/access/check", json={"card_uid": "04:11:22:33"})

    expect(page.get_by_text("04:11:22:33")).to_be_visible()
    expect(page.get_by_label("Whose is it?")).to_have_value("Carla Rossi")
    page.get_by_role("button", name="Give this card").click()
    expect(page.locator(".messagelist")).to_have_text("04:11:22:33 is a card of Carla Rossi now.")


def test_people_are_found_while_typing(house, enter):
    page = enter()
    page.goto(f"{house.url}/admin/policies/peoplegroup/1/change/")

    page.locator(".field-newcomers .select2-selection").click()
    page.keyboard.type("fat")
    page.locator(".select2-results__option", has_text="Fatou Diop").click()
    page.get_by_role("button", name="Save", exact=True).click()

    told = page.locator(".consequences li").first
    expect(told).to_contain_text("Fatou Diop gains")
    expect(page.get_by_role("button", name="Save this")).to_be_focused()


def test_a_reader_of_screens_can_use_it(house, browser):
    found = {}
    with windows(browser, house, meant="Applying inline style") as open_window:  # as axe tries to
        page = open_window().sign_in("manager")
        expect(page.locator("#connection")).to_be_visible()
        for path in PAGES:
            page.goto(house.url + path)
            found[path] = serious_faults(page, DJANGOS)

    assert {path: faults for path, faults in found.items() if faults} == {}


@pictures
def test_pictures_for_the_documentation(house, enter):
    for size, kind in ((DESKTOP, ""), (PHONE, "-phone")):
        page = enter(size, color_scheme="light")
        for name, make in PICTURES.items():
            make(page, house.url)
            page.wait_for_load_state("networkidle")
            take_picture(page, f"console-{name}{kind}")
    page = enter(color_scheme="dark")
    PICTURES["week"](page, house.url)
    take_picture(page, "console-week-dark")


def _people(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/policies/person/1/change/")
    page.locator("#cards-group").scroll_into_view_if_needed()
    page.locator("#cards-group").evaluate("part => part.scrollIntoView()")


def _week(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/policies/schedule/1/change/")


def _door(page: Page, url: str) -> None:
    """Its page, while its zone is locked down; afterwards it is not."""
    page.goto(f"{url}/admin/policies/zone/1/change/")
    page.get_by_role("button", name="Lock down").click()
    page.goto(f"{url}/admin/policies/door/front-door/change/")


def _entry(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/policies/zone/1/change/")
    page.get_by_role("button", name="End the lockdown").click()
    page.goto(f"{url}/admin/policies/door/front-door/entry/?at=2026-11-24T10:30&card=deniz")


def _preview(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/policies/rule/3/change/")
    page.get_by_label("Schedule").select_option(label="By day")
    page.get_by_role("button", name="Save", exact=True).click()


def _log(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/access/accesslog/")


PICTURES = {
    "person": _people,
    "week": _week,
    "door": _door,
    "entry": _entry,
    "preview": _preview,
    "log": _log,
}
