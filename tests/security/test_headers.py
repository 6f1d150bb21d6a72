"""What answers tell a browser to refuse: headers and the flags of cookies, on both faces."""

from http.cookies import Morsel, SimpleCookie

import httpx
import pytest

from smarthome.headers import API_PAGES, STRICT
from tests.house import ADMIN_PASSWORD, House
from tests.security.conftest import UID
from tests.stack import Stack

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
PAGES = ["/sign-in", "/admin/login/", "/", "/no-such-page", "/docs", "/redoc"]
API = [
    "/api/devices",
    "/api/policies/cards",
    "/api/schema",
    "/api/no-such-thing",
    "/health",
    "/metrics",
]


@pytest.fixture
def browser(ending):
    with httpx.Client(base_url=ending.url, verify=ending.tls(), timeout=20) as client:
        yield client


def is_production(ending: House | Stack) -> bool:
    return isinstance(ending, Stack)


def assert_strict(answer: httpx.Response, ending: House | Stack, policy: str = STRICT) -> None:
    told = {name: answer.headers.get(name) for name in EVERYWHERE}
    assert told == EVERYWHERE, answer.url
    assert answer.headers["content-security-policy"] == policy
    for talkative in ("x-powered-by", "via", "x-runtime"):
        assert talkative not in answer.headers
    assert answer.headers.get("server", "") in ("", "nginx")  # no version


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_strict(ending, browser, path):
    answer = browser.get(path)

    assert_strict(answer, ending, API_PAGES if path in ("/docs", "/redoc") else STRICT)
    hsts = answer.headers.get("strict-transport-security")
    assert hsts == ("max-age=31536000" if is_production(ending) else None)


@pytest.mark.parametrize("path", API)
def test_every_answer_of_the_api_is_strict(ending, browser, path):
    answer = browser.get(path)

    assert_strict(answer, ending)
    if path.startswith("/api/"):
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/api/access/check", "/api/sensors/ingest", "/health", "/nothing"]
)
def test_every_answer_to_a_device_is_strict_and_sets_no_cookie(ending, path):
    with ending.device("front-door") as door:
        answer = door.post(path, json={"card_uid": UID, "temperature": 21.5})

    assert_strict(answer, ending)
    assert "set-cookie" not in answer.headers


def cookies_of(answer: httpx.Response) -> dict[str, Morsel[str]]:
    found: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return dict(found)


def test_cookies_are_kept_from_scripts_and_other_sites(ending, browser):
    before = browser.get("/sign-in")
    form = {"username": "admin", "password": ADMIN_PASSWORD}
    token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    answer = browser.post(
        "/sign-in", data=form | token, headers={"Referer": f"{ending.url}/sign-in"}
    )

    session, csrf = cookies_of(answer)["sessionid"], cookies_of(before)["csrftoken"]
    assert answer.status_code == 302
    for cookie in (session, csrf):
        assert bool(cookie["secure"]) is is_production(ending)
        assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert session["httponly"]
    assert len(session.value) >= 32


def test_a_session_that_somebody_planted_is_not_the_one_signed_in(ending, browser):
    browser.get("/sign-in")
    browser.cookies.set("sessionid", "a" * 32)
    form = {"username": "admin", "password": ADMIN_PASSWORD}
    token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}

    answer = browser.post(
        "/sign-in", data=form | token, headers={"Referer": f"{ending.url}/sign-in"}
    )

    assert cookies_of(answer)["sessionid"].value != "a" * 32


@pytest.mark.parametrize("path", ["/sign-in", "/admin/login/", "/sign-out"])
def test_a_form_from_another_site_is_refused(ending, browser, path):
    browser.get("/sign-in")
    form = {"username": "admin", "password": ADMIN_PASSWORD}
    good = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}

    assert browser.post(path, data=form).status_code == 403
    foreign = {"Origin": "https://evil.example"}
    assert browser.post(path, data=form | good, headers=foreign).status_code == 403


def test_other_sites_scripts_are_not_told_anything(ending, browser):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}

    for answer in (
        browser.get("/api/devices", headers=asked),
        browser.options("/api/devices", headers=asked),
        browser.post("/api/auth/token", headers=asked, json={"username": "x", "password": "x"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
