// The live feed, for every page: connects, resumes where it was cut off, and says how live it is.

import { put } from "./words.js";

const PROBE_AFTER = 15_000; // ms of silence until we ask whether the house is still there
const BEHIND_AFTER = 3_000; // ms
const LOST_AFTER = 20_000; // ms without an answer
const LONGEST_WAIT = 15_000; // ms between tries to connect
const LONG_AWAY = 60_000; // ms; then more is missing than the feed replays
const LEFT_OUT_SHOWN = 10_000; // ms
const ITS_OWN = ["hello", "batch", "resumed", "gap"]; // frames about the feed itself
const REFUSED = new Map([[4401, "Signed out"], [4403, "Not allowed"]]);

export class Feed {
  /**
   * `house` has the feed's name and the number up to which the page knows all; `now` is the house's
   * clock. `take` has a function for each type of frame, `refill` reads what no frame brings,
   * `options` is what the house is told of this page.
   */
  constructor({ feed, seq }, now, { options = {}, refill, take }) {
    Object.assign(this, { id: feed, seq, now, options, refill, handlers: take });
    this.element = document.getElementById("connection");
    this.tries = 0;
    this.isReplaying = false;
    this.heardAt = Date.now(); // when the house last said anything
    this.askedAt = 0; // when it was asked to; 0: nothing is owed
    this.lostAt = Infinity;
    this.lag = 0; // ms that the newest frame was old when it came
    this.leftOut = 0; // readings that a slow line was not sent, lately
    addEventListener("online", () => this.reconnectNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.reconnectNow());
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.socket.onopen = () => this.tell({ type: "options", batch: true, ...this.options });
    this.socket.onmessage = ({ data }) => {
      this.heardAt = Date.now();
      this.askedAt = 0;
      this.lag = 0;
      this.take(JSON.parse(data));
      this.sayConnection();
    };
    this.socket.onclose = ({ code }) => {
      this.lostAt = Math.min(this.lostAt, this.heardAt);
      this.isReplaying = false;
      this.askedAt = 0;
      if (REFUSED.has(code)) this.leave(code);
      else this.reconnect();
    };
  }

  tell(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  take(frame) {
    if (ITS_OWN.includes(frame.type)) this[frame.type](frame);
    this.handlers[frame.type]?.(frame);
    if (frame.coalesced) {
      this.leftOut += frame.coalesced;
      this.leftOutAt = Date.now();
    }
    if (frame.seq && frame.device_id !== undefined && !this.isReplaying) {
      this.seq = Math.max(this.seq, frame.seq);
      // A device's own clock says nothing about the way here.
      const isOurClock = frame.type !== "sensor_reading" || frame.data.time_source === "server";
      if (isOurClock) this.lag = this.now() - Date.parse(frame.timestamp);
    }
  }

  // -- Frames about the feed itself ---------------------------------------------------------------

  hello(frame) {
    this.tries = 0;
    sessionStorage.removeItem("reloaded");
    if (Date.now() - this.lostAt > LONG_AWAY) this.refill();
    this.lostAt = Infinity;
    this.resume();
    this.id = frame.feed;
  }

  batch(frame) {
    for (const one of frame.frames) this.take(one);
  }

  resumed(frame) {
    this.isReplaying = false;
    this.seq = frame.seq;
  }

  gap(frame) {
    this.isReplaying = false;
    this.seq = frame.to;
    this.refill();
  }

  // -- The line -----------------------------------------------------------------------------------

  /** Ask for what was missed. The answer also proves that the house still hears us. */
  resume() {
    this.isReplaying = true;
    this.askedAt = Date.now();
    this.tell({ type: "resume", feed: this.id, seq: this.seq });
  }

  reconnect() {
    const longest = Math.min(LONGEST_WAIT, 500 * 2 ** this.tries);
    this.tries += 1;
    clearTimeout(this.waiting);
    // Jitter: a house that starts again is not asked by all its pages at once.
    this.waiting = setTimeout(() => this.connect(), longest * (0.5 + Math.random() / 2));
    this.sayConnection();
  }

  reconnectNow() {
    if (this.socket.readyState !== WebSocket.CLOSED || this.element.dataset.state === "refused") return;
    clearTimeout(this.waiting);
    this.tries = 0;
    this.connect();
  }

  /** The server says where to go: to the sign-in page, or what a new role may see. Once. */
  leave(code) {
    if (sessionStorage.getItem("reloaded")) {
      this.say("refused", REFUSED.get(code));
      return;
    }
    sessionStorage.setItem("reloaded", code);
    location.reload();
  }

  /** Every second. A connection can be dead without being closed: after a silence, ask. */
  tick() {
    if (this.socket.readyState === WebSocket.OPEN) {
      if (this.askedAt && Date.now() - this.askedAt > LOST_AFTER) this.socket.close();
      else if (!this.askedAt && Date.now() - this.heardAt > PROBE_AFTER) this.resume();
    }
    this.sayConnection();
  }

  sayConnection() {
    if (this.element.dataset.state === "refused") return;
    if (Date.now() - this.leftOutAt > LEFT_OUT_SHOWN) this.leftOut = 0;
    const silent = this.askedAt && Date.now() - this.askedAt > BEHIND_AFTER ? Date.now() - this.heardAt : 0;
    const behind = Math.max(silent, this.lag);
    if (this.socket.readyState !== WebSocket.OPEN) this.say("reconnecting", "Reconnecting …");
    else if (behind > BEHIND_AFTER) this.say("behind", `Behind by ${Math.round(behind / 1000)} s`);
    else if (this.leftOut) this.say("live", `Live, ${this.leftOut} left out`);
    else this.say("live", "Live");
  }

  say(state, words) {
    // Who listens hears that it changed, not every second of it.
    this.element.setAttribute("aria-live", state === this.element.dataset.state ? "off" : "polite");
    this.element.dataset.state = state;
    put(this.element.querySelector(".words"), words);
  }
}
