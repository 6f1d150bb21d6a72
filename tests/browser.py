"""A real Chromium for tests: what its visitors see, and what they must never see."""

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocket, expect, sync_playwright

from tests.house import ADMIN_PASSWORD, ROOT, House

# Debian's, driven by what Debian's builds understand; nothing is fetched in the background.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 200_000  # of a picture
FITS = "document.documentElement.scrollWidth <= innerWidth"
pictures = pytest.mark.skipif(
    not os.environ.get("SCREENSHOTS"), reason="SCREENSHOTS=1 makes the pictures"
)
SIGNED_IN: dict[tuple[str, str], Any] = {}  # cookies, by house and name
PHONE, DESKTOP = (360, 760), (1280, 800)


def executable() -> str:
    """Chromium's path; without it the test is skipped, in CI it fails."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path:
        return path
    reason = "Chromium is missing (Debian: apt install chromium)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """Somebody at a browser window. Errors and calls to other hosts are noted."""

    def __init__(
        self, browser: Browser, house: House, size: tuple[int, int] = DESKTOP, **options: Any
    ) -> None:
        self.house = house
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.complaints: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        """Another tab of the same window."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note_host(request.url))
        page.on("websocket", lambda socket: self._note_socket(socket))
        return page

    def sign_in(self, username: str = "admin", path: str = "/") -> Page:
        """The page of somebody who is still signed in from another visit, or who types name and
        password now, as a person does."""
        self.context.add_cookies(SIGNED_IN.get((self.house.url, username), []))
        self.page.goto(self.house.url + path)
        if not self.page.get_by_label("Password").count():
            return self.page
        self.page.get_by_label("Name").press_sequentially(username)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(ADMIN_PASSWORD)
        self.page.keyboard.press("Enter")
        return self.page

    def watch(self, username: str = "admin") -> Page:
        """The dashboard, signed in and live."""
        page = self.sign_in(username)
        expect(page.locator("#connection")).to_have_text("Live")
        SIGNED_IN[self.house.url, username] = self.context.cookies()
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note_socket(self, socket: WebSocket) -> None:
        self._note_host(socket.url)

    def _note_host(self, url: str) -> None:
        if urlsplit(url).netloc != f"127.0.0.1:{self.house.http_port}":
            self.complaints.append(f"asked another host: {url}")


@contextmanager
def windows(browser: Browser, house: House, meant: str = "") -> Iterator[Callable[..., Visit]]:
    """Opens windows; at the end their consoles must be clean, but for what is `meant`, and no other
    host was asked."""
    visits: list[Visit] = []

    def open_window(size: tuple[int, int] = DESKTOP, **options: Any) -> Visit:
        visits.append(Visit(browser, house, size, **options))
        return visits[-1]

    yield open_window
    for one in visits:
        one.context.close()
    complaints = [words for one in visits for words in one.complaints]
    unmeant = [words for words in complaints if not (meant and meant in words)]
    assert not unmeant, unmeant


def too_narrow(page: Page) -> list[int]:
    """The widths at which the page would have to be moved sideways."""
    found = []
    for width in (320, 360, 768, 1024, 1920):
        page.set_viewport_size({"width": width, "height": 760})
        found += [] if page.evaluate(FITS) else [width]
    return found


def serious_faults(page: Page, but: Collection[str] = ()) -> list[str]:
    """What axe finds that keeps somebody from using the page, each as its rule and where; without
    those that have a part of `but` in them."""
    found = (
        Axe()
        .run(page, options={"resultTypes": ["violations"], "preload": False})
        .response["violations"]
    )
    faults = [
        f"{one['id']}: {node['target']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    return [fault for fault in faults if not any(part in fault for part in but)]


def take_picture(page: Page, name: str) -> None:
    """For the documents, which should stay light."""
    assert len(page.screenshot(path=IMAGES / f"{name}.png")) < MOST_BYTES
