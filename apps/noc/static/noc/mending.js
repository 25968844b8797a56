// What events cannot tell is read from the server. `event_failed` stands where an event of a ticket should: which one,
// nobody can say, so all tickets are asked for. And a replay of a ticket that is not on the page tells how it was then:
// that ticket is asked for. Many pages hear the same event in the same moment, so each waits a little, and not alike.

import { HttpProblem } from "./http.js";
import { isOpen } from "./store.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./noc-feed.js").EventFrame} EventFrame */
/** @typedef {{later: (run: () => void, ms: number) => any, now: () => number, random: () => number}} Clock */

const WAIT_MS = 1_000; // for what comes together
const SPREAD_MS = 4_000; // up to this much later
const SNAPSHOT_SPREAD_MS = 10_000; // the same: it is the whole board, for all pages of the tenant
const APART_MS = 30_000; // between two snapshots, however many events fail
const AGAIN_MS = 10_000; // after no answer
const MOST = 20; // tickets that are asked for one by one; for more there is the snapshot
const OF_ROWS = /^ticket_(?!commented$)/;
/** @type {Clock} */
const CLOCK = { later: (run, ms) => setTimeout(run, ms), now: () => performance.now(), random: Math.random };

export class Mending {
  #page;
  #clock;
  #timer = false;
  #reads = false;
  #doubted = false; // all tickets are
  #refreshedAt = -Infinity;
  /** Tickets to ask for. @type {Set<number>} */
  #ids = new Set();
  /** The ticket whose answer is on its way. @type {number | null} */
  #asked = null;
  #epoch = 0; // rises with each snapshot: what was asked before it counts no more

  /**
   * @param {Pick<PageState, "feed" | "store" | "http">} page
   * @param {Clock} [clock]
   */
  constructor(page, clock = CLOCK) {
    this.#page = page;
    this.#clock = clock;
  }

  /** Begin. The store takes each event first. */
  start() {
    const { feed } = this.#page;
    feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail }) => this.#happened(detail.frame));
    feed.addEventListener("snapshot", () => {
      this.#epoch += 1;
      this.#doubted = false;
      this.#ids.clear();
    });
    feed.addEventListener("state", () => this.#soon());
  }

  /** @param {EventFrame} frame */
  #happened(frame) {
    if (frame.type === "event_failed") this.#doubted ||= OF_ROWS.test(frame.event_type);
    else if (this.#isOpenQuestion(frame)) this.#ids.add(frame.ticket_id);
    else return;
    if (this.#ids.size > MOST) this.#doubted = true;
    if (this.#doubted) this.#ids.clear();
    this.#soon();
  }

  /**
   * Whether only the server knows what is true of the ticket now.
   * @param {EventFrame} frame
   */
  #isOpenQuestion({ type, ticket_id, replay_of, status, new_status }) {
    if (!OF_ROWS.test(type)) return false;
    if (ticket_id === this.#asked) return true; // the answer may be of before it
    if (replay_of === undefined) return false;
    if (this.#page.store.items.has(ticket_id)) return type === "ticket_moved" && status === undefined;
    return type !== "ticket_deleted" && isOpen(new_status ?? status ?? "");
  }

  #soon(ms = WAIT_MS) {
    if (this.#timer || this.#reads || this.#page.feed.state !== "live" || (!this.#doubted && !this.#ids.size)) return;
    this.#timer = true;
    this.#clock.later(
      () => {
        this.#timer = false;
        void this.#mend();
      },
      ms + (this.#doubted ? SNAPSHOT_SPREAD_MS : SPREAD_MS) * this.#clock.random(),
    );
  }

  async #mend() {
    const { feed } = this.#page;
    if (feed.state !== "live") return; // its state begins it again
    if (this.#doubted) {
      const wait = this.#refreshedAt + APART_MS - this.#clock.now();
      if (wait > 0) return this.#soon(wait);
      this.#refreshedAt = this.#clock.now();
      if (!feed.refresh()) this.#soon(APART_MS);
      return;
    }
    this.#reads = true;
    const answered = await this.#readAll();
    this.#reads = false;
    this.#soon(answered ? WAIT_MS : AGAIN_MS);
  }

  /** @returns {Promise<boolean>} false: the server did not answer */
  async #readAll() {
    for (const id of [...this.#ids]) {
      const epoch = this.#epoch;
      this.#ids.delete(id);
      this.#asked = id;
      const row = await this.#read(id);
      this.#asked = null;
      if (epoch !== this.#epoch) return true;
      if (row === undefined) this.#ids.add(id);
      else if (!this.#ids.has(id)) this.#page.store.correct(id, row);
      if (row === undefined) return false;
    }
    return true;
  }

  /**
   * @param {number} id
   * @returns {Promise<object | null | undefined>} null: it is not there; undefined: there is no answer
   */
  async #read(id) {
    try {
      return await this.#page.http.get(`tickets/${id}/?include=acknowledgement`);
    } catch (error) {
      return error instanceof HttpProblem && error.status === 404 ? null : undefined;
    }
  }
}
