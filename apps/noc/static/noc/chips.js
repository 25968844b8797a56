// The parts of a filter that are in force, each with the filter without it.

import { KINDS } from "./filter.js";
import { levelWord, statusWord } from "./words.js";

/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {{name: string, value: string, without: Partial<Filter>}} Chip */

/** What "clear all" chooses: the kind and the order stay. */
export const CLEARED = Object.freeze({ status: [], priority: [], site: [], assignee: "", acknowledged: null, q: "" });

/** Priority of a ticket, severity of the others. @param {Filter} filter */
export const levelName = (filter) => (filter.kind === "ticket" ? "Priority" : "Severity");

/**
 * @param {Filter} filter
 * @param {(id: number) => string} siteName
 * @returns {Chip[]} only of what counts for the kind that is shown
 */
export function chipsOf(filter, siteName) {
  const tickets = filter.kind === KINDS[0];
  /** @type {Chip[]} */
  const chips = [];
  if (filter.q.trim()) chips.push({ name: "Text", value: filter.q.trim(), without: { q: "" } });
  if (tickets) for (const each of filter.status) chips.push({ name: "Status", value: statusWord(each), without: { status: others(filter.status, each) } });
  for (const each of filter.priority) chips.push({ name: levelName(filter), value: levelWord(each), without: { priority: others(filter.priority, each) } });
  for (const each of filter.site) chips.push({ name: "Site", value: siteName(each), without: { site: others(filter.site, each) } });
  if (tickets && filter.assignee) chips.push({ name: "Assigned to", value: filter.assignee === "-" ? "nobody" : filter.assignee, without: { assignee: "" } });
  if (tickets && filter.acknowledged !== null) chips.push({ name: "Acknowledged", value: filter.acknowledged ? "yes" : "no", without: { acknowledged: null } });
  return chips;
}

/**
 * @template T
 * @param {readonly T[]} values
 * @param {T} value
 */
export const others = (values, value) => values.filter((each) => each !== value);

/**
 * @template T
 * @param {readonly T[]} values
 * @param {T} value
 */
export const toggled = (values, value) => (values.includes(value) ? others(values, value) : [...values, value]);
