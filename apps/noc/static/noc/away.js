// "While you were away": what changed between the moment when the page stopped being current (outage, sleep, restart) and
// the moment when it is again. It stays until it is dismissed.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { Absence, DRAWN, severityOf, summary, total } from "./absence.js";
import { number } from "./activity.js";
import { Filter } from "./filter.js";
import { levelMark } from "./marks.js";
import { part } from "./page.js";
import { sightingOf } from "./sighting-pages.js";
import { age } from "./times.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./absence.js").Absent} Absent */
/** @typedef {import("./absence.js").Entry} Entry */

const NEWEST = 50; // findings and anomalies that are asked for
const PATH = { finding: "noc/findings/", anomaly: "noc/anomalies/" };
const TYPE = /** @type {const} */ ({ finding_created: "finding", anomaly_detected: "anomaly" });
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
  let gapSince = 0; // the last time that it was not live, ms since 1970; 0: it has not been live before
  let leapt = false; // a snapshot stands for events that never came, and tells of tickets only
  let opened = true;

  feed.addEventListener("state", () => {
    if (feed.state === "live") return end();
    if (wasLive) gapSince = feed.state === "catching-up" ? Date.now() : feed.since;
    wasLive = false;
    if (gapSince && feed.reason !== "doubted") absence ??= new Absence(gapSince); // nothing is missing of what is doubted
  });
  store.addEventListener("change", (event) => unseen() && absence?.take(/** @type {CustomEvent<Change>} */ (event).detail));
  store.addEventListener("replace", (event) => {
    if (!unseen() || absence === null) return;
    leapt = true;
    for (const change of /** @type {CustomEvent<{changes: Change[]}>} */ (event).detail.changes) absence.take(change);
  });
  feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail: { frame, live } }) => {
    const kind = TYPE[/** @type {keyof typeof TYPE} */ (frame.type)];
    if (kind && !live && frame.replay_of === undefined) absence?.see(kind, sightingOf(frame), frame.seq);
  });
  page.times.watch(draw);

  const unseen = () => feed.state !== "live";

  function end() {
    wasLive = true;
    if (absence === null) return;
    const mine = absence;
    const until = Date.now();
    const since = gapSince;
    const asks = leapt && until - since >= BLINK_MS;
    leapt = false;
    tell(mine, until, asks);
    if (asks) void ask(mine, since).then(() => mine === absence && wasLive && tell(mine, until, false)); // else the next end tells
  }

  /** @param {Absence} mine @param {number} until @param {boolean} asks  more of it is to come */
  function tell(mine, until, asks) {
    const ended = mine.end(until);
    if (!ended.entries.length || ended.until - ended.since < BLINK_MS) {
      if (absent === null && !asks) absence = null;
      return;
    }
    absent = ended;
    draw();
    page.dispatchEvent(new CustomEvent("away", { detail: absent }));
  }

  /** @param {Absence} mine @param {number} since */
  async function ask(mine, since) {
    for (const kind of /** @type {const} */ (["finding", "anomaly"])) {
      try {
        mine.found(kind, await page.http.get(`${PATH[kind]}?limit=${NEWEST}`), since);
      } catch {
        // the list of them says it
      }
    }
  }

  function dismiss() {
    absence = absent = null;
    draw();
  }

  function draw() {
    render(absent === null ? nothing : list(absent), root);
  }

  /** @param {Absent} absent */
  function list(absent) {
    const { since, until, entries } = absent;
    const more = total(absent) - Math.min(entries.length, DRAWN);
    return html`<section class="away" aria-label="While you were away">
      <p>
        <button class="plain" aria-expanded=${opened} @click=${() => { opened = !opened; draw(); }}>
          <span aria-hidden="true">${opened ? "▾" : "▸"}</span> <b>While you were away</b>
        </button>
        <span>${summary(absent)}</span>
        <span class="muted">${times.clock(since)} to ${times.clockWithZone(until)}, ${age(until - since)}</span>
        <button class="quiet" @click=${dismiss}>Dismiss</button>
      </p>
      ${opened
        ? html`<ol>
            ${repeat(entries.slice(0, DRAWN), key, line)}
            ${more > 0 ? html`<li class="muted">and ${more.toLocaleString()} more</li>` : nothing}
          </ol>`
        : nothing}
    </section>`;
  }

  /** @param {Entry} entry */
  function line(entry) {
    const { id, kind, at } = entry;
    const { name, what, where, go } =
      "ticket" in entry
        ? { name: entry.ticket.ticket_no, what: entry.what, where: `${entry.ticket.site_name} · ${entry.ticket.description}`, go: () => page.open(id) }
        : { ...told(entry), go: () => page.choose({ ...new Filter({ kind: entry.kind }) }, "list") };
    return html`<li data-away=${key(entry)} data-kind=${kind}>
      <button class="plain" @click=${go}>
        ${levelMark(severityOf(entry))}<b>${name}</b><span class="what">${what}</span><span class="muted where">${where}</span><time class="muted" title=${times.full(at)}>${times.clock(at)}</time>
      </button>
    </li>`;
  }
}

/** @param {Entry} entry */
const key = (entry) => ("ticket" in entry ? String(entry.id) : `${entry.kind}-${entry.id}`);

/** @param {import("./absence.js").SightingEntry} entry */
function told({ kind, sighting }) {
  const place = sighting.site_name ?? "All sites";
  if (kind === "finding") return { name: "Finding", what: place, where: sighting.title };
  return { name: "Anomaly", what: place, where: `${sighting.metric} is ${number(sighting.observed)}, expected ${number(sighting.expected)}` };
}
