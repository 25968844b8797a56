// The deeds that the server refused for what had become of their tickets. Each stays beside its ticket, with what was
// typed for it, until it is done anyway, asked for anew, or left.

import { past, typed, wish } from "./deeds.js";
import { levelWord, statusWord } from "./words.js";

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./deeds.js").Deed} Deed */
/**
 * @typedef {object} Refusal
 * @property {number} id  of the ticket
 * @property {Deed} deed
 * @property {string} ticketNo
 * @property {string | null} by  who changed it
 * @property {number | null} at  when, ms since 1970
 * @property {Ticket} present  as the server says it is
 * @property {boolean} possible  it can be done anyway
 */

/** @type {readonly Refusal[]} one array for all: what is drawn again is told by identity */
const NONE = [];

export class Refusals {
  /** @type {Map<number, readonly Refusal[]>} by ticket, oldest first */
  #byTicket = new Map();

  /** How many tickets have any. */
  get size() {
    return this.#byTicket.size;
  }

  /** Those of a ticket: the same array as long as nothing came or went. @param {number} id */
  of(id) {
    return this.#byTicket.get(id) ?? NONE;
  }

  all() {
    return [...this.#byTicket.values()].flat();
  }

  /** @param {Refusal} refusal */
  add(refusal) {
    this.replace(refusal.id, refusal.deed);
    this.#byTicket.set(refusal.id, [...this.of(refusal.id), refusal]);
  }

  /**
   * Take away what the deed stands for now: those of its kind, but none with another text, which nobody else keeps.
   * @param {number} id
   * @param {Deed} deed
   */
  replace(id, deed) {
    this.#keep(id, (old) => old.deed.action !== deed.action || (typed(old.deed) !== "" && typed(old.deed) !== typed(deed)));
  }

  /** @param {Refusal} refusal */
  remove(refusal) {
    this.#keep(refusal.id, (old) => old !== refusal);
  }

  /**
   * @param {number} id
   * @param {(refusal: Refusal) => boolean} stays
   */
  #keep(id, stays) {
    const before = this.of(id);
    const left = before.filter(stays);
    if (left.length === before.length) return;
    if (left.length) this.#byTicket.set(id, left);
    else this.#byTicket.delete(id);
  }
}

/**
 * What is told beside the ticket.
 * @param {Refusal} refusal
 * @param {string} ago  "3 s ago", "" when it is not known
 */
export function refusalWords({ deed, by, present, possible }, ago) {
  const changed = `Changed by ${by ?? "somebody"}${ago && ` ${ago}`}`;
  const now = `now ${statusWord(present.status)}, ${levelWord(present.priority)}, assigned to ${present.assigned_to ?? "nobody"}`;
  return `${changed}: ${now}. ${possible ? `You wanted to ${wish(deed)}.` : `It cannot be ${past(deed)} any more.`}`;
}
