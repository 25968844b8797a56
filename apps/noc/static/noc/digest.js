// What happened, for those who listen to the page: counts, at most every 10 s, and a new critical ticket at once.

import { part } from "./page.js";
import { sightingOf } from "./sighting-pages.js";
import { soon } from "./soon.js";
import { statusWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Change} Change */

const EVERY_MS = 10_000;

/** Counts, and says them. */
export class Digest {
  /** @type {Map<string, number>} */
  #counts = new Map();
  #critical = 0;

  /** @param {Change} change  of a ticket, by an event */
  ticket({ before, after }) {
    if (after === null) return this.#count("gone");
    if (before === null) {
      this.#count("new ticket");
      if (after.priority === "CRITICAL") this.#critical += 1;
    } else if (before.status !== after.status) this.#count(statusWord(after.status).toLowerCase());
    else if (before.acknowledged_at === null && after.acknowledged_at !== null) this.#count("acknowledged");
  }

  /** @param {"finding" | "anomaly"} kind */
  sighting(kind) {
    this.#count(kind);
  }

  /** @returns {string} what happened since the last time, "" when nothing did */
  say() {
    const critical = this.#critical ? `, ${this.#critical} critical` : "";
    const said = [...this.#counts].map(([what, n]) => (what === "new ticket" ? `${n} new ${n === 1 ? "ticket" : "tickets"}${critical}` : counted(what, n)));
    this.#counts.clear();
    this.#critical = 0;
    return said.join("; ");
  }

  /** @param {string} what */
  #count(what) {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }
}

/** @param {string} what @param {number} n */
function counted(what, n) {
  if (what === "finding") return `${n} new ${n === 1 ? "finding" : "findings"}`;
  if (what === "anomaly") return `${n} new ${n === 1 ? "anomaly" : "anomalies"}`;
  return `${n} ${what}`;
}

/** @param {PageState} page */
export function startDigest(page) {
  const digest = new Digest();
  const saySoon = soon(say, EVERY_MS);
  let urgentAt = -EVERY_MS;

  function say() {
    const text = digest.say();
    if (text) part("digest").textContent = text;
  }

  page.store.addEventListener("change", (event) => {
    const change = /** @type {CustomEvent<Change>} */ (event).detail;
    if (change.frame === null || page.feed.state !== "live") return; // our own, or long ago
    const ticket = change.after ?? change.before;
    if (ticket === null || !page.filter.matches(ticket)) return;
    digest.ticket(change);
    saySoon();
    if (change.before !== null || ticket.priority !== "CRITICAL") return;
    if (performance.now() >= urgentAt + EVERY_MS) part("digest-urgent").textContent = `New critical ticket ${ticket.ticket_no}, ${ticket.site_name ?? ""}`;
    urgentAt = performance.now(); // one word for a burst
  });
  page.feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail: { frame, live } }) => {
    if (!live || frame.replay_of !== undefined || (frame.type !== "finding_created" && frame.type !== "anomaly_detected")) return;
    const kind = frame.type === "finding_created" ? "finding" : "anomaly";
    const { filter } = page;
    if ((filter.kind !== "ticket" && filter.kind !== kind) || !filter.matchesSighting(sightingOf(frame))) return;
    digest.sighting(kind);
    saySoon();
  });
}
