"""How fast are the pages for who looks at them? `python -m benchmarks.page`; `QUICK=1`: shorter.

A real house with a year of 100 sensors in it, and a real Chromium. How soon does each page show
something to a browser that has never been there, and how much does it bring? How long is it from a
click on “year” until the year of eight of them is drawn? And how long from a device's 202 until the
value is on the screen? The browser notes that by its own clock, which is this machine's. Ends
non-zero when a value never came or a goal was missed.
"""

import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from benchmarks.load import Results
from benchmarks.table import head, keep, line, row, say
from tests.browser import Visit, open_browser
from tests.house import House, open_house

PAGES = ("/", "/access", "/history", "/devices", "/system")
SENSORS, DRAWN = 100, 8
GOALS = {
    "first_paint_ms": 1000,
    "page_kb": 150,
    "year_drawn_ms": 300,
    "page_live_p99_ms": 200,
}

# What a year of a reading a second leaves behind in the days, which such a chart is drawn from; the
# minutes of the last hour, and a thousand rows of the access log.
YEAR = """
import datetime as dt, math, uuid
from django.utils import timezone
from access.models import AccessLog
from policies.models import Device
from sensors.models import DayRollUp, MinuteRollUp
now = timezone.localtime().replace(minute=0, second=0, microsecond=0)
names = [f"sensor-{{n:03}}" for n in range({0})]
Device.objects.bulk_create(Device(device_id=name, kind="sensor", name=name) for name in names)
def sums(count, value):
    found = dict(count=count)
    for metric, mean in (("temperature", value), ("humidity", 50.0), ("pressure", 1013.0)):
        found |= {{f"{{metric}}_n": count, f"{{metric}}_sum": mean * count,
                   f"{{metric}}_min": mean - 1, f"{{metric}}_max": mean + 1}}
    return found
minute = timezone.now().replace(second=0, microsecond=0)
MinuteRollUp.objects.bulk_create(
    (MinuteRollUp(device_id=name, start=minute - dt.timedelta(minutes=n), **sums(60, 20 + n / 60))
     for name in names for n in range(60)), batch_size=1000,
)
AccessLog.objects.bulk_create(
    AccessLog(log_id=uuid.uuid4(), timestamp=minute - dt.timedelta(minutes=n), granted=True,
              device_id="front-door", device_name="front door", card_uid="04:A3:2B:F2:1C:80",
              user_name=f"Person {{n}}", reason="granted", rule="everybody", latency_ms=3)
    for n in range(1000)
)
starts = [(now - dt.timedelta(days=n)).replace(hour=0) for n in range(367)]
for place, name in enumerate(names):
    DayRollUp.objects.bulk_create(
        (DayRollUp(device_id=name, start=at,
                   **sums(86400, 20 + 9 * math.sin(at.timestamp() / 5e6 + place)))
         for at in starts), batch_size=1000,
    )
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
WEIGHT = """["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
    .reduce((sum, one) => sum + one.transferSize, 0) / 1000"""
# From the press to the frame after the one that was drawn.
YEAR_DRAWN = """() => new Promise((done) => {
    const drawn = document.getElementById("drawn");
    const begun = performance.now();
    const end = () => setTimeout(() => done(performance.now() - begun));
    new MutationObserver((_, observer) => {
        if (drawn.dataset.state !== "drawn") return;
        observer.disconnect();
        requestAnimationFrame(end);
    }).observe(drawn, { attributeFilter: ["data-state"] });
    document.querySelector('[data-hours="8784"]').click();
})"""
SEEN = """() => {
    window.seen = {};
    const card = document.querySelector("[data-device=kitchen]");
    const value = card.querySelector("[data-metric=temperature] .value");
    const painted = () => requestAnimationFrame(() => { seen[value.textContent] ??= Date.now(); });
    new MutationObserver(painted).observe(value, { childList: true });
}"""


@dataclass
class Found:
    """What the browser saw."""

    paints: dict[str, Results] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)  # kB
    year: Results = field(default_factory=Results)
    live: Results = field(default_factory=Results)


def main() -> int:
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    with tempfile.TemporaryDirectory(prefix="smarthome-bench-") as folder:
        found = measure(Path(folder), times=5 if quick else 20, readings=30 if quick else 100)
    return judge(found)


def measure(folder: Path, times: int, readings: int) -> Found:
    found = Found()
    with open_house(folder, RATE_LIMIT_INGEST="0") as house, open_browser() as browser:
        house.enrol("kitchen", "sensor")
        house.enrol("front-door", "door")
        send(house, 1)
        say(f"a year of {SENSORS} sensors")
        house.manage("shell", "--no-imports", "-c", YEAR.format(SENSORS))
        say("the first look at each page")
        for path in PAGES:
            look_first(found, browser, house, path, times)
        say("from the 202 to the screen")
        watch(found, browser, house, readings)
        say("years of eight of them")
        ask_for_years(found, browser, house, times)
    return found


def look_first(found: Found, browser: Browser, house: House, path: str, times: int) -> None:
    """Open the page in windows that have nothing of it yet."""
    found.paints[path] = Results()
    signed_in = Visit(browser, house)
    signed_in.watch()
    cookies = signed_in.context.cookies()
    signed_in.context.close()
    for _ in range(times):
        visit = Visit(browser, house)
        visit.context.add_cookies(cookies)
        answer = visit.page.goto(house.url + path, wait_until="networkidle")
        if not answer or not answer.ok or urlsplit(visit.page.url).path != path:
            raise SystemExit(f"{path} led to {visit.page.url}")
        painted = visit.page.evaluate(PAINTED)
        if painted is None:
            raise SystemExit(f"{path} was never painted")
        found.paints[path].latencies.append(painted)
        found.weights[path] = visit.page.evaluate(WEIGHT)
        visit.context.close()


def watch(found: Found, browser: Browser, house: House, readings: int) -> None:
    """Milliseconds from the answer to the screen."""
    answered: dict[str, float] = {}
    page = Visit(browser, house).watch()
    page.evaluate(SEEN)
    for number in range(readings):
        temperature = 20 + number / 10
        send(house, temperature)
        answered[f"{temperature:.1f}"] = time.time() * 1000
        page.wait_for_timeout(200)
    seen = page.evaluate("window.seen")
    # The frame may overtake the answer.
    found.live.latencies += [
        max(0.0, seen[text] - at) for text, at in answered.items() if text in seen
    ]
    found.live.faults += [f"{text} °C was never seen" for text in answered.keys() - seen.keys()]


def ask_for_years(found: Found, browser: Browser, house: House, times: int) -> None:
    """Press “year” with eight sensors chosen, others each time."""
    chance = random.Random(7)  # noqa: S311  # a seed is the point
    page = Visit(browser, house).sign_in()
    for _ in range(times):
        chosen = chance.sample(range(SENSORS), DRAWN)
        query = "&".join(f"sensor=sensor-{n:03}" for n in chosen)
        page.goto(f"{house.url}/history?{query}&hours=24")
        is_drawn(page)
        found.year.latencies.append(page.evaluate(YEAR_DRAWN))
        rows = page.locator("#figures tbody tr").count()
        if page.locator("#figures tbody").inner_text().count("°C") < 3 * DRAWN:
            found.year.faults.append("a sensor has no figures")
        if rows != DRAWN or "a day" not in page.locator("#resolution").inner_text():
            found.year.faults.append(f"{rows} sensors drawn")


def is_drawn(page: Page) -> None:
    expect(page.locator("#drawn")).to_have_attribute("data-state", "drawn")


def send(house: House, temperature: float) -> None:
    with house.device("kitchen") as sensor:
        sensor.post("/api/sensors/ingest", json={"temperature": temperature}).raise_for_status()


def judge(found: Found) -> int:
    """Compare with the goals, print, keep; the exit status."""
    figures = {
        "first_paint_ms": round(max(one.percentile(50) for one in found.paints.values())),
        "page_kb": round(max(found.weights.values())),
        "year_drawn_ms": round(found.year.percentile(50)),
        "page_live_p99_ms": round(found.live.percentile(99)),
    }
    head()
    for path, paints in found.paints.items():
        row(f"first paint of {path}", paints)
        line("  weight, kB", round(found.weights[path]), GOALS["page_kb"])
    row("year drawn, ms", found.year)
    row("202 to screen, ms", found.live, GOALS["page_live_p99_ms"])
    for name, goal in GOALS.items():
        line(name, figures[name], goal)
    keep(figures)
    faults = found.year.faults + found.live.faults
    for fault in faults[:5]:
        print(f"WRONG {fault}")
    missed = [name for name, goal in GOALS.items() if figures[name] >= goal]
    print(f"{len(faults)} wrong; " + (f"missed: {missed}" if missed else "goals met"))
    return 1 if faults or missed else 0


if __name__ == "__main__":
    sys.exit(main())
