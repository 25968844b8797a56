// The counters above the list, by status and severity over the filter that the list has. They are buttons that set it.

import { html, nothing, render } from "lit/html.js";
import { Counting } from "./counting.js";
import { levelMark, statusMark } from "./marks.js";
import { part } from "./page.js";
import { soon } from "./soon.js";
import { LEVEL, STATUS } from "./words.js";
import { isOpen } from "./store.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {import("./counting.js").Answer} Answer */
/** @typedef {import("./store.js").Change} Change */

const DRAW_MS = 250;
const CHOSEN_MS = 200; // a filter is often chosen in several steps
const ASK_MS = 2_000; // the server is asked at most this often while tickets change, and up to half as much later
const RETRY_MS = 8_000;
const OLD_MS = 20_000; // an answer that is so late is told

/** @param {PageState} page */
export function startCounters(page) {
  const { feed, store, http, times } = page;
  const root = part("counters");
  let counting = anew();
  /** @type {Answer | null} of a place that the page has not reached */
  let early = null;
  let answeredAt = 0;
  let waitingSince = 0; // for an answer, 0: none is wanted
  const drawSoon = soon(draw, DRAW_MS);
  let asking = 0;
  /** @type {AbortController | null} */
  let request = null;

  function anew() {
    return new Counting(page.filter, [...store.items.values()].map(({ ticket }) => ticket), feed.position?.seq ?? 0);
  }

  /** @param {number} ms */
  function askIn(ms) {
    waitingSince ||= Date.now();
    asking ||= setTimeout(ask, ms * (1 + Math.random() / 2));
  }

  async function ask() {
    asking = 0;
    if (document.hidden || feed.state !== "live" || !shown()) return; // asked again when it is
    request?.abort();
    const { signal } = (request = new AbortController());
    const { filter } = page;
    try {
      const answer = /** @type {Answer} */ (await http.get(`tickets/counts/?${filter.forServer()}`, { signal }));
      if (filter !== page.filter || answer.epoch !== feed.position?.epoch) return askIn(ASK_MS);
      answeredAt = Date.now();
      waitingSince = 0;
      early = answer;
      compare();
    } catch {
      if (!signal.aborted) askIn(RETRY_MS);
    }
    drawSoon();
  }

  function compare() {
    if (early === null || (feed.position?.seq ?? 0) < early.seq) return;
    const agreed = counting.compare(early);
    early = null;
    if (!agreed) askIn(ASK_MS);
  }

  function restart(wait = 0) {
    clearTimeout(asking);
    asking = 0;
    request?.abort();
    early = null;
    counting = anew();
    answeredAt = 0;
    waitingSince = 0;
    askIn(wait);
    draw();
  }

  const shown = () => page.view === "list" && page.filter.kind === "ticket";

  store.addEventListener("change", (event) => {
    const { detail } = /** @type {CustomEvent<Change>} */ (event);
    if (detail.before === detail.after) return;
    counting.take(detail);
    drawSoon();
    askIn(ASK_MS);
  });
  store.addEventListener("replace", () => restart());
  feed.addEventListener("event", compare);
  feed.addEventListener("state", () => {
    if (feed.state === "live") askIn(0);
    drawSoon();
  });
  page.addEventListener("filter", () => restart(CHOSEN_MS));
  page.times.watch(drawSoon);
  document.addEventListener("visibilitychange", () => document.hidden || askIn(0));
  setInterval(() => {
    compare(); // what is not ours to see moves the place without an event
    if (!document.hidden && waitingSince) drawSoon();
  }, 5_000);

  function draw() {
    root.hidden = !shown();
    if (root.hidden || document.hidden) return;
    render(store.loaded ? view() : nothing, root);
  }

  function view() {
    const { filter } = page;
    const { total, unacknowledged, by_status, by_priority } = counting.tally;
    const all = !filter.status.length && !filter.priority.length && filter.acknowledged === null;
    return html`
      <div role="group" aria-label="Tickets">
        ${counter("all", all, () => page.choose({ status: [], priority: [], acknowledged: null }), "All open", all ? total : null)}
        ${counter("unacknowledged", filter.acknowledged === false, () => page.choose({ acknowledged: filter.acknowledged === false ? null : false }), "Unacknowledged", unacknowledged)}
      </div>
      <div role="group" aria-label="By status">
        ${Object.keys(STATUS).filter(isOpen).map((status) => counter(status, filter.status.includes(status), () => page.choose({ status: toggled(filter.status, status) }), statusMark(status), by_status[status] ?? 0))}
      </div>
      <div role="group" aria-label="By priority">
        ${Object.keys(LEVEL).map((level) => counter(level, filter.priority.includes(level), () => page.choose({ priority: toggled(filter.priority, level) }), levelMark(level), by_priority[level] ?? 0))}
      </div>
      ${all ? nothing : html`<span class="muted" data-counter="total">${total.toLocaleString()} match</span>`}
      ${doubt()}
    `;
  }

  /**
   * @param {string} name
   * @param {boolean} pressed
   * @param {() => void} choose
   * @param {unknown} label
   * @param {number | null} count
   */
  const counter = (name, pressed, choose, label, count) => html`<button class="counter" data-counter=${name} aria-pressed=${pressed} ?data-none=${count === 0} @click=${choose}>${label}${count === null ? nothing : html` <b>${count.toLocaleString()}</b>`}</button>`;

  /** What keeps the counts from being the server's last word. */
  function doubt() {
    const { missing } = counting;
    if (answeredAt && missing) return note(`${Math.abs(missing)} ${missing > 0 ? "not in the list" : "too many in the list"}: reload the page`, "refusal");
    const late = feed.state !== "live" || (waitingSince && Date.now() - waitingSince > OLD_MS);
    if (!late) return nothing;
    return answeredAt ? note(`as of ${times.clockWithZone(answeredAt)}`) : note("not confirmed");
  }

  /** @param {string} text @param {string} [kind] */
  const note = (text, kind = "muted") => html`<span class=${kind} id="counts-note" title=${text}>${text}</span>`;

  draw();
}

/**
 * @param {readonly string[]} values
 * @param {string} value
 */
const toggled = (values, value) => (values.includes(value) ? values.filter((each) => each !== value) : [...values, value]);
