"""How long from a device's 202 to the value on the screen? `python -m benchmarks.page`.

A real house, a real Chromium, one sensor at 5 readings a second. The browser notes by its own
clock, which is this machine's, when the frame with the value was painted.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.browser import Visit, open_browser
from tests.house import open_house

READINGS = 100
GOAL_MS = 200  # 99th percentile
WATCH = """() => {
    window.seen = {};
    const card = document.querySelector("[data-device=kitchen]");
    const value = card.querySelector("[data-metric=temperature] .value");
    const painted = () => requestAnimationFrame(() => { seen[value.textContent] ??= Date.now(); });
    new MutationObserver(painted).observe(value, { childList: true });
}"""


def main() -> int:
    """Print the figures; non-zero when a value never came or the goal was missed."""
    with tempfile.TemporaryDirectory(prefix="smarthome-bench-") as folder:
        delays = measure(Path(folder))
    delays.sort()
    p99 = delays[int(len(delays) * 0.99)] if delays else float("inf")
    print(
        f"202 to screen, {len(delays)} of {READINGS} readings: "
        f"P50 {statistics.median(delays):.0f} ms, P99 {p99:.0f} ms (goal {GOAL_MS})"
    )
    return 0 if len(delays) == READINGS and p99 < GOAL_MS else 1


def measure(folder: Path) -> list[float]:
    """Milliseconds for every reading that was seen."""
    answered: dict[str, float] = {}
    with open_house(folder, RATE_LIMIT_INGEST="0") as house, open_browser() as browser:
        house.enrol("kitchen", "sensor")
        with house.device("kitchen") as sensor:
            sensor.post("/api/sensors/ingest", json={"temperature": 1}).raise_for_status()
            page = Visit(browser, house).watch()
            page.evaluate(WATCH)
            for number in range(READINGS):
                temperature = 20 + number / 10
                answer = sensor.post("/api/sensors/ingest", json={"temperature": temperature})
                answer.raise_for_status()
                answered[f"{temperature:.1f}"] = time.time() * 1000
                page.wait_for_timeout(200)
            seen = page.evaluate("window.seen")
    # The frame may overtake the answer.
    return [max(0.0, seen[text] - at) for text, at in answered.items() if text in seen]


if __name__ == "__main__":
    sys.exit(main())
