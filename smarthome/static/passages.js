// The page at `/access` arrives complete. When somebody is at a door, it asks for its rows again.

import { Feed } from "./feed.js";
import { houseClock } from "./words.js";

const house = JSON.parse(document.getElementById("house").textContent);
const rows = document.getElementById("rows");
const PAUSE = 1000; // ms between two looks, at least

let lookedAt = 0;
let waiting;

function lookSoon() {
  if (rows.dataset.newest === "false") return; // who reads old rows is left alone
  clearTimeout(waiting);
  waiting = setTimeout(look, Math.max(0, lookedAt + PAUSE - Date.now()));
}

async function look() {
  lookedAt = Date.now();
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("rows");
  const known = new Set([...rows.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
  for (const row of fresh.querySelectorAll("[data-id]")) {
    row.classList.toggle("new", known.size > 0 && !known.has(row.dataset.id));
  }
  rows.replaceChildren(...fresh.children);
}

const feed = new Feed(house, houseClock(house.now), {
  options: { subscribe: { types: ["access_event"] } },
  refill: lookSoon,
  take: { access_event: lookSoon },
});
setInterval(() => feed.tick(), 1000);
