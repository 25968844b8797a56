// The order of the list, and its groups: from the tickets that match to the lines that are drawn.

import { isUnacknowledged } from "./filter.js";
import { LEVEL } from "./words.js";

/** @typedef {import("./store.js").Item} Item */
/** @typedef {{kind: "ticket", key: number, item: Item}} TicketLine */
/**
 * Many new tickets of one group, as one line; opened, its tickets follow it.
 * @typedef {{kind: "group", key: string, group: string, label: string, items: readonly Item[], opened: boolean}} GroupLine
 */
/** @typedef {TicketLine | GroupLine} Line */
/**
 * The groups whose new tickets are shown as one line each.
 * @typedef {object} Flood
 * @property {(item: Item) => string} groupOf
 * @property {ReadonlyMap<string, string>} groups  those in flood: group to label
 * @property {ReadonlySet<string>} opened
 */

const RANK = new Map(Object.keys(LEVEL).map((level, rank) => [level, rank]));
const RANKS = RANK.size + 1; // and one for levels that are not known

/**
 * By what the ticket itself says, never by when the page heard of it: two pages over the same tickets agree.
 * @type {(a: Item, b: Item) => number}
 */
const lastChanged = (a, b) => b.changed - a.changed || b.id - a.id;

/**
 * Unacknowledged before all others, then by severity, then the last change first. What a ticket is worth is
 * looked up once for each, not at each comparison: a sort of 10,000 makes 130,000 of those.
 * @param {readonly Item[]} items
 */
function urgent(items) {
  /** @type {Item[][]} */
  const piles = Array.from({ length: 2 * RANKS }, () => []);
  for (const item of items) {
    const rank = RANK.get(item.shown.priority) ?? RANKS - 1;
    piles[isUnacknowledged(item.shown) ? rank : RANKS + rank]?.push(item);
  }
  return piles.flatMap((pile) => pile.sort(lastChanged));
}

/** @type {Record<"urgent" | "changed", (items: Item[]) => Item[]>} */
const SORT = { urgent, changed: (items) => items.sort(lastChanged) };

/**
 * @param {Item[]} items  those that match, in any order; the array may be put into another
 * @param {{sort: "urgent" | "changed", flood?: Flood | null}} how
 * @returns {Line[]}
 */
export function arrange(items, { sort, flood = null }) {
  const sorted = SORT[sort](items);
  if (!flood?.groups.size) return sorted.map(line);
  /** @type {Map<string, Item[]>} */
  const grouped = new Map();
  /** @type {Line[]} */
  const lines = [];
  /** @type {Map<string, GroupLine>} */
  const heads = new Map();
  for (const item of sorted) {
    const group = isUnacknowledged(item.shown) ? flood.groupOf(item) : "";
    const label = flood.groups.get(group);
    if (label === undefined) {
      lines.push(line(item));
      continue;
    }
    let members = grouped.get(group);
    if (members === undefined) {
      grouped.set(group, (members = []));
      const head = /** @type {GroupLine} */ ({ kind: "group", key: `group:${group}`, group, label, items: members, opened: flood.opened.has(group) });
      heads.set(group, head);
      lines.push(head); // where its first ticket would stand
    }
    members.push(item);
  }
  return lines.flatMap((each) => (each.kind === "group" && each.opened ? [each, ...each.items.map(line)] : [each]));
}

/**
 * @param {Item} item
 * @returns {TicketLine}
 */
const line = (item) => ({ kind: "ticket", key: item.id, item });
