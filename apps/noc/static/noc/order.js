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

/** Unacknowledged before all others, then by severity, then the last change first. */
/** @type {(a: Item, b: Item) => number} */
const urgent = (a, b) => unacknowledgedFirst(a, b) || rank(a) - rank(b) || changed(a, b);
/** @type {(a: Item, b: Item) => number} */
const changed = (a, b) => b.order - a.order || b.changed - a.changed || b.id - a.id;
/** @type {(a: Item, b: Item) => number} */
const unacknowledgedFirst = (a, b) => Number(isUnacknowledged(b.shown)) - Number(isUnacknowledged(a.shown));
/** @param {Item} item */
const rank = (item) => RANK.get(item.shown.priority) ?? RANK.size;

const COMPARE = { urgent, changed };

/**
 * @param {Item[]} items  those that match; put into order in place
 * @param {{sort: "urgent" | "changed", flood?: Flood | null}} how
 * @returns {Line[]}
 */
export function arrange(items, { sort, flood = null }) {
  items.sort(COMPARE[sort]);
  if (!flood?.groups.size) return items.map(line);
  /** @type {Map<string, Item[]>} */
  const grouped = new Map();
  /** @type {Line[]} */
  const lines = [];
  /** @type {Map<string, GroupLine>} */
  const heads = new Map();
  for (const item of items) {
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
