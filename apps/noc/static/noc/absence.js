// What happened to the tickets while the page was not current: from the first moment of it to the moment when it is
// current again, one entry for each ticket that is another than before.

import { isOpen } from "./store.js";
import { LEVEL, levelWord, statusWord } from "./words.js";

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./store.js").Change} Change */
/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {Ticket} ticket  as it is now, or as it was when it left
 * @property {"opened" | "changed" | "gone"} kind
 * @property {string} what  in words
 * @property {number} at  ms since 1970, of its last change
 */
/** @typedef {{since: number, until: number, entries: Entry[]}} Absent  the most severe first, then the newest */
/** @typedef {{before: Ticket | null, after: Ticket | null, last: Ticket, type: string, seq: number}} Trace */

const RANK = Object.keys(LEVEL);

export class Absence {
  /** @type {Map<number, Trace>} */
  #traces = new Map();

  /** @param {number} since  ms since 1970: until then the page was current */
  constructor(since) {
    this.since = since;
  }

  /** @param {Change} change */
  take({ item, before, after, frame }) {
    if (before === after) return; // the user's own, not answered yet
    const trace = this.#traces.get(item.id);
    const last = after ?? before;
    if (last === null) return;
    this.#traces.set(item.id, { before: trace ? trace.before : before, after, last, type: frame?.type ?? "", seq: Math.max(trace?.seq ?? 0, frame?.seq ?? 0) });
  }

  /**
   * @param {number} until  ms since 1970
   * @returns {Absent}
   */
  end(until) {
    /** @type {(Entry & {seq: number})[]} */
    const entries = [];
    for (const [id, { before, after, last, type, seq }] of this.#traces) {
      const now = after !== null && isOpen(after.status) ? after : null;
      if (before === null && now === null) continue; // it came and went
      const kind = now === null ? "gone" : before === null ? "opened" : "changed";
      const what = told(before, after, last, type);
      if (what) entries.push({ id, ticket: last, kind, what, at: Date.parse(last.updated_at) || until, seq });
    }
    entries.sort((a, b) => rank(a) - rank(b) || b.seq - a.seq || b.at - a.at || b.id - a.id);
    return { since: this.since, until, entries: entries.map(({ seq, ...entry }) => entry) };
  }
}

/** "3 opened, 12 changed, 2 gone" @param {readonly Entry[]} entries */
export function summary(entries) {
  return ["opened", "changed", "gone"]
    .map((kind) => ({ kind, count: entries.filter((entry) => entry.kind === kind).length }))
    .flatMap(({ kind, count }) => (count ? [`${count.toLocaleString()} ${kind}`] : []))
    .join(", ");
}

/** @param {Entry} entry */
const rank = ({ ticket }) => (RANK.includes(ticket.priority) ? RANK.indexOf(ticket.priority) : RANK.length);

/**
 * @param {Ticket | null} before
 * @param {Ticket | null} after
 * @param {Ticket} last
 * @param {string} type  of the last frame, "" when a snapshot told it
 */
function told(before, after, last, type) {
  if (after === null) return type === "ticket_deleted" ? "deleted" : type === "ticket_moved" ? "moved away" : isOpen(last.status) ? "closed, or moved away" : statusWord(last.status).toLowerCase();
  if (before === null) return ["opened", after.status === "NEW" ? "" : `now ${statusWord(after.status).toLowerCase()}`, after.acknowledged_at ? acknowledged(after) : ""].filter(Boolean).join(", ");
  const parts = [];
  if (before.status !== after.status) parts.push(`${statusWord(before.status)} → ${statusWord(after.status)}`);
  if (before.priority !== after.priority) parts.push(`${levelWord(before.priority)} → ${levelWord(after.priority)}`);
  if (before.acknowledged_at !== after.acknowledged_at && (after.acknowledged_at || after.status === "NEW")) parts.push(after.acknowledged_at ? acknowledged(after) : "unacknowledged again");
  if (before.assigned_to !== after.assigned_to) parts.push(after.assigned_to === null ? "assigned to nobody" : `assigned to ${after.assigned_to}`);
  if (before.site_id !== after.site_id) parts.push(`moved to ${after.site_name ?? "no site"}`);
  if (!parts.length && before.description !== after.description) parts.push("edited");
  return parts.join(", ");
}

/** @param {Ticket} ticket */
const acknowledged = ({ acknowledged_by }) => `acknowledged by ${acknowledged_by ?? "somebody"}`;
