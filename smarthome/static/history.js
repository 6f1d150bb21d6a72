// The page at `/history`: any range, several sensors. What is chosen stands in the address, so a
// link shows the same and the browser's “back” goes back.

import { amount, calendarOf, houseClock, known, median, put, roomy } from "./words.js";

const house = JSON.parse(document.getElementById("house").textContent);
const page = Object.fromEntries(
  ["choice", "chart", "csv", "drawn", "figures", "hint", "range", "resolution"].map((id) => [id, document.getElementById(id)]),
);

const HOUR = 3_600_000; // ms
const LIVE_EVERY = 60_000; // ms between two looks at a range that ends now
const zone = known(house.zone);
const calendar = calendarOf(zone);
const year = new Intl.DateTimeFormat("en", { timeZone: zone, year: "numeric" });
const RESOLUTIONS = { "1m": "a minute", "5m": "5 minutes", "1h": "an hour", "1d": "a day" };
const HINT = "Drag over the chart to look closer.";

const now = houseClock(house.now);

// -- What is shown: from the address, and into it -------------------------------------------------

/** `end` is null for a range that ends now and moves with it. Milliseconds. */
function asked() {
  const query = new URLSearchParams(location.search);
  const [start, end] = ["start", "end"].map((name) => Date.parse(query.get(name)));
  const isRange = start < end;
  const length = isRange ? end - start : Number(query.get("hours")) * HOUR || 24 * HOUR;
  return { length: within(length), end: isRange ? end : null };
}

function within(length) {
  const [least, most] = [house.shortest, house.longest].map((seconds) => seconds * 1000);
  return Math.min(most, Math.max(least, length));
}

let shown = asked();

function bounds() {
  const end = shown.end ?? now();
  return [end - shown.length, end];
}

function chosen() {
  const form = new FormData(page.choice);
  return { sensors: form.getAll("sensor"), metric: form.get("metric") };
}

function query() {
  const { sensors, metric } = chosen();
  return new URLSearchParams([...sensors.map((id) => ["sensor", id]), ["metric", metric]]);
}

function withRange(parameters) {
  const [start, end] = bounds().map((moment) => new Date(moment).toISOString());
  return new URLSearchParams([...parameters, ["start", start], ["end", end]]);
}

function remember(how = "pushState") {
  const address = shown.end === null ? query() : withRange(query());
  if (shown.end === null) address.set("hours", shown.length / HOUR);
  history[how](null, "", `?${address}`);
}

function show(length, end) {
  const isNow = end === null || end >= now();
  shown = { length: within(length), end: isNow ? null : end };
  remember();
  load();
}

// -- Asking ---------------------------------------------------------------------------------------

let asking = new AbortController();
let refreshing;

async function load() {
  asking.abort();
  asking = new AbortController();
  clearTimeout(refreshing);
  sayRange();
  giveColours();
  page.csv.hidden = !chosen().sensors.length;
  if (page.csv.hidden) {
    draw({ width: 0, series: [] });
    return;
  }
  page.drawn.dataset.state = "waiting";
  try {
    const parameters = withRange(query());
    const response = await fetch(`/history/data?${parameters}`, { signal: asking.signal });
    if (response.redirected) location.reload(); // signed out meanwhile
    const answer = await response.json();
    if (!response.ok) throw new Error(Object.values(answer.errors).flat()[0].message);
    page.csv.href = `/history.csv?${parameters}`;
    draw(answer);
    if (shown.end === null) refreshing = setTimeout(load, LIVE_EVERY);
  } catch (error) {
    if (error.name === "AbortError") return;
    page.drawn.dataset.state = "failed";
    put(page.hint, `This could not be shown: ${error.message}`);
    refreshing = setTimeout(load, LIVE_EVERY / 4);
  }
}

// -- Words ----------------------------------------------------------------------------------------

function sayRange() {
  const [start, end] = bounds();
  const [[firstDay, from], [lastDay, to]] = [calendar(start), calendar(end)];
  const [firstYear, lastYear] = [year.format(start), year.format(end)];
  const first = firstYear === lastYear ? firstDay : `${firstDay} ${firstYear}`;
  const isOneDay = firstDay === lastDay && firstYear === lastYear;
  put(page.range, isOneDay ? `${firstDay} ${lastYear}, ${from} – ${to}` : `${first}, ${from} – ${lastDay} ${lastYear}, ${to}`);
  for (const button of page.choice.querySelectorAll("[data-hours]")) {
    button.ariaPressed = shown.end === null && Number(button.dataset.hours) * HOUR === shown.length;
  }
}

function nameOf(id) {
  return page.choice.querySelector(`[value="${CSS.escape(id)}"]`).closest("label").querySelector(".name").textContent;
}

function figuresOf({ mean, least, most }) {
  if (!mean.length) return [null, null, null];
  return [
    Math.min(...mean.map((value, i) => least[i] ?? value)),
    mean.reduce((sum, value) => sum + value, 0) / mean.length,
    Math.max(...mean.map((value, i) => most[i] ?? value)),
  ];
}

function sayFigures(series) {
  const { unit, digits } = house.metrics[chosen().metric];
  const decimals = Math.max(1, digits);
  page.figures.tBodies[0].replaceChildren(...series.map((one) => {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = nameOf(one.id);
    row.append(name);
    for (const figure of figuresOf(one)) {
      row.insertCell().textContent = figure === null ? "nothing" : `${amount(figure, decimals)} ${unit}`;
    }
    return row;
  }));
}

// -- The chart ------------------------------------------------------------------------------------

// How gaps of one sensor are kept where others have points (uPlot.join).
const [REMOVED, EXPANDED] = [0, 2];

let plot;

function colour(place) {
  return getComputedStyle(page.chart).getPropertyValue(`--series-${place}`);
}

/** Columns for one sensor. Over a pause that is no rhythm of the sensor's there is no line. */
function withGaps({ times, mean, least, most }, width) {
  const pauses = times.slice(1).map((time, i) => time - times[i]);
  const longest = Math.max(1.5 * width, 3 * median(pauses));
  const columns = [[], [], [], []];
  times.forEach((time, i) => {
    if (i > 0 && pauses[i - 1] > longest) {
      // From end to end, so that nothing near is named in the middle of an outage.
      for (const edge of [times[i - 1] + width + 0.001, time - 0.001]) {
        [edge, null, null, null].forEach((value, c) => columns[c].push(value));
      }
    }
    [time + width / 2, mean[i], least[i], most[i]].forEach((value, c) => columns[c].push(value));
  });
  return columns;
}

/** `23 Nov` where a day begins, else `07:41`; years are in the heading. */
function ticks(splits, step) {
  return splits.map((at) => {
    const [day, time] = calendar(at * 1000);
    const date = day.replace(/^\S+ /, "");
    if (step >= 86_400) return date;
    return time === "00:00" ? `${time}\n${date}` : time;
  });
}

function draw({ width, series }) {
  page.drawn.dataset.state = "drawn";
  put(page.resolution, width ? `Each point is the mean of ${RESOLUTIONS[resolutionOf(width)]}; the band goes from the least to the most.` : "Every reading.");
  sayFigures(series);
  const { unit, digits, span } = house.metrics[chosen().metric];
  const decimals = Math.max(1, digits);
  const names = series.map(({ id }) => nameOf(id));
  const tables = series.map((one) => withGaps(one, width));
  const data = series.length
    ? uPlot.join(tables, tables.map((columns) => columns.map((_, c) => (c ? EXPANDED : REMOVED))))
    : [bounds().map((moment) => moment / 1000), [null, null]];
  const soft = getComputedStyle(page.chart).getPropertyValue("--soft");
  const line = getComputedStyle(page.chart).getPropertyValue("--line");
  const axis = { font: "11px system-ui, sans-serif", stroke: soft, ticks: { show: false }, grid: { stroke: line, width: 1 } };
  const edge = { width: 0, points: { show: false }, stroke: "transparent" };
  const own = series.flatMap(({ id }) => [{ stroke: colour(placeOf(id)), width: 2, points: { show: data[0].length < 60 } }, edge, edge]);
  const [from, until] = bounds();
  if (plot) {
    plot.hooks.setSelect = []; // a drag that goes on would end in the chart that is gone
    plot.destroy();
  }
  plot = new uPlot({
    width: page.chart.clientWidth,
    height: page.chart.clientHeight,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), zone),
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 }, bind: { dblclick: () => null } },
    select: { show: true },
    scales: {
      x: { time: true, range: () => [from / 1000, until / 1000] },
      y: { range: (_, least, most) => roomy(least, most, span) },
    },
    axes: [
      { ...axis, size: 34, gap: 4, space: 60, values: (_, splits, _axis, _space, step) => ticks(splits, step) },
      { ...axis, size: 44, gap: 6, space: 40, values: (_, splits) => splits.map((value) => amount(value, Number.isInteger(value) ? 0 : 1)) },
    ],
    series: [{}, ...(series.length ? own : [edge])],
    bands: width ? series.map(({ id }, i) => ({ series: [3 * i + 3, 3 * i + 2], fill: `${colour(placeOf(id))}2b` })) : [],
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width < 8) return;
          const [start, end] = [u.select.left, u.select.left + u.select.width].map((x) => u.posToVal(x, "x") * 1000);
          show(end - start, end);
        },
      ],
      setCursor: [
        (u) => {
          const at = u.cursor.idx;
          const said = at === null || at === undefined ? [] : names.flatMap((name, i) => sayPoint(u, at, name, i, unit, decimals));
          const still = names.length ? HINT : "Choose a sensor.";
          put(page.hint, said.length ? `${calendar(u.data[0][at] * 1000).join(", ")}: ${said.join(" · ")}` : still);
        },
      ],
    },
  }, data, page.chart);
}

function sayPoint(u, at, name, i, unit, decimals) {
  const [mean, least, most] = [1, 2, 3].map((column) => u.data[3 * i + column][at]);
  if (mean === null || mean === undefined) return [];
  const band = typeof least === "number" ? ` (${amount(least, decimals)} – ${amount(most, decimals)})` : "";
  return [`${name} ${amount(mean, decimals)} ${unit}${band}`];
}

function resolutionOf(width) {
  return { 60: "1m", 300: "5m", 3600: "1h", 86400: "1d" }[width];
}

const boxes = [...page.choice.querySelectorAll('[name="sensor"]')];
const places = new Map(); // of the chosen sensors: which of the eight colours is theirs

/** A sensor keeps its colour while it is chosen, and no two have the same. */
function giveColours() {
  const ids = chosen().sensors;
  for (const id of places.keys()) if (!ids.includes(id)) places.delete(id);
  for (const id of ids) {
    const free = [0, 1, 2, 3, 4, 5, 6, 7].find((place) => ![...places.values()].includes(place));
    if (!places.has(id)) places.set(id, free ?? 0);
  }
  for (const box of boxes) {
    box.closest("label").querySelector(".swatch").style.background = box.checked ? colour(placeOf(box.value)) : "";
  }
}

function placeOf(id) {
  return places.get(id) ?? 0;
}

// -- Moving ---------------------------------------------------------------------------------------

const steps = {
  earlier: (end, length) => show(length, end - length / 2),
  later: (end, length) => show(length, end + length / 2),
  closer: (end, length) => show(length / 2, shown.end && end - length / 4),
  wider: (end, length) => show(length * 2, shown.end && end + length / 2),
  now: (_, length) => show(length, null),
};
const KEYS = { ArrowLeft: "earlier", ArrowRight: "later", "+": "closer", "-": "wider", "−": "wider", Home: "now" };

function step(name) {
  steps[name](bounds()[1], shown.length);
}

document.querySelector(".steps").addEventListener("click", ({ target }) => {
  const button = target.closest("[data-step]");
  if (button) step(button.dataset.step);
});
page.chart.addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  step(KEYS[event.key]);
});
page.choice.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-hours]");
  if (button) show(Number(button.dataset.hours) * HOUR, null);
});
page.choice.addEventListener("change", () => {
  remember();
  load();
});
addEventListener("popstate", () => {
  shown = asked();
  const parameters = new URLSearchParams(location.search);
  for (const box of boxes) box.checked = parameters.getAll("sensor").includes(box.value);
  for (const one of page.choice.querySelectorAll('[name="metric"]')) one.checked = one.value === parameters.get("metric");
  load();
});
document.addEventListener("visibilitychange", () => document.hidden || shown.end !== null || load());
new ResizeObserver(() => plot?.setSize({ width: page.chart.clientWidth, height: page.chart.clientHeight })).observe(page.chart);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", load);
remember("replaceState"); // whole, so that “back” finds what was shown
load();
