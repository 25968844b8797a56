// The tickets that the page holds: a snapshot, kept by every frame after it, with the user's own
// changes laid over what the server has confirmed.

import { supersedes } from "./noc-feed.js";

/**
 * @typedef {object} Ticket
 * @property {number} id
 * @property {string} ticket_no
 * @property {string} status
 * @property {string} priority
 * @property {number} site_id
 * @property {string | null} site_name
 * @property {string | null} assigned_to  display name
 * @property {string} description  the first 200 characters
 * @property {number} version
 * @property {string} created_at
 * @property {string} updated_at
 * @property {string | null} acknowledged_by  display name
 * @property {string | null} acknowledged_at
 */
/**
 * One ticket of the page. The same object from first sight to the end, so that a row can be kept by it.
 * @typedef {object} Item
 * @property {number} id
 * @property {Ticket} ticket  as the server said it last
 * @property {Ticket} shown  the same with what was asked for and is not answered yet
 * @property {number} changed  ms since 1970
 * @property {number} revision  rises whenever what is shown of it changes
 * @property {ReadonlySet<string>} flashed  the fields of its last change
 * @property {number} flashedAt  when that was, or when it came by a frame: ms of the page's clock; -Infinity when it did not change
 * @property {boolean} gone  it left the page: closed for a while, deleted, moved out of sight
 */
/** @typedef {{item: Item, before: Ticket | null, after: Ticket | null, frame: EventFrame | null}} Change `after` null: it left */
/** @typedef {import("./noc-feed.js").EventFrame} EventFrame */
/** @typedef {{item: Item, changes: Partial<Ticket>}} Overlay */

const LEAVE_MS = 4_000; // a closed ticket stays this long, so that its closing is seen
/** @param {string} status */
export const isOpen = (status) => status !== "CLOSED" && status !== "CANCELLED";
/** @type {ReadonlySet<string>} */
const NOTHING = new Set();
const FIELDS = /** @type {(keyof Ticket)[]} */ (Object.keys(complete({})));

/**
 * Dispatches `change` (detail {@link Change}) for each frame or overlay that changed a ticket, and
 * `replace` (detail `{changes: Change[]}`: what differs from before) after a snapshot.
 */
export class Store extends EventTarget {
  /** @type {Map<number, Item>} */
  items = new Map();
  loaded = false;

  #later;
  #now;
  /** @type {Map<Item, any>} */
  #leaving = new Map();
  /** @type {Map<number, number>} of a ticket: the place in the log that its acknowledgement stands for */
  #acknowledgedSeq = new Map();
  #snapshotSeq = 0;
  /** @type {Set<Overlay>} */
  #overlays = new Set();

  /** @param {{later?: (run: () => void, ms: number) => any, now?: () => number}} [options] */
  constructor({ later = (run, ms) => setTimeout(run, ms), now = () => performance.now() } = {}) {
    super();
    this.#later = later;
    this.#now = now;
  }

  /** @param {{seq: number, tickets: object[]}} snapshot */
  replace({ seq, tickets }) {
    /** @type {Change[]} */
    const changes = [];
    const first = !this.loaded;
    const known = new Set();
    this.#snapshotSeq = seq;
    this.#acknowledgedSeq.clear();
    for (const row of tickets) {
      const ticket = complete(/** @type {Partial<Ticket>} */ (row));
      known.add(ticket.id);
      const item = this.items.get(ticket.id);
      if (item === undefined) changes.push({ item: this.#add(ticket), before: null, after: ticket, frame: null });
      else {
        const fields = differing(item.ticket, ticket);
        if (fields.size) {
          const before = item.ticket;
          this.#put(item, ticket, fields);
          changes.push({ item, before, after: ticket, frame: null });
        }
        this.#stay(item);
      }
    }
    for (const item of [...this.items.values()]) {
      if (!known.has(item.id)) {
        changes.push({ item, before: item.ticket, after: null, frame: null });
        this.#drop(item);
      }
    }
    this.loaded = true;
    this.dispatchEvent(new CustomEvent("replace", { detail: { changes: first ? [] : changes } }));
  }

  /**
   * Take one event.
   * @param {EventFrame} frame
   * @returns {Change | null} null when it changed no ticket
   */
  apply(frame) {
    const change = this.#applied(frame);
    if (change) this.#tell(change);
    return change;
  }

  /**
   * Lay changes over a ticket until the returned function is called: with the row that the server answered,
   * or with null when it refused.
   * @param {number} id
   * @param {Partial<Ticket>} changes
   * @returns {(row: object | null) => void}
   */
  overlay(id, changes) {
    const item = this.items.get(id);
    if (item === undefined) return () => {};
    const overlay = { item, changes };
    this.#overlays.add(overlay);
    this.#show(item, new Set(Object.keys(changes)));
    return (row) => {
      this.#overlays.delete(overlay);
      if (this.items.get(id) !== item) return; // it has left meanwhile
      if (row === null || !this.#answered(item, row)) this.#show(item, NOTHING);
    };
  }

  /**
   * Take a ticket as the server answered it when it was asked for.
   * @param {number} id
   * @param {object | null} row  null: it is gone, or not ours to see
   */
  correct(id, row) {
    const item = this.items.get(id);
    if (row === null) {
      if (item) this.#part(item);
    } else if (item) this.#answered(item, row);
    else {
      const ticket = answerOf(row);
      if (isOpen(ticket.status)) this.#tell({ item: this.#add(ticket, this.#now()), before: null, after: ticket, frame: null });
    }
  }

  /**
   * @param {Item} item
   * @param {object} row
   * @returns {boolean} whether it changed
   */
  #answered(item, row) {
    const ticket = answerOf(row);
    const { acknowledged_by, acknowledged_at } = ticket;
    // Of the row and the frame of one write, which have one version, either may come first.
    const next = supersedes(ticket, item.ticket) ? ticket : { ...item.ticket, acknowledged_by, acknowledged_at };
    const before = item.ticket;
    const fields = differing(before, next);
    if (!fields.size) return false;
    this.#put(item, next, fields);
    if (isOpen(next.status)) this.#stay(item);
    else this.#leave(item); // its frame will be of no later version
    this.#tell({ item, before, after: next, frame: null });
    return true;
  }

  /**
   * @param {EventFrame} frame
   * @returns {Change | null}
   */
  #applied(frame) {
    switch (frame.type) {
      case "ticket_deleted":
        return this.#remove(frame);
      case "ticket_moved":
        if (frame.status !== undefined) return this.#row(frame, frame.status);
        return frame.replay_of === undefined ? this.#remove(frame) : null; // it left our sites then, and may be back
      case "ticket_created":
      case "ticket_edited":
        return this.#row(frame, frame.status);
      case "ticket_updated":
        return this.#row(frame, frame.new_status);
      case "ticket_acknowledged":
        return this.#acknowledge(frame, { acknowledged_by: frame.acknowledged_by, acknowledged_at: frame.acknowledged_at });
      case "ticket_unacknowledged":
        return this.#acknowledge(frame, { acknowledged_by: null, acknowledged_at: null });
    }
    return null;
  }

  /**
   * @param {EventFrame} frame
   * @param {string} status
   * @returns {Change | null}
   */
  #row(frame, status) {
    const item = this.items.get(frame.ticket_id);
    const ticket = complete({ ...item?.ticket, ...rowOf(frame, status) });
    if (item === undefined) {
      if (!isOpen(status) || frame.replay_of !== undefined) return null; // a replay does not say that it is open now
      return { item: this.#add(ticket, this.#now()), before: null, after: ticket, frame };
    }
    if (!supersedes(frame, item.ticket)) return null;
    const before = item.ticket;
    this.#put(item, ticket, differing(before, ticket));
    if (isOpen(status)) this.#stay(item);
    else this.#leave(item);
    return { item, before, after: ticket, frame };
  }

  /**
   * @param {EventFrame} frame
   * @param {Partial<Ticket>} changes
   * @returns {Change | null}
   */
  #acknowledge(frame, changes) {
    const item = this.items.get(frame.ticket_id);
    const seq = frame.replay_of ?? frame.seq;
    if (item === undefined || seq <= (this.#acknowledgedSeq.get(item.id) ?? (frame.replay_of === undefined ? 0 : this.#snapshotSeq))) return null;
    this.#acknowledgedSeq.set(item.id, seq);
    const before = item.ticket;
    const ticket = { ...before, ...changes };
    this.#put(item, ticket, differing(before, ticket));
    return { item, before, after: ticket, frame };
  }

  /**
   * @param {EventFrame} frame
   * @returns {Change | null}
   */
  #remove(frame) {
    const item = this.items.get(frame.ticket_id);
    if (item === undefined) return null;
    this.#drop(item);
    return { item, before: item.ticket, after: null, frame };
  }

  /**
   * @param {Ticket} ticket
   * @param {number} [flashedAt]
   */
  #add(ticket, flashedAt = -Infinity) {
    /** @type {Item} */
    const item = { id: ticket.id, ticket, shown: ticket, changed: Date.parse(ticket.updated_at) || 0, revision: 0, flashed: NOTHING, flashedAt, gone: false };
    this.items.set(ticket.id, item);
    return item;
  }

  /**
   * @param {Item} item
   * @param {Ticket} ticket
   * @param {ReadonlySet<string>} fields
   */
  #put(item, ticket, fields) {
    item.ticket = ticket;
    item.changed = Date.parse(ticket.updated_at) || item.changed;
    this.#show(item, fields, false);
  }

  /**
   * @param {Item} item
   * @param {ReadonlySet<string>} fields
   */
  #show(item, fields, tell = true) {
    let shown = item.ticket;
    for (const overlay of this.#overlays) if (overlay.item === item) shown = { ...shown, ...overlay.changes };
    item.shown = shown;
    item.flashed = fields;
    if (fields.size) item.flashedAt = this.#now();
    item.revision += 1;
    if (tell) this.#tell({ item, before: item.ticket, after: item.ticket, frame: null });
  }

  /** @param {Item} item */
  #leave(item) {
    clearTimeout(this.#leaving.get(item));
    this.#leaving.set(
      item,
      this.#later(() => this.#part(item), LEAVE_MS),
    );
  }

  /** @param {Item} item */
  #part(item) {
    this.#drop(item);
    this.#tell({ item, before: item.ticket, after: null, frame: null });
  }

  /** @param {Item} item */
  #stay(item) {
    clearTimeout(this.#leaving.get(item));
    this.#leaving.delete(item);
  }

  /** @param {Item} item */
  #drop(item) {
    this.#stay(item);
    this.items.delete(item.id);
    this.#acknowledgedSeq.delete(item.id);
    item.gone = true;
    item.revision += 1;
  }

  /** @param {Change} change */
  #tell(change) {
    this.dispatchEvent(new CustomEvent("change", { detail: change }));
  }
}

/**
 * @param {EventFrame} frame
 * @param {string} status
 * @returns {Partial<Ticket>}
 */
function rowOf(frame, status) {
  const { ticket_no, priority, site_id, site_name, assigned_to, description, version, updated_at } = frame;
  return { id: frame.ticket_id, ticket_no, status, priority, site_id, site_name, assigned_to, description, version, updated_at };
}

/**
 * @param {Partial<Ticket>} row
 * @returns {Ticket}
 */
function complete(row) {
  const { id = 0, ticket_no = "", status = "", priority = "", site_id = 0, site_name = null, assigned_to = null, description = "", version = 0, updated_at = "" } = row;
  const { created_at = updated_at, acknowledged_by = null, acknowledged_at = null } = row;
  return { id, ticket_no, status, priority, site_id, site_name, assigned_to, description, version, created_at, updated_at, acknowledged_by, acknowledged_at };
}

/** A row with its whole description, as the list has it. @param {object} row */
function answerOf(row) {
  const ticket = complete(/** @type {Partial<Ticket>} */ (row));
  return { ...ticket, description: shortened(ticket.description) };
}

/** As the server cuts it: a sign of two code units is one. @param {string} description */
const shortened = (description) => [...description.slice(0, 400)].slice(0, 200).join("");

/**
 * @param {Ticket} before
 * @param {Ticket} after
 * @returns {ReadonlySet<string>}
 */
function differing(before, after) {
  /** @type {Set<string> | null} */
  let fields = null; // a snapshot compares thousands, and most are as they were
  for (const name of FIELDS) if (before[name] !== after[name]) (fields ??= new Set()).add(name);
  return fields ?? NOTHING;
}
