// The page at `/access` arrives complete. When somebody is at a door, it asks for its rows again.

import { Feed } from "./feed.js";
import { houseClock, put } from "./words.js";

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
  // Without an answer the house is away; when it is back, the feed has us look again.
  const response = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok || response.redirected) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("rows");
  show(fresh);
}

/** Rows that are there stay, so that who listens to the page hears the new ones only. */
function show(fresh) {
  const [old, next] = [rows, fresh].map((part) => part.querySelector("tbody"));
  if (!old || !next) {
    rows.replaceChildren(...fresh.children);
    return;
  }
  const known = new Map([...old.rows].map((row) => [row.dataset.id, row]));
  let place = old.rows[0];
  for (const row of [...next.rows]) {
    const same = known.get(row.dataset.id);
    if (same) {
      put(same.querySelector("time"), row.querySelector("time").textContent); // yesterday's get their day
      place = same.nextElementSibling;
      known.delete(row.dataset.id);
    } else {
      row.classList.add("new");
      old.insertBefore(row, place);
    }
  }
  for (const gone of known.values()) gone.remove();
  rows.querySelector(".pages").replaceWith(fresh.querySelector(".pages"));
}

const feed = new Feed(house, houseClock(house.now), {
  options: { subscribe: { types: ["access_event"] } },
  refill: lookSoon,
  take: { access_event: lookSoon },
});
setInterval(() => feed.tick(), 1000);
