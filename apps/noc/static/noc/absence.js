// What happened while the page was not current: from the first moment of it to the moment when it is current again, one
// entry for each ticket that is another than before, and one for each finding and anomaly.

import { isOpen } from "./store.js";
import { LEVEL, levelWord, statusWord } from "./words.js";

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./sighting-pages.js").Sighting} Sighting */
/**
 * @typedef {object} TicketEntry
 * @property {number} id
 * @property {Ticket} ticket  as it is now, or as it was when it left
 * @property {"opened" | "changed" | "gone"} kind
 * @property {string} what  in words
 * @property {number} at  ms since 1970, of its last change
 */
/** @typedef {{id: number, kind: SightingKind, sighting: Sighting, at: number}} SightingEntry */
/** @typedef {TicketEntry | SightingEntry} Entry */
/** @typedef {"finding" | "anomaly"} SightingKind */
/**
 * @typedef {object} Absent
 * @property {number} since
 * @property {number} until
 * @property {Entry[]} entries  the most severe first, then the newest; of many findings and anomalies the newest of each severity
 * @property {Record<SightingKind, number>} seen  how many there were
 * @property {boolean} uncounted  whether there may have been more of these
 */
/** @typedef {{before: Ticket | null, after: Ticket | null, last: Ticket, type: string, seq: number}} Trace */

const RANK = Object.keys(LEVEL);
export const DRAWN = 200; // entries
/** @type {Record<SightingKind, string>} */
const MANY = { finding: "findings", anomaly: "anomalies" };

export class Absence {
  /** @type {Map<number, Trace>} */
  #traces = new Map();
  /** The last of each severity, by what they are: no more can be drawn. @type {Map<string, Map<string, SightingEntry & {seq: number}>>} */
  #sightings = new Map();
  /** @type {Record<SightingKind, number>} */
  #seen = { finding: 0, anomaly: 0 };
  #uncounted = false;

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
   * @param {SightingKind} kind
   * @param {Sighting} sighting
   * @param {number} [seq]  0: the server was asked for it
   */
  see(kind, sighting, seq = 0) {
    const same = getOrMake(this.#sightings, sighting.severity);
    const key = `${kind}:${sighting.id}`;
    if (same.has(key)) return;
    this.#seen[kind] += 1;
    same.set(key, { id: sighting.id, kind, sighting, at: seenAt(sighting), seq });
    const [oldest] = same.keys();
    if (same.size > DRAWN && oldest !== undefined) same.delete(oldest);
  }

  /**
   * Take the newest that the server has: the events of some may never have come.
   * @param {SightingKind} kind
   * @param {import("./sighting-pages.js").ServerPage} page
   * @param {number} [since]  ms since 1970: what was before it, was seen or taken
   */
  found(kind, { results, next }, since = this.since) {
    const missed = results.filter((each) => seenAt(each) >= since);
    for (const each of missed.reverse()) this.see(kind, each);
    if (next !== null && missed.length === results.length) this.#uncounted = true;
  }

  /**
   * @param {number} until  ms since 1970
   * @returns {Absent}
   */
  end(until) {
    /** @type {(Entry & {seq: number})[]} */
    const entries = [...this.#sightings.values()].flatMap((same) => [...same.values()]);
    for (const [id, { before, after, last, type, seq }] of this.#traces) {
      const now = after !== null && isOpen(after.status) ? after : null;
      if (before === null && now === null) continue; // it came and went
      const kind = now === null ? "gone" : before === null ? "opened" : "changed";
      const what = told(before, after, last, type);
      if (what) entries.push({ id, ticket: last, kind, what, at: Date.parse(last.updated_at) || until, seq });
    }
    entries.sort((a, b) => rank(a) - rank(b) || b.seq - a.seq || b.at - a.at || b.id - a.id);
    return { since: this.since, until, entries: entries.map(({ seq, ...entry }) => entry), seen: { ...this.#seen }, uncounted: this.#uncounted };
  }
}

/** "3 opened, 12 changed, 2 gone, 1 finding" @param {Absent} absent */
export function summary({ entries, seen, uncounted }) {
  const tickets = ["opened", "changed", "gone"].map((kind) => ({ word: kind, count: entries.filter((entry) => entry.kind === kind).length }));
  const sightings = /** @type {SightingKind[]} */ (Object.keys(MANY)).map((kind) => ({ word: seen[kind] === 1 ? kind : MANY[kind], count: seen[kind] }));
  const told = [...tickets, ...sightings].flatMap(({ word, count }) => (count ? [`${count.toLocaleString()} ${word}`] : []));
  return told.join(", ") + (uncounted ? ", or more" : "");
}

/** How many entries there would be if all were kept. @param {Absent} absent */
export function total({ entries, seen }) {
  return entries.filter(({ kind }) => kind !== "finding" && kind !== "anomaly").length + seen.finding + seen.anomaly;
}

/** @param {Entry} entry */
export const severityOf = (entry) => ("ticket" in entry ? entry.ticket.priority : entry.sighting.severity);

/** @param {Entry} entry */
function rank(entry) {
  const at = RANK.indexOf(severityOf(entry));
  return at < 0 ? RANK.length : at;
}

/** @param {Sighting} sighting */
const seenAt = ({ created_at, detected_at }) => Date.parse(created_at ?? detected_at ?? "") || 0;

/**
 * @template V
 * @param {Map<string, Map<string, V>>} maps
 * @param {string} key
 */
function getOrMake(maps, key) {
  const found = maps.get(key) ?? new Map();
  maps.set(key, found);
  return found;
}

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
