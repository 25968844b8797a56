// What the side panel shows of one ticket: read from the server, and read again when something happened to it.

import { HttpProblem } from "./http.js";
import { withNewest, withOlder } from "./timeline.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./sighting-pages.js").Sighting} Sighting */
/** @typedef {import("./timeline.js").Entries} Entries */
/** @typedef {import("./noc-feed.js").EventFrame} EventFrame */

const LIMIT = 30;
const APART_MS = 500; // between two readings
const SIGHTED_MS = 2_000; // the same for what was seen at its site, which may be many
const SIGHTED = new Set(["finding_created", "anomaly_detected"]);
const HIDDEN = "This ticket does not exist, or it is not yours to see.";

/** Dispatches `change` when there is something else to show. */
export class PanelSource extends EventTarget {
  /** The whole description. @type {string | null} */
  full = null;
  /** @type {Entries} */
  timeline = { entries: [], before: null };
  /** @type {{findings: Sighting[], anomalies: Sighting[]}} */
  related = { findings: [], anomalies: [] };
  /** Why it can no longer be seen, or "". What was read stays. */
  gone = "";
  /** Why it could not be read, or "". */
  trouble = "";

  #page;
  /** @type {Ticket | null} as it was read */
  #read = null;
  #life = new AbortController();
  /** @type {Promise<void>} the last reading in line */
  #turn = Promise.resolve();
  #waits = false; // a reading of the newest has not begun
  #timer = 0;
  #dueAt = 0;

  /**
   * @param {PageState} page
   * @param {number} id
   */
  constructor(page, id) {
    super();
    this.#page = page;
    this.id = id;
  }

  /** As the list shows it, which is newer than what was read; else as it was read. */
  get ticket() {
    const shown = this.#page.store.items.get(this.id)?.shown;
    return shown && (this.#read === null || shown.version >= this.#read.version) ? { ...shown, created_at: this.#read?.created_at ?? shown.created_at } : this.#read;
  }

  start() {
    const { signal } = this.#life;
    const { feed, store } = this.#page;
    feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail }) => this.#happened(detail.frame), { signal });
    feed.addEventListener("snapshot", () => this.#soon(), { signal });
    store.addEventListener("change", (event) => /** @type {CustomEvent<import("./store.js").Change>} */ (event).detail.item.id === this.id && this.#tell(), { signal });
    void this.refresh();
  }

  end() {
    clearTimeout(this.#timer);
    this.#life.abort();
  }

  /** Read the ticket and the newest of its timeline. What is asked for while that waits its turn is one reading. */
  refresh() {
    if (this.#waits) return this.#turn;
    this.#waits = true;
    return this.#take(async () => {
      this.#waits = false;
      this.trouble = "";
      const { signal } = this.#life;
      await Promise.all([this.#readTicket(signal), this.#readTimeline(signal)]);
    });
  }

  /** Read what is before the oldest that is shown. */
  older() {
    return this.#take(() => this.#readOlder());
  }

  /** One reading after the other. @param {() => Promise<void>} read */
  #take(read) {
    this.#turn = this.#turn.then(read).then(() => this.#tell());
    return this.#turn;
  }

  /** @param {AbortSignal} signal */
  async #readTicket(signal) {
    try {
      this.#read = /** @type {Ticket} */ (await this.#page.http.get(`tickets/${this.id}/?include=acknowledgement`, { signal }));
      this.full = this.#read.description;
      this.gone = "";
    } catch (error) {
      if (error instanceof HttpProblem && error.status === 404) this.gone ||= HIDDEN;
      else this.#failed(error);
    }
  }

  /** @param {AbortSignal} signal */
  async #readTimeline(signal) {
    try {
      const timeline = await this.#page.http.get(`tickets/${this.id}/timeline/?limit=${LIMIT}`, { signal });
      this.timeline = withNewest(this.timeline, timeline);
      this.related = timeline.related;
    } catch (error) {
      this.#failed(error);
    }
  }

  async #readOlder() {
    const { before } = this.timeline;
    if (before === null) return;
    try {
      this.timeline = withOlder(this.timeline, await this.#page.http.get(`tickets/${this.id}/timeline/?limit=${LIMIT}&before=${encodeURIComponent(before)}`, { signal: this.#life.signal }));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (this.#life.signal.aborted || this.gone) return;
    if (error instanceof HttpProblem && error.status === 404) return; // the ticket's own answer tells it
    const why = error instanceof HttpProblem && error.status === 401 ? error.words : error instanceof Error ? error.message : error;
    this.trouble = `The ticket could not be loaded. ${why}`;
  }

  /** @param {EventFrame} frame */
  #happened(frame) {
    if (this.#wasAtItsSite(frame)) return this.#soon(SIGHTED_MS);
    if (frame.ticket_id !== this.id) return;
    const now = frame.replay_of === undefined; // what a replay tells may be over
    if (now && frame.type === "ticket_deleted") this.gone = "This ticket was deleted.";
    if (now && frame.type === "ticket_moved" && frame.status === undefined) this.gone = "This ticket was moved to a site that is not yours to see.";
    if (this.gone) this.#tell();
    this.#soon();
  }

  /** Whether what was seen may be at the ticket's site. @param {EventFrame} frame */
  #wasAtItsSite({ type, event_type, site_id }) {
    return type === "event_failed" ? SIGHTED.has(event_type) : SIGHTED.has(type) && site_id === (this.ticket?.site_id ?? site_id);
  }

  #soon(ms = APART_MS) {
    const dueAt = performance.now() + ms;
    if (this.#timer && this.#dueAt <= dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => ((this.#timer = 0), void this.refresh()), ms);
  }

  #tell() {
    if (!this.#life.signal.aborted) this.dispatchEvent(new Event("change"));
  }
}
