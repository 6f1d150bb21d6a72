"""The dashboard in a real Chromium, over a real house."""

import datetime as dt
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import (
    DESKTOP,
    PHONE,
    Visit,
    pictures,
    serious_faults,
    take_picture,
    too_narrow,
    windows,
)
from tests.house import ADMIN_PASSWORD, ROOT, House, open_house
from tests.sockets import ask, device_socket

pytestmark = pytest.mark.browser

ANNA, STRANGER, MALLORY = "04:A3:2B:F2:1C:80", "04:00:00:01", "04:A3:2B:F2:1C:81"
DEVICES = {"front-door": "door", "kitchen": "sensor"}
CARDS = {ANNA: "Anna", MALLORY: "<script>Mallory</script>"}

# What stands on what, in both colour schemes.
COLOURS = [
    ("ink", "ground"),
    ("ink", "card"),
    ("soft", "ground"),
    ("soft", "card"),
    ("accent", "ground"),
    ("accent", "card"),
    ("on-accent", "accent"),
    ("good", "card"),
    ("bad", "card"),
    ("bad", "bad-ground"),
    ("warn", "card"),
    ("warn", "warn-ground"),
    ("temperature", "card"),
    ("humidity", "card"),
    ("pressure", "card"),
]
CONTRAST = """([text, ground]) => {
    const light = (name) => {
        const hex = getComputedStyle(document.body).getPropertyValue(`--${name}`).slice(1);
        const long = hex.length === 3 ? [...hex].map((c) => c + c).join("") : hex;
        const [r, g, b] = [0, 2, 4]
            .map((i) => parseInt(long.slice(i, i + 2), 16) / 255)
            .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    limits = {"RATE_LIMIT_CHECK": "0", "RATE_LIMIT_INGEST": "0"}
    with open_house(folder, DEVICES, CARDS, **limits) as house:
        shell(
            house,
            "from django.contrib.auth.models import Group, User",
            f"user = User.objects.create_user('mia', password={ADMIN_PASSWORD!r})",
            "user.groups.add(Group.objects.get(name='viewer'))",
        )
        yield house


@pytest.fixture
def visit(browser: Browser, house: House) -> Iterator[Callable[..., Visit]]:
    """Opens windows; at the end their consoles must be clean and no other host was asked."""
    with windows(browser, house) as open_window:
        yield open_window


def shell(house: House, *lines: str) -> None:
    house.beside.run("\n".join(lines))


def read(house: House, **reading: float) -> httpx.Response:
    with house.device("kitchen") as sensor:
        return sensor.post("/api/sensors/ingest", json=reading)


def check(house: House, uid: str) -> None:
    with house.device("front-door") as door:
        assert door.post("/api/access/check", json={"card_uid": uid}).status_code == 200


def report(house: House, event: str) -> None:
    with device_socket(house, "front-door") as door:
        assert ask(door, type="door_event", event=event)["type"] == "ack"


def value(page: Page, metric: str, device_id: str = "kitchen") -> Locator:
    return page.locator(f"[data-device={device_id}] [data-metric={metric}] .value")


def newest_event(page: Page) -> Locator:
    return page.locator(".event").first.locator("p")


def test_a_reading_is_on_the_screen_without_a_reload(house, visit):
    page = visit().watch()

    answer = read(house, temperature=24.71, humidity=48.2, pressure=1009.6)

    assert answer.status_code == 202
    expect(value(page, "temperature")).to_have_text("24.7")
    expect(value(page, "humidity")).to_have_text("48")
    expect(value(page, "pressure")).to_have_text("1010")
    expect(page.locator("[data-device=kitchen] .age")).to_have_text("now")


def test_a_grant_and_a_refusal_are_told_in_words_the_newest_on_top(house, visit):
    page = visit().watch()

    check(house, ANNA)
    expect(newest_event(page)).to_contain_text("Anna, front-door, ")
    expect(newest_event(page)).to_contain_text(", allowed")
    check(house, STRANGER)
    expect(newest_event(page)).to_contain_text("Unknown card, front-door, ")
    expect(newest_event(page)).to_contain_text(", refused")

    assert page.locator(".event").first.get_attribute("data-granted") == "false"
    granted, refused = (
        page.locator(f".event[data-granted={granted}] .verdict").first.evaluate(
            "element => getComputedStyle(element).color"
        )
        for granted in ("true", "false")
    )
    assert granted != refused
    expect(page.locator(".door .last")).to_contain_text("Unknown card, ")


def test_a_viewer_sees_no_card_numbers_live_either(house, visit):
    operator, viewer = visit().watch("admin"), visit().watch("mia")

    check(house, "04:11:22:33")

    expect(newest_event(operator)).to_contain_text("04:11:22:33")
    expect(newest_event(viewer)).to_contain_text("Unknown card")
    assert "04:11:22:33" not in viewer.content()


def test_a_name_is_text_whatever_it_says(house, visit):
    page = visit().watch()

    check(house, MALLORY)

    expect(newest_event(page)).to_contain_text("<script>Mallory</script>, front-door")


def test_times_are_the_buildings_wherever_the_tablet_is(house, visit):
    page = visit(timezone_id="Pacific/Auckland").watch()
    before = page.locator(".event").count()

    check(house, ANNA)

    expect(page.locator(".event")).to_have_count(before + 1)
    time = newest_event(page).locator("time")
    at = time.evaluate("""element => new Date(element.dateTime).toLocaleTimeString(
        "en-GB", { timeZone: "Europe/Berlin", hour: "2-digit", minute: "2-digit" })""")
    expect(time).to_have_text(at)


def test_what_a_door_reports_is_shown_until_it_is_dismissed(house, visit):
    page = visit().watch()

    report(house, "held_open")

    alert = page.locator(".alert", has_text="front-door: held open")
    expect(alert).to_be_visible()
    expect(page.locator(".door .last")).to_contain_text("held open, ")
    alert.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    page.reload()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(alert).to_have_count(0)


def test_a_device_that_falls_silent_turns_to_a_warning(house, visit):
    read(house, temperature=20)
    page = visit().watch()
    card = page.locator(".sensor[data-device=kitchen]")
    expect(card).to_have_attribute("data-online", "true")

    shell(
        house,
        "from django.utils import timezone",
        "from policies.models import Presence",
        "Presence.objects.filter(device='kitchen').update(silent_after=timezone.now())",
    )

    expect(card).to_have_attribute("data-online", "false")
    expect(card.locator(".state")).to_contain_text("offline since ")
    read(house, temperature=20)
    expect(card).to_have_attribute("data-online", "true")


def test_the_house_is_killed_and_nothing_is_missed(house, visit):
    window = visit()
    page = window.watch()
    before = page.locator(".event").count()
    read(house, temperature=19.5)
    check(house, ANNA)
    expect(value(page, "temperature")).to_have_text("19.5")
    expect(page.locator(".event")).to_have_count(before + 1)

    house.stop(signal.SIGKILL)
    expect(page.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    house.start()
    check(house, STRANGER)
    report(house, "forced_open")
    read(house, temperature=18.5)

    expect(page.locator("#connection")).to_have_text("Live", timeout=20_000)
    expect(value(page, "temperature")).to_have_text("18.5")
    expect(newest_event(page)).to_contain_text("Unknown card")
    expect(page.locator(".event")).to_have_count(before + 2)
    expect(page.locator(".alert", has_text="forced open")).to_have_count(1)
    # That it knocked at a dead house is no fault of the page's.
    window.complaints[:] = [c for c in window.complaints if "WebSocket connection to" not in c]


def test_signing_out_in_one_tab_signs_out_the_others(visit):
    window = visit()
    page = window.watch("mia")
    other = window.new_page()
    other.goto(page.url)

    other.get_by_role("button", name="Sign out").click()

    expect(other).to_have_url(f"{window.house.url}/sign-in")
    expect(page).to_have_url(f"{window.house.url}/sign-in?next=/")


def test_another_role_is_another_page(house, visit):
    page = visit().watch("mia")
    expect(page.get_by_role("link", name="API")).to_have_count(0)

    for change in ("add", "remove"):
        shell(
            house,
            "from django.contrib.auth.models import Group, User",
            f"User.objects.get(username='mia').groups.{change}(Group.objects.get(name='operator'))",
        )

        expect(page.get_by_role("link", name="API")).to_have_count(1 if change == "add" else 0)
        expect(page.locator("#connection")).to_have_text("Live")


def test_a_wrong_password_is_told_and_can_be_typed_again(house, visit):
    page = visit().page
    page.goto(house.url)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")

    page.keyboard.type(ADMIN_PASSWORD)
    page.keyboard.press("Enter")

    expect(page.locator("#connection")).to_have_text("Live")


def test_without_javascript_the_page_stands_still_but_is_complete(house, visit):
    read(house, temperature=22.2)
    check(house, ANNA)

    page = visit(java_script_enabled=False).sign_in()

    expect(value(page, "temperature")).to_have_text("22.2")
    expect(newest_event(page)).to_contain_text("Anna, front-door, ")
    expect(page.locator("#connection")).to_contain_text("As of ")
    expect(page.locator(".notice")).to_be_visible()


def test_the_script_says_everything_as_the_server_does(house, visit):
    live = visit().watch("mia")
    before = live.locator(".event").count()
    read(house, temperature=-0.04, humidity=140, metrics={"light_lux": 1234567})
    for uid in (ANNA, STRANGER):
        check(house, uid)
    report(house, "tamper")
    expect(live.locator(".event.new")).to_have_count(2)
    expect(live.locator(".event")).to_have_count(before + 2)
    expect(live.locator(".alert", has_text="tampered with")).to_be_visible()

    still = visit(java_script_enabled=False).sign_in("mia")
    expect(still.locator("#connection")).to_contain_text("As of ")

    for part in (".sensor .figure", ".flags", ".others", ".door", ".event", ".alert p"):
        assert live.locator(part).all_inner_texts() == still.locator(part).all_inner_texts(), part


def test_the_keyboard_reaches_everything(house, visit):
    read(house, temperature=21, humidity=55)
    page = visit().watch()
    page.locator("h1").click()

    reached = []
    for _ in range(13):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(({ dataset, innerText }) => dataset.metric ?? innerText)(document.activeElement)"
            )
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"no visible focus on {reached[-1]!r}"
        if reached[-1] == "humidity":
            break
    page.keyboard.press("Enter")

    pages = ["Now", "Access", "History", "Devices", "System", "Console", "Second factor", "API"]
    assert reached[: len(pages) + 1] == [*pages, "Sign out"]
    expect(page.locator("[data-metric=humidity]").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("figcaption").first).to_contain_text("% in the last hour")


def test_an_outage_is_a_gap_in_the_chart(house, visit):
    house.enrol("attic", "sensor")
    now = dt.datetime.now(dt.UTC)
    kept = [
        {"temperature": 20, "timestamp": (now - dt.timedelta(seconds=age)).isoformat()}
        for age in range(0, 3600, 20)
        if not 15 * 60 < age < 45 * 60
    ]
    with house.device("attic") as attic:
        assert attic.post("/api/sensors/ingest", json={"readings": kept}).json()["rejected"] == []
    page = visit().watch()
    plot = page.locator("[data-device=attic] .u-over")
    caption = page.locator("[data-device=attic] figcaption")
    width = plot.bounding_box()["width"]

    plot.hover(position={"x": width * 0.9, "y": 20})
    expect(caption).to_contain_text("20.0 °C at ")

    plot.hover(position={"x": width * 0.5, "y": 20})
    expect(caption).to_have_text("20.0 °C in the last hour")


def test_a_new_device_appears_by_itself_with_what_it_kept(house, visit):
    page = visit().watch()
    house.enrol("bath", "sensor")
    house.enrol("back-door", "door")
    now = dt.datetime.now(dt.UTC)
    kept = [
        {"temperature": 30 - age, "timestamp": (now - dt.timedelta(minutes=age)).isoformat()}
        for age in range(5, 10)
    ]

    with house.device("bath") as bath:
        assert bath.post("/api/sensors/ingest", json={"readings": kept}).status_code == 202
    with house.device("back-door") as door:
        assert door.post("/api/access/check", json={"card_uid": ANNA}).status_code == 200

    expect(value(page, "temperature", "bath")).to_have_text("25.0")
    expect(page.locator("[data-device=bath] .age")).to_have_text("5 min ago")
    expect(page.locator("[data-device=back-door] .last")).to_contain_text("Anna, ")
    expect(page.locator("[data-device=back-door] .state")).to_have_text("online")
    caption = page.locator("[data-device=bath] figcaption")
    expect(caption).to_have_text("21.0 – 25.0 °C in the last hour", timeout=10_000)


def test_nothing_needs_sideways_scrolling(house, visit):
    check(house, STRANGER)
    report(house, "held_open")
    page = visit(PHONE).watch()
    expect(page.locator(".alert").first).to_be_visible()

    assert too_narrow(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(visit, scheme):
    page = visit(color_scheme=scheme).watch()

    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(244, 242, 238)", "dark": "rgb(18, 21, 23)"}[scheme]
    weak = [pair for pair in COLOURS if page.evaluate(CONTRAST, list(pair)) < 4.5]
    assert weak == []


def test_one_press_shows_what_is_in_a_zone(house, visit):
    shell(
        house,
        "from policies.models import Zone",
        "Zone.objects.get_or_create(name='ground floor')[0].devices.set(['kitchen'])",
        "Zone.objects.get_or_create(name='entrance')[0].devices.set(['front-door'])",
    )
    window = visit()
    page = window.watch()
    zones, kitchen, door = (page.locator(f"{css}") for css in (
        "#zones", ".sensor[data-device=kitchen]", ".door[data-device=front-door]",
    ))  # fmt: skip
    expect(zones.get_by_role("button")).to_have_text(["everywhere", "entrance", "ground floor"])

    zones.get_by_role("button", name="ground floor").click()
    expect(kitchen).to_be_visible()
    expect(door).to_be_hidden()
    page.reload()
    expect(door).to_be_hidden()
    zones.get_by_role("button", name="everywhere").click()
    expect(door).to_be_visible()
    shell(house, "from policies.models import Zone", "Zone.objects.all().delete()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_of_screens_can_use_it(house, visit, scheme):
    read(house, temperature=21, humidity=55)
    window = visit(color_scheme=scheme)
    window.page.goto(house.url)
    found = [serious_faults(window.page), serious_faults(window.watch())]

    assert found == [[], []]


@pictures
def test_pictures_for_the_documentation(browser, tmp_path):
    with open_house(tmp_path) as house, simulated_devices(house):
        for name, size, scale in (("dashboard", DESKTOP, 1), ("phone", PHONE, 2)):
            for scheme in ("light", "dark"):
                window = Visit(browser, house, size, color_scheme=scheme, device_scale_factor=scale)
                page = window.watch()
                expect(page.locator(".sensor canvas")).to_have_count(3)
                expect(page.locator(".event[data-granted=false]").first).to_be_visible(
                    timeout=60_000
                )
                expect(page.locator(".door[data-online=true]")).to_have_count(2)
                page.wait_for_timeout(6000)  # until the history is in the charts
                while page.locator(".dismiss").count():
                    page.locator(".dismiss").first.click()
                take_picture(page, name if scheme == "light" else f"{name}-dark")
                window.context.close()


@contextmanager
def simulated_devices(house: House) -> Iterator[None]:
    """Two doors and three sensors that had an hour to speak."""
    command = [sys.executable, str(ROOT / "manage.py"), "simulate_devices"]
    simulator = subprocess.Popen(
        [*command, f"--url={house.device_url}"],
        env=house.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        simulator.terminate()
        simulator.wait()
