// What operators do to tickets, one or many at once: shown at once, asked of the server with the versions that were
// seen, and put right by its answer. What it refuses is kept beside the ticket with what was typed, until it is
// done anyway or left.

import { applies, body, needsVersion, outcome, past, raisesVersion, typed } from "./deeds.js";
import { HttpProblem } from "./http.js";
import { OwnWrites } from "./own-writes.js";
import { Refusals } from "./refusals.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./deeds.js").Deed} Deed */
/** @typedef {import("./deeds.js").Member} Member */
/** @typedef {import("./page.js").Toast} Toast */
/** @typedef {import("./refusals.js").Refusal} Refusal */
/** @typedef {{id: number, status: number, ticket?: Ticket, problem?: Record<string, any>}} Result */
/**
 * What became of a deed, by ticket: done, overtaken by another one's change, held by somebody, refused for another reason.
 * @typedef {{done: number[], overtaken: Refusal[], busy: number[], refused: Result[]}} Outcomes
 */
/** @typedef {(deed: Deed, ids: readonly number[], versions?: ReadonlyMap<number, number>) => Promise<void>} Perform */

const AT_ONCE = 200; // tickets in one request

/** Dispatches `change` when `refusals` did, `forbidden` when the user may not write (any more). */
export class Actions extends EventTarget {
  refusals = new Refusals();
  /** Asks the operator for what a deed needs; by sheet.js. @type {import("./sheet.js").Ask | null} */
  ask = null;

  #store;
  #http;
  #toast;
  #name;
  #now;
  #own = new OwnWrites();

  /**
   * @param {object} around
   * @param {Store} around.store
   * @param {Pick<import("./http.js").Http, "write">} around.http
   * @param {(text: string, more?: Partial<Toast>) => void} around.toast
   * @param {() => string} around.name  display name of the user
   * @param {() => number} [around.now]
   */
  constructor({ store, http, toast, name, now = Date.now }) {
    super();
    this.#store = store;
    this.#http = http;
    this.#toast = toast;
    this.#name = name;
    this.#now = now;
  }

  // --- what keys and buttons call -------------------------------------------------------------

  /** @param {readonly number[]} ids */
  acknowledge = (ids) => this.perform({ action: "acknowledge" }, ids);
  /** @param {readonly number[]} ids */
  unacknowledge = (ids) => this.perform({ action: "unacknowledge" }, ids);
  /** @param {readonly number[]} ids @param {string} priority */
  setPriority = (ids, priority) => this.perform({ action: "priority", priority }, ids);
  /** @param {readonly number[]} ids @param {Member | null} member */
  assignTo = (ids, member) => this.perform({ action: "assign", member }, ids);
  /** @param {readonly number[]} ids @param {string} status @param {string} [note] */
  setStatus = (ids, status, note = "") => this.perform({ action: "status", status, note }, ids);
  /** @param {readonly number[]} ids @param {string} text */
  comment = (ids, text) => this.perform({ action: "comment", text }, ids);

  /** Ask to whom, then do it. @param {readonly number[]} ids @param {Element | null} [anchor] */
  assign = (ids, anchor = null) => this.ask?.("assign", ids, anchor);
  /** @param {readonly number[]} ids @param {Element | null} [anchor] */
  resolve = (ids, anchor = null) => this.ask?.("RESOLVED", ids, anchor);
  /** @param {readonly number[]} ids @param {Element | null} [anchor] */
  status = (ids, anchor = null) => this.ask?.("status", ids, anchor);
  /** @param {readonly number[]} ids @param {Element | null} [anchor] */
  priority = (ids, anchor = null) => this.ask?.("priority", ids, anchor);
  /** @param {readonly number[]} ids @param {Element | null} [anchor] */
  note = (ids, anchor = null) => this.ask?.("comment", ids, anchor);
  /** Everything that can be done. @param {readonly number[]} ids @param {Element | null} [anchor] */
  menu = (ids, anchor = null) => this.ask?.("menu", ids, anchor);

  // --- doing --------------------------------------------------------------------------------------

  /** The versions that the page shows now: what is decided, is decided on these. @param {readonly number[]} ids */
  versions(ids) {
    return new Map(ids.flatMap((id) => {
      const item = this.#store.items.get(id);
      return item ? [/** @type {[number, number]} */ ([id, item.ticket.version])] : [];
    }));
  }

  /**
   * Do it, after what is under way for these tickets. What it would not change is left out, and told; what others have
   * changed since it was decided, the server judges.
   * @param {Deed} deed
   * @param {readonly number[]} ids
   * @param {ReadonlyMap<number, number>} [versions]
   * @param {string} [key]  of an earlier try that had no answer
   */
  async perform(deed, ids, versions = this.versions(ids), key) {
    const seen = this.#afterOwn(versions, ids);
    const concerned = ids.filter((id) => {
      const item = this.#store.items.get(id);
      return !item || item.ticket.version !== seen.get(id) || applies(deed, item.shown);
    });
    if (!concerned.length) {
      if (ids.length) this.#toast(`Nothing to do: ${this.#why(deed, ids)}.`);
      return;
    }
    for (const id of concerned) this.refusals.replace(id, deed);
    this.dispatchEvent(new Event("change"));
    const name = this.#name();
    const now = new Date(this.#now()).toISOString();
    const settle = new Map(concerned.map((id) => {
      const item = this.#store.items.get(id);
      return [id, item && applies(deed, item.shown) ? this.#store.overlay(id, outcome(deed, item.shown, { name, now })) : () => {}];
    }));
    const turn = this.#own.turn(concerned);
    try {
      if (turn.wait) await turn.wait;
      const sent = this.#afterOwn(versions, concerned);
      // The key stands for what was sent with it, to the last version.
      const same = concerned.length === ids.length && concerned.every((id) => sent.get(id) === versions.get(id));
      const outcomes = await this.#send(deed, concerned, sent, settle, same ? key : undefined);
      this.#tell(deed, outcomes, ids.length - concerned.length, versions);
    } finally {
      turn.end();
    }
  }

  /**
   * Ask the server, and put the tickets right by what it answers.
   * @param {Deed} deed
   * @param {readonly number[]} ids
   * @param {ReadonlyMap<number, number>} versions
   * @param {Map<number, (row: object | null) => void>} settle  end what is shown in advance, by ticket
   * @param {string | undefined} key
   * @returns {Promise<Outcomes>}
   */
  async #send(deed, ids, versions, settle, key) {
    /** @type {Outcomes} */
    const outcomes = { done: [], overtaken: [], busy: [], refused: [] };
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const part = ids.slice(from, from + AT_ONCE);
      const tickets = part.map((id) => ({ id, ...(needsVersion(deed) && versions.has(id) && { version: versions.get(id) }) }));
      const thisKey = (ids.length <= AT_ONCE && key) || crypto.randomUUID();
      try {
        const { results } = /** @type {{results: Result[]}} */ (await this.#http.write("POST", "tickets/bulk/", { ...body(deed), tickets }, thisKey));
        for (const result of results) {
          settle.get(result.id)?.(result.ticket ?? result.problem?.ticket ?? null);
          settle.delete(result.id);
          if (result.status === 200) {
            outcomes.done.push(result.id);
            this.#wrote(deed, result, versions);
          } else if (result.problem?.ticket) {
            outcomes.overtaken.push(this.#overtaken(deed, result, result.problem));
          } else if (result.status === 409) {
            outcomes.busy.push(result.id); // somebody holds it: it may pass the next time
          } else {
            outcomes.refused.push(result);
          }
        }
      } catch (error) {
        const left = ids.slice(from);
        for (const end of settle.values()) end(null);
        settle.clear();
        this.#failed(deed, left, versions, left.length <= AT_ONCE ? thisKey : undefined, error);
        break;
      }
    }
    for (const end of settle.values()) end(null); // the server did not speak of it
    return outcomes;
  }

  /**
   * The versions that were seen, as they are after our own writes since.
   * @param {ReadonlyMap<number, number>} versions
   * @param {readonly number[]} ids
   * @returns {Map<number, number>}
   */
  #afterOwn(versions, ids) {
    return new Map(ids.flatMap((id) => {
      const version = versions.get(id);
      return version === undefined ? [] : [/** @type {[number, number]} */ ([id, this.#own.after(id, version)])];
    }));
  }

  /**
   * @param {Deed} deed
   * @param {Result} result
   * @param {ReadonlyMap<number, number>} versions  that were sent
   */
  #wrote(deed, { id, ticket }, versions) {
    const from = versions.get(id);
    if (from === undefined || !ticket || !raisesVersion(deed)) return;
    const to = Math.min(ticket.version, from + 1); // the row is read after the write: what is more is of others
    if (to > from) this.#own.made(id, from, to);
  }

  /** Do what was refused, now that the operator has seen what the tickets are. @param {readonly Refusal[]} refusals */
  doAnyway = (refusals) => {
    /** @type {Map<Deed, number[]>} */
    const deeds = new Map();
    /** @type {Map<number, number>} */
    const versions = new Map();
    for (const refusal of refusals) {
      const { id, deed, present, possible } = refusal;
      if (!possible || !this.refusals.of(id).includes(refusal)) continue; // it was left meanwhile
      deeds.set(deed, [...(deeds.get(deed) ?? []), id]);
      const version = Math.max(present.version, this.#store.items.get(id)?.ticket.version ?? 0);
      versions.set(id, version);
    }
    for (const [deed, of] of deeds) void this.perform(deed, of, versions);
  };

  /** @param {Refusal} refusal */
  leave = (refusal) => {
    this.refusals.remove(refusal);
    this.dispatchEvent(new Event("change"));
  };

  /** Keep what was typed for a deed that cannot be done any more. @param {Refusal} refusal */
  keepNote = (refusal) => {
    this.leave(refusal);
    void this.comment([refusal.id], typed(refusal.deed));
  };

  /**
   * @param {Deed} deed
   * @param {Result} result
   * @param {Record<string, any>} problem
   * @returns {Refusal}
   */
  #overtaken(deed, { id, status }, { ticket, changed_by, changed_at }) {
    const at = changed_at ? Date.parse(changed_at) : null;
    const refusal = { id, deed, ticketNo: ticket.ticket_no, by: changed_by, at, present: ticket, possible: status === 412 && applies(deed, ticket) };
    this.refusals.add(refusal);
    this.dispatchEvent(new Event("change"));
    return refusal;
  }

  /**
   * @param {Deed} deed
   * @param {Outcomes} outcomes
   * @param {number} left  that it would not have changed
   * @param {ReadonlyMap<number, number>} versions
   */
  #tell(deed, { done, overtaken, busy, refused }, left, versions) {
    if (done.length) {
      const undo = deed.action === "acknowledge" ? (/** @type {readonly number[]} */ ids) => this.#takeBack(ids) : undefined;
      const more = left ? `; ${left} left as ${left === 1 ? "it was" : "they were"}` : "";
      /** @param {readonly number[]} ids */
      const words = (ids) => `${this.#named(ids)} ${past(deed)}${more}`;
      this.#toast(words(done), { burst: { key: `${JSON.stringify(body(deed))}${more}`, ids: done, words, undo } });
    }
    if (busy.length) {
      this.#toast(`${this.#named(busy)}: not ${past(deed)}, being changed by somebody at this moment.`, {
        kind: "refused",
        action: { label: "Try again", run: () => void this.perform(deed, busy, versions) },
      });
    }
    const gone = refused.filter(({ status }) => status === 404).map(({ id }) => id);
    if (gone.length) this.#toast(`${this.#named(gone)}: no longer there, or out of your sight. Not ${past(deed)}.`, { kind: "refused" });
    for (const { id, status, problem } of refused) {
      if (status !== 404) this.#toast(`${this.#named([id])}: not ${past(deed)}. ${problem?.detail ?? ""}`, { kind: "refused" });
    }
    if (overtaken.length > 1) {
      const possible = overtaken.filter((refusal) => refusal.possible);
      this.#toast(`${this.#named(overtaken.map(({ id }) => id))} were changed by others meanwhile, and are not ${past(deed)}. Their rows say what they are now.`, {
        kind: "refused",
        ...(possible.length && { action: { label: "Do it anyway", run: () => this.doAnyway(possible) } }),
      });
    }
  }

  /**
   * No ticket was judged: the request failed.
   * @param {Deed} deed
   * @param {number[]} ids
   * @param {ReadonlyMap<number, number>} versions
   * @param {string | undefined} key
   * @param {unknown} error
   */
  #failed(deed, ids, versions, key, error) {
    if (!(error instanceof HttpProblem)) throw error;
    if (error.status === 403) this.dispatchEvent(new Event("forbidden"));
    const what = `${this.#named(ids)}: not ${past(deed)}.`;
    const text = typed(deed);
    const again = { label: "Try again", run: () => void this.perform(deed, ids, versions, key) };
    const edit = text ? { label: "Edit again", run: () => this.ask?.(deed.action === "status" ? deed.status : "comment", ids, null, text) } : undefined;
    const passes = [0, 401, 429].includes(error.status) || error.status >= 500;
    const action = passes ? again : edit;
    this.#toast(`${what} ${error.words}`, { kind: "refused", ...(action && { action }) });
  }

  /** Take back the acknowledgements that are the operator's own: who was first stays. @param {readonly number[]} ids */
  #takeBack(ids) {
    const by = (/** @type {number} */ id) => this.#store.items.get(id)?.shown.acknowledged_by ?? null;
    const own = ids.filter((id) => by(id) === this.#name());
    const others = ids.filter((id) => by(id) !== null && !own.includes(id));
    if (own.length) void this.unacknowledge(own);
    if (others.length) this.#toast(`${this.#named(others)} left as acknowledged by others.`);
    else if (!own.length) this.#toast(`Nothing to undo: ${this.#named(ids)} ${ids.length === 1 ? "is" : "are"} not acknowledged any more.`);
  }

  /**
   * Why it would change none of them.
   * @param {Deed} deed
   * @param {readonly number[]} ids
   */
  #why(deed, ids) {
    const [shown, ...others] = ids.map((id) => this.#store.items.get(id)?.shown);
    if (deed.action === "acknowledge" && shown?.acknowledged_at && !others.length) return `${shown.ticket_no} is acknowledged by ${shown.acknowledged_by ?? "somebody"}`;
    return `${this.#named(ids)} cannot be ${past(deed)}`;
  }

  /** "A#1", or "12 tickets" @param {readonly number[]} ids */
  #named(ids) {
    if (ids.length !== 1) return `${ids.length} tickets`;
    return this.#store.items.get(/** @type {number} */ (ids[0]))?.shown.ticket_no ?? "The ticket";
  }
}
