// The page at `/` arrives complete; this keeps it so.
// Words, units and the last hour come with the page (#house), what happens comes by /ws.

import { Feed } from "./feed.js";
import { amount, calendarOf, houseClock, known, median, put, roomy } from "./words.js";

const house = JSON.parse(document.getElementById("house").textContent);
const page = Object.fromEntries(
  ["alerts", "doors", "events", "sensors"].map((id) => [id, document.getElementById(id)]),
);

const MOST_EVENTS = 50;
const MOST_ALERTS = 3;
const HOUR = 3600; // seconds
const BACKLOG = 120_000; // ms

// -- Words: the same as smarthome/words.py and smarthome/now.py -----------------------------------

const dayAndTime = calendarOf(known(house.zone));

const now = houseClock(house.now);

function clock(iso) {
  const [day, time] = dayAndTime(Date.parse(iso));
  return day === dayAndTime(now())[0] ? time : `${day}, ${time}`;
}

function age(iso) {
  const seconds = Math.floor((now() - Date.parse(iso)) / 1000);
  if (seconds < 3) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * HOUR) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${Math.floor(seconds / (24 * HOUR))} days ago`;
}

function stateWords(device) {
  if (!device.enabled) return "switched off";
  if (device.online) return "online";
  return device.last_seen ? `offline since ${clock(device.last_seen)}` : "not connected yet";
}

function verdictWords(row) {
  if (row.granted) return house.reasons.granted;
  return row.reason === "unknown_card" ? "refused" : `refused: ${house.reasons[row.reason] ?? row.reason}`;
}

const whoWords = (row) => row.user_name || "Unknown card";

// -- Small things ---------------------------------------------------------------------------------

const devices = new Map(); // by id, as /api/devices has them

const nameOf = (id) => devices.get(id)?.name || id;

function clone(name) {
  return document.getElementById(`new-${name}`).content.firstElementChild.cloneNode(true);
}

function putTime(element, iso) {
  element.dateTime = iso;
  put(element, element.dataset.as === "age" ? age(iso) : clock(iso));
}

function cardOf(list, kind, id) {
  const found = [...list.children].find((card) => card.dataset.device === id);
  if (found) return found;
  const card = clone(kind);
  card.dataset.device = id;
  put(card.querySelector(".name"), nameOf(id));
  list.insertBefore(card, [...list.children].find((other) => !(other.dataset.device < id)));
  showZones(); // it may not belong to the one that is shown
  return card;
}

// -- Devices --------------------------------------------------------------------------------------

function showDevice(device) {
  devices.set(device.device_id, device);
  const isDoor = device.kind === "door";
  if (isDoor) showState(cardOf(page.doors, "door", device.device_id), device);
  // A door may have a thermometer.
  if (!isDoor || sensors.has(device.device_id)) showState(sensorOf(device.device_id).card, device);
  // It may have been heard before its name was known.
  for (const where of page.events.querySelectorAll(".where")) {
    if (where.textContent === device.device_id) put(where, nameOf(device.device_id));
  }
}

function showState(card, device) {
  card.dataset.online = device.online && device.enabled;
  const zones = [...device.zones].sort().join("\n");
  if (card.dataset.zones !== zones) {
    card.dataset.zones = zones;
    showZones();
  }
  put(card.querySelector(".name"), device.name || device.device_id);
  put(card.querySelector(".state"), stateWords(device));
}

function forgetDevices(known) {
  for (const card of document.querySelectorAll("[data-device]")) {
    if (known.has(card.dataset.device)) continue;
    sensors.delete(card.dataset.device);
    devices.delete(card.dataset.device);
    card.remove();
  }
}

// -- Zones: one press shows what is in one of them ------------------------------------------------

const ZONE = "zone"; // in localStorage: the one that is shown
const zoneBar = document.getElementById("zones");

function zonesOf(card) {
  return card.dataset.zones ? card.dataset.zones.split("\n") : [];
}

function showZones() {
  const cards = [...document.querySelectorAll("main [data-device]")];
  const names = [...new Set(cards.flatMap(zonesOf))].sort((a, b) => a.localeCompare(b));
  const remembered = localStorage.getItem(ZONE);
  const chosen = names.includes(remembered) ? remembered : "";
  for (const card of cards) card.hidden = chosen !== "" && !zonesOf(card).includes(chosen);
  zoneBar.hidden = names.length === 0;
  const key = JSON.stringify([names, chosen]);
  if (zoneBar.dataset.shows === key) return;
  zoneBar.dataset.shows = key;
  const hadFocus = zoneBar.contains(document.activeElement);
  zoneBar.replaceChildren(...["", ...names].map((name) => zoneButton(name, name === chosen)));
  if (hadFocus) zoneBar.querySelector('[aria-pressed="true"]').focus();
}

function zoneButton(name, isChosen) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.textContent = name || "everywhere";
  button.setAttribute("aria-pressed", isChosen);
  button.addEventListener("click", () => {
    localStorage.setItem(ZONE, name);
    showZones();
  });
  return button;
}

// -- Sensors --------------------------------------------------------------------------------------

const sensors = new Map(); // by id

/** One sensor's card: its newest reading and the chart of one of its metrics. */
class Sensor {
  constructor(card) {
    this.card = card;
    this.minutes = new Map(); // start → [count, mean of each metric]
    this.newest = card.querySelector(".age").dateTime;
    this.buttons = new Map();
    for (const button of card.querySelectorAll(".metric")) {
      button.disabled = false;
      button.addEventListener("click", () => this.choose(button.dataset.metric));
      this.buttons.set(button.dataset.metric, button);
    }
  }

  get id() {
    return this.card.dataset.device;
  }

  remember(rows) {
    this.minutes = new Map(rows.map(([start, ...figures]) => [start, figures]));
    this.choose(this.chosen ?? this.firstMetric());
  }

  firstMetric() {
    return [...this.buttons].find(([, button]) => !button.hidden)?.[0] ?? "temperature";
  }

  choose(metric) {
    this.chosen = metric;
    for (const [name, button] of this.buttons) button.setAttribute("aria-pressed", name === metric);
    this.plot?.destroy();
    this.plot = undefined;
    this.draw();
  }

  read(reading) {
    if (reading.timestamp === this.newest) return;
    this.count(reading);
    if (isBacklog(reading, this.newest)) refillSoon();
    if (reading.timestamp < this.newest) return; // kept by a device that was offline
    this.newest = reading.timestamp;
    putTime(this.card.querySelector(".age"), reading.timestamp);
    for (const [name, button] of this.buttons) {
      const value = reading[name];
      put(button.querySelector(".value"), amount(value, house.metrics[name].digits));
      if (value !== null) button.hidden = false;
    }
    this.card.querySelector(".nothing").hidden = true;
    fill(this.card.querySelector(".flags"), reading.flags, flagItem);
    fill(this.card.querySelector(".others"), Object.entries(reading.metrics), otherItem);
  }

  /** Add a reading to the mean of its minute. */
  count(reading) {
    const start = Math.floor(Date.parse(reading.timestamp) / 60_000) * 60;
    const [count, ...means] = this.minutes.get(start) ?? [0, null, null, null];
    const next = [...this.buttons.keys()].map((name, i) => {
      const value = reading[name];
      if (value === null || means[i] === null) return value ?? means[i];
      return means[i] + (value - means[i]) / (count + 1);
    });
    this.minutes.set(start, [count + 1, ...next]);
    this.isStale = true;
  }

  draw() {
    this.isStale = false;
    const until = now() / 1000;
    for (const start of this.minutes.keys()) {
      if (start < until - HOUR - 60) this.minutes.delete(start);
    }
    const which = [...this.buttons.keys()].indexOf(this.chosen);
    const points = [...this.minutes]
      .map(([start, [count, ...means]]) => [start, count, means[which]])
      .filter(([start, , mean]) => mean !== null && start <= until)
      .sort(([a], [b]) => a - b);
    const figure = this.card.querySelector("figure");
    figure.hidden = points.length === 0;
    if (figure.hidden) return;
    const means = points.map(([, , mean]) => mean);
    this.spread = `${spread(means, house.metrics[this.chosen])} in the last hour`;
    if (!this.hovered) put(figure.querySelector("figcaption"), this.spread);
    const data = withGaps(points, until);
    this.plot ??= this.newPlot(figure.querySelector(".chart"), data);
    this.plot.setData(data, false);
    this.plot.setScale("x", { min: until - HOUR, max: until });
  }

  newPlot(box, data) {
    const { span, unit, digits } = house.metrics[this.chosen];
    const colour = (name) => getComputedStyle(box).getPropertyValue(`--${name}`);
    const axis = { font: "11px system-ui, sans-serif", stroke: () => colour("soft"), ticks: { show: false } };
    const plot = new uPlot({
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      padding: [8, 18, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (_, least, most) => roomy(least, most, span) } },
      axes: [
        {
          ...axis, size: 22, gap: 4, incrs: [900], space: 50, grid: { show: false },
          values: (_, splits) => splits.map((at) => dayAndTime(at * 1000)[1]),
        },
        {
          ...axis, size: 34, gap: 6, space: 34, grid: { stroke: () => colour("line"), width: 1 },
          values: (_, splits) => splits.map((value) => amount(value, Number.isInteger(value) ? 0 : 1)),
        },
      ],
      series: [{}, { stroke: () => colour(this.chosen), fill: () => `${colour(this.chosen)}16`, width: 2 }],
      hooks: {
        setCursor: [
          (u) => {
            const value = u.cursor.idx === null ? null : u.data[1][u.cursor.idx];
            this.hovered = value !== null && value !== undefined;
            const caption = this.card.querySelector("figcaption");
            put(caption, this.hovered
              ? `${amount(value, Math.max(1, digits))} ${unit} at ${dayAndTime(u.data[0][u.cursor.idx] * 1000)[1]}`
              : this.spread);
          },
        ],
      },
    }, data, box);
    return plot;
  }

  fit() {
    const box = this.card.querySelector(".chart");
    if (this.plot && box.clientWidth) this.plot.setSize({ width: box.clientWidth, height: box.clientHeight });
  }
}

function sensorOf(id) {
  if (!sensors.has(id)) {
    const sensor = new Sensor(cardOf(page.sensors, "sensor", id));
    sensors.set(id, sensor);
    sizes.observe(sensor.card);
    if (devices.has(id)) showState(sensor.card, devices.get(id));
    else sensor.card.dataset.online = true; // its name and state will follow
    sensor.choose(sensor.firstMetric());
  }
  return sensors.get(id);
}

/** Whether a device delivers what it kept: of a batch only the newest reading is a frame. */
function isBacklog({ timestamp }, newest) {
  const [old, pause] = [now() - Date.parse(timestamp), new Date(timestamp) - new Date(newest || 0)];
  return old > BACKLOG && Math.abs(pause) > BACKLOG;
}

/** Columns for uPlot. Over a pause that is no rhythm of the sensor's there is no line. */
function withGaps(points, until) {
  const pauses = points.slice(1).map(([start], i) => start - points[i][0]);
  const speaksOften = median(points.map(([, count]) => count)) > 1;
  const longest = speaksOften ? 60 : 3 * median(pauses);
  const columns = [[], []];
  points.forEach(([start, , mean], i) => {
    if (i > 0 && pauses[i - 1] > longest) {
      columns[0].push((points[i - 1][0] + start) / 2 + 30);
      columns[1].push(null);
    }
    columns[0].push(Math.min(start + 30, until));
    columns[1].push(mean);
  });
  return columns;
}

function spread(values, { digits, unit }) {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => amount(value, digits));
  return `${least === most ? least : `${least} – ${most}`} ${unit}`;
}

function fill(list, items, make) {
  const key = JSON.stringify(items);
  if (list.dataset.shows === key) return;
  list.dataset.shows = key;
  list.replaceChildren(...items.map(make));
}

function flagItem(flag) {
  const item = document.createElement("li");
  item.textContent = house.flags[flag] ?? flag;
  return item;
}

function otherItem([name, value]) {
  const [item, term, figure] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name.replaceAll("_", " ");
  figure.textContent = amount(value);
  item.append(term, figure);
  return item;
}

// -- Doors and events -----------------------------------------------------------------------------

function showLast(id, iso, what, verdict, tone) {
  const last = cardOf(page.doors, "door", id).querySelector(".last");
  const time = last.querySelector("time");
  if (!last.hidden && time.dateTime > iso) return;
  last.hidden = false;
  last.dataset.tone = tone;
  put(last.querySelector(".what"), what);
  put(last.querySelector(".verdict"), verdict ? `, ${verdict}` : "");
  putTime(time, iso);
}

function showPassage(row) {
  showLast(row.device_id, row.timestamp, whoWords(row), verdictWords(row), row.granted ? "good" : "bad");
}

function showEvent(row) {
  const rows = [...page.events.querySelectorAll(".event")];
  if (rows.some((other) => other.dataset.id === row.id)) return;
  const item = clone("event");
  item.dataset.id = row.id;
  item.dataset.granted = row.granted;
  item.classList.add("new");
  put(item.querySelector(".who"), whoWords(row));
  put(item.querySelector(".where"), nameOf(row.device_id));
  put(item.querySelector(".verdict"), verdictWords(row));
  putTime(item.querySelector("time"), row.timestamp);
  const uid = item.querySelector(".uid"); // operators only
  if (uid) put(uid, row.card_uid ?? "");
  const older = rows.find((other) => other.querySelector("time").dateTime <= row.timestamp);
  page.events.insertBefore(item, older ?? page.events.querySelector(".empty"));
  [...page.events.querySelectorAll(".event")].slice(MOST_EVENTS).forEach((old) => old.remove());
}

// -- Alerts ---------------------------------------------------------------------------------------

const DISMISSED = "dismissed alerts"; // in localStorage: text → the number up to which it is known

function dismissed() {
  return JSON.parse(localStorage.getItem(DISMISSED) ?? "{}");
}

function isDismissed(seq, text) {
  return Number(seq) <= (dismissed()[`${feed.id} ${text}`] ?? 0);
}

/** Of alerts that say the same, the newest is shown. */
function showAlert(seq, iso, text) {
  const same = [...page.alerts.children].find((other) => textOf(other) === text);
  if (isDismissed(seq, text) || (same && same.dataset.seq >= seq)) return;
  const alert = same ?? clone("alert");
  alert.dataset.seq = seq;
  put(alert.querySelector(".text"), text);
  putTime(alert.querySelector("time"), iso);
  if (!same) prepareAlert(alert);
  page.alerts.prepend(alert);
  [...page.alerts.children].slice(MOST_ALERTS).forEach((old) => old.remove());
}

function prepareAlert(alert) {
  const button = alert.querySelector(".dismiss");
  button.hidden = false;
  button.addEventListener("click", () => {
    const known = { ...dismissed(), [`${feed.id} ${textOf(alert)}`]: Number(alert.dataset.seq) };
    localStorage.setItem(DISMISSED, JSON.stringify(Object.fromEntries(Object.entries(known).slice(-100))));
    const next = alert.nextElementSibling ?? alert.previousElementSibling;
    alert.remove();
    next?.querySelector(".dismiss").focus();
  });
}

function textOf(alert) {
  return alert.querySelector(".text").textContent;
}

// -- The feed -------------------------------------------------------------------------------------

const take = {
  snapshot(frame) {
    forgetDevices(new Set(frame.devices.map((device) => device.device_id)));
    for (const device of frame.devices) showDevice(device);
    for (const [id, reading] of Object.entries(frame.latest)) sensorOf(id).read(reading);
    for (const row of frame.events.reverse()) {
      showEvent(row);
      if (devices.has(row.device_id)) showPassage(row); // a door that is gone stays gone
    }
    showZones();
  },
  sensor_reading: (frame) => sensorOf(frame.device_id).read(frame.data),
  access_event({ data }) {
    showEvent(data);
    showPassage(data);
  },
  device_status: (frame) => showDevice(frame.data),
  door_event({ device_id: id, seq, timestamp, data }) {
    const words = house.door_events[data.event] ?? data.event;
    const isAlarming = house.alarming.includes(data.event);
    showLast(id, timestamp, words, "", isAlarming ? "bad" : "plain");
    if (isAlarming) showAlert(seq, timestamp, `${nameOf(id)}: ${words}`);
  },
  system_alert: (frame) => showAlert(frame.seq, frame.timestamp, frame.data.message),
};

let refilling;

function refillSoon() {
  clearTimeout(refilling);
  refilling = setTimeout(refill, 5000);
}

/** What a snapshot does not hold: the minutes, and what doors reported. */
async function refill() {
  const response = await fetch("/", { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const { minutes } = JSON.parse(fresh.getElementById("house").textContent);
  for (const [id, rows] of Object.entries(minutes)) sensorOf(id).remember(rows);
  for (const door of fresh.querySelectorAll(".doors > [data-device]")) {
    cardOf(page.doors, "door", door.dataset.device).querySelector(".last").replaceWith(door.querySelector(".last"));
  }
}

// -- Every second ---------------------------------------------------------------------------------

let minute = 0;

function tick() {
  for (const time of document.querySelectorAll('time[data-as="age"]')) {
    if (time.dateTime) put(time, age(time.dateTime));
  }
  const isNewMinute = minute !== (minute = Math.floor(now() / 60_000));
  if (isNewMinute) sayClocks();
  for (const sensor of sensors.values()) {
    if (isNewMinute || sensor.isStale) sensor.draw();
  }
  feed.tick();
}

/** Yesterday's times get their day. */
function sayClocks() {
  for (const time of document.querySelectorAll('time[data-as="clock"]')) {
    if (time.dateTime) put(time, clock(time.dateTime));
  }
  for (const device of devices.values()) showDevice(device);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) sensors.get(target.dataset.device)?.fit();
});

const feed = new Feed(house, now, { refill, take });

for (const alert of page.alerts.querySelectorAll(".alert")) {
  if (isDismissed(alert.dataset.seq, textOf(alert))) alert.remove();
  else prepareAlert(alert);
}
for (const card of page.sensors.querySelectorAll("[data-device]")) {
  const sensor = sensorOf(card.dataset.device);
  sensor.remember(house.minutes[sensor.id] ?? []);
}
showZones();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const sensor of sensors.values()) sensor.choose(sensor.chosen);
});
setInterval(tick, 1000);
