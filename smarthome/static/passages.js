// The page at `/access` arrives complete. When somebody is at a door, it asks for its rows again.

import { Feed } from "./feed.js";
import { houseClock, put } from "./words.js";

const house = JSON.parse(document.getElementById("house").textContent);
const rows = document.getElementById("rows");
const PAUSE = 1000; // ms between two looks, at least
const PATIENCE = 5000; // ms until the next one when the house did not answer

let lookedAt = 0;
let waiting; // for the next look
let isLooking = false;
let isStale = false; // something happened since

function lookSoon() {
  if (rows.dataset.newest === "false") return; // who reads old rows is left alone
  isStale = true;
  if (!isLooking) waiting ??= setTimeout(look, Math.max(0, lookedAt + PAUSE - Date.now()));
}

/** One at a time: of two, the older might answer last. */
async function look() {
  [waiting, isLooking, isStale, lookedAt] = [undefined, true, false, Date.now()];
  try {
    show(await freshRows());
  } catch {
    isStale = true;
    lookedAt += PATIENCE;
  }
  isLooking = false;
  if (isStale) lookSoon();
}

async function freshRows() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error("no rows");
  return new DOMParser().parseFromString(await response.text(), "text/html").getElementById("rows");
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
  showPages(...[rows, fresh].map((part) => part.querySelector(".pages")));
}

/** The links stay, too: one of them may have the focus. */
function showPages(old, next) {
  const links = [old, next].map((part) => [...part.querySelectorAll("a")]);
  if (links[0].length !== links[1].length) old.replaceWith(next);
  else links[0].forEach((link, place) => { link.href = links[1][place].href; });
}

const feed = new Feed(house, houseClock(house.now), {
  options: { subscribe: { types: ["access_event"] } },
  refill: lookSoon,
  take: { access_event: lookSoon },
});
setInterval(() => feed.tick(), 1000);
