// "While you were away": what changed between the moment when the page stopped being current (outage, sleep, restart) and
// the moment when it is again. It stays until it is dismissed.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { Absence, summary } from "./absence.js";
import { levelMark } from "./marks.js";
import { part } from "./page.js";
import { age } from "./times.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./absence.js").Absent} Absent */
/** @typedef {import("./absence.js").Entry} Entry */

const DRAWN = 200;
const BLINK_MS = 1_000; // a shorter one was seen as it happened

/** @param {PageState} page */
export function startAway(page) {
  const { feed, store, times } = page;
  const root = part("away");
  /** @type {Absence | null} from the first moment that was not seen until the list is dismissed */
  let absence = null;
  /** @type {Absent | null} */
  let absent = null;
  let wasLive = false;
  let opened = true;

  feed.addEventListener("state", () => {
    if (feed.state === "live") end();
    else if (wasLive) {
      wasLive = false;
      absence ??= new Absence(feed.state === "catching-up" ? Date.now() : feed.since);
    }
  });
  store.addEventListener("change", (event) => unseen() && absence?.take(/** @type {CustomEvent<Change>} */ (event).detail));
  store.addEventListener("replace", (event) => {
    if (!unseen()) return;
    for (const change of /** @type {CustomEvent<{changes: Change[]}>} */ (event).detail.changes) absence?.take(change);
  });
  page.times.watch(draw);

  const unseen = () => feed.state !== "live";

  function end() {
    wasLive = true;
    if (absence === null) return;
    const ended = absence.end(Date.now());
    if (!ended.entries.length || ended.until - ended.since < BLINK_MS) {
      if (absent === null) absence = null;
      return;
    }
    absent = ended;
    draw();
    page.dispatchEvent(new CustomEvent("away", { detail: absent }));
  }

  function dismiss() {
    absence = absent = null;
    draw();
  }

  function draw() {
    render(absent === null ? nothing : list(absent), root);
  }

  /** @param {Absent} absent */
  function list({ since, until, entries }) {
    const more = entries.length - DRAWN;
    return html`<section class="away" aria-label="While you were away">
      <p>
        <button class="plain" aria-expanded=${opened} @click=${() => { opened = !opened; draw(); }}>
          <span aria-hidden="true">${opened ? "▾" : "▸"}</span> <b>While you were away</b>
        </button>
        <span>${summary(entries)}</span>
        <span class="muted">${times.clock(since)} to ${times.clockWithZone(until)}, ${age(until - since)}</span>
        <button class="quiet" @click=${dismiss}>Dismiss</button>
      </p>
      ${opened
        ? html`<ol>
            ${repeat(entries.slice(0, DRAWN), ({ id }) => id, entry)}
            ${more > 0 ? html`<li class="muted">and ${more.toLocaleString()} more</li>` : nothing}
          </ol>`
        : nothing}
    </section>`;
  }

  /** @param {Entry} entry */
  const entry = ({ id, ticket, kind, what, at }) => html`<li data-away=${id} data-kind=${kind}>
    <button class="plain" @click=${() => page.open(id)}>
      ${levelMark(ticket.priority)}<b>${ticket.ticket_no}</b><span class="what">${what}</span><span class="muted where">${ticket.site_name} · ${ticket.description}</span><time class="muted" title=${times.full(at)}>${times.clock(at)}</time>
    </button>
  </li>`;
}
