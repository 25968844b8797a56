// The open tickets of each site in a few numbers, the site with most trouble first.

import { isUnacknowledged } from "./filter.js";
import { isOpen } from "./store.js";
import { LEVEL } from "./words.js";

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {{id: number, name: string, open: number, unacknowledged: number, levels: Record<string, number>, worst: string | null}} Tile `worst` null: nothing is open */

const LEVELS = Object.keys(LEVEL);

/**
 * @param {Iterable<Ticket>} tickets
 * @param {Iterable<{id: number, name: string}>} sites  that are shown in any case
 * @returns {Tile[]}
 */
export function tilesOf(tickets, sites) {
  /** @type {Map<number, Tile>} */
  const tiles = new Map();
  /**
   * @param {number} id
   * @param {string} name
   */
  const tile = (id, name) => {
    const found = tiles.get(id) ?? { id, name, open: 0, unacknowledged: 0, levels: {}, worst: null };
    tiles.set(id, found);
    return found;
  };
  for (const { id, name } of sites) tile(id, name);
  for (const ticket of tickets) {
    if (!isOpen(ticket.status)) continue;
    const at = tile(ticket.site_id, ticket.site_name ?? `Site ${ticket.site_id}`);
    at.open += 1;
    if (isUnacknowledged(ticket)) at.unacknowledged += 1;
    at.levels[ticket.priority] = (at.levels[ticket.priority] ?? 0) + 1;
  }
  for (const each of tiles.values()) each.worst = LEVELS.find((level) => each.levels[level]) ?? Object.keys(each.levels)[0] ?? null;
  return [...tiles.values()].sort(byTrouble);
}

/**
 * First by how many critical ones there are, then by the high ones, and so on.
 * @param {Tile} a
 * @param {Tile} b
 */
function byTrouble(a, b) {
  for (const level of LEVELS) {
    const more = (b.levels[level] ?? 0) - (a.levels[level] ?? 0);
    if (more) return more;
  }
  return b.unacknowledged - a.unacknowledged || b.open - a.open || a.name.localeCompare(b.name);
}
