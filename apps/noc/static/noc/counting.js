// How many tickets there are by status and severity under a filter: counted over what the page holds, moved by every
// change, and compared with what the server counts over the same filter.
//
// Note [Counts and the log]: an answer of the server stands for a place in the log. It is compared with what the page
// counted at that place: the changes after it are taken off again. A write that was committed and not yet recorded is
// in the server's count and comes later as an event, so a difference is believed only when a second answer shows the same.

import { isUnacknowledged } from "./filter.js";
import { isOpen } from "./store.js";

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {{total: number, unacknowledged: number, by_status: Record<string, number>, by_priority: Record<string, number>}} Tally */
/** @typedef {Tally & {epoch: string, seq: number}} Answer  of `tickets/counts/` */
/** @typedef {{seq: number, before: Ticket | null, after: Ticket | null}} Move */

const KEPT = 5_000; // moves that an answer may lie behind; each holds two tickets
/** @returns {Tally} */
const none = () => ({ total: 0, unacknowledged: 0, by_status: {}, by_priority: {} });

export class Counting {
  #filter;
  #counted = none();
  #offset = none(); // what the server has and the page has not
  /** @type {string | null} a difference that one answer showed */
  #doubt = null;
  /** @type {Move[]} */
  #moves = [];
  #since; // the place in the log from which all moves are known
  #seen; // the last place that a move told

  /**
   * @param {Filter} filter
   * @param {Iterable<Ticket>} tickets
   * @param {number} seq  the place in the log that they stand for
   */
  constructor(filter, tickets, seq) {
    this.#filter = filter;
    this.#since = this.#seen = seq;
    for (const ticket of tickets) this.#add(this.#counted, ticket, 1);
  }

  /**
   * @param {{before: Ticket | null, after: Ticket | null, frame: {seq: number} | null}} change
   *   `frame` null: the answer to a write, whose event is still to come
   */
  take({ before, after, frame }) {
    if (before === after) return;
    const seq = frame?.seq ?? this.#seen + 1;
    this.#seen = Math.max(this.#seen, frame?.seq ?? 0);
    if (before) this.#add(this.#counted, before, -1);
    if (after) this.#add(this.#counted, after, 1);
    this.#moves.push({ seq, before, after });
    if (this.#moves.length > 2 * KEPT) {
      this.#since = this.#moves[KEPT - 1]?.seq ?? this.#since;
      this.#moves = this.#moves.slice(KEPT);
    }
  }

  /**
   * Take what the server counted over the same filter.
   * @param {Answer} answer  of a place in the log that the page has reached
   * @returns {boolean} false: it differs, or cannot be compared; ask again
   */
  compare(answer) {
    if (answer.seq < this.#since) return false;
    this.#since = answer.seq; // the next answer is of no earlier place
    this.#moves = this.#moves.filter(({ seq }) => seq > answer.seq);
    const then = copy(this.#counted);
    for (const { before, after } of this.#moves) {
      if (before) this.#add(then, before, 1);
      if (after) this.#add(then, after, -1);
    }
    const difference = minus(answer, then);
    const told = JSON.stringify(difference);
    const believed = told === JSON.stringify(minus(none(), none())) || told === this.#doubt;
    if (believed) this.#offset = difference;
    this.#doubt = believed ? null : told;
    return believed;
  }

  /** Now, by the server's last word and every change since. @returns {Tally} */
  get tally() {
    return plus(this.#counted, this.#offset);
  }

  /** How many more tickets the server counts than the page holds. */
  get missing() {
    return this.#offset.total;
  }

  /**
   * @param {Tally} tally
   * @param {Ticket} ticket
   * @param {1 | -1} by
   */
  #add(tally, ticket, by) {
    if (!isOpen(ticket.status)) return;
    const filter = this.#filter;
    const all = filter.matches(ticket); // then it matches without any one dimension too
    if (all) tally.total += by;
    if (isUnacknowledged(ticket) && (all || filter.matches(ticket, "acknowledged"))) tally.unacknowledged += by;
    if (all || filter.matches(ticket, "status")) tally.by_status[ticket.status] = (tally.by_status[ticket.status] ?? 0) + by;
    if (all || filter.matches(ticket, "priority")) tally.by_priority[ticket.priority] = (tally.by_priority[ticket.priority] ?? 0) + by;
  }
}

/** @param {Tally} tally @returns {Tally} */
const copy = ({ total, unacknowledged, by_status, by_priority }) => ({ total, unacknowledged, by_status: { ...by_status }, by_priority: { ...by_priority } });
/** @param {Tally} a @param {Tally} b */
const plus = (a, b) => combined(a, b, 1);
/** @param {Tally} a @param {Tally} b */
const minus = (a, b) => combined(a, b, -1);

/**
 * @param {Tally} a
 * @param {Tally} b
 * @param {1 | -1} sign
 * @returns {Tally}
 */
function combined(a, b, sign) {
  /** @param {Record<string, number>} x @param {Record<string, number>} y */
  const each = (x, y) => Object.fromEntries([...new Set([...Object.keys(x), ...Object.keys(y)])].sort().map((key) => [key, (x[key] ?? 0) + sign * (y[key] ?? 0)]).filter(([, count]) => count !== 0));
  return { total: a.total + sign * b.total, unacknowledged: a.unacknowledged + sign * b.unacknowledged, by_status: each(a.by_status, b.by_status), by_priority: each(a.by_priority, b.by_priority) };
}
