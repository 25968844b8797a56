// The words that values are shown by.

/** @type {Record<string, string>} */
export const STATUS = { NEW: "New", IN_PROGRESS: "In progress", ON_HOLD: "On hold", RESOLVED: "Resolved", CLOSED: "Closed", CANCELLED: "Cancelled" };
/** Most urgent first. @type {Record<string, string>} */
export const LEVEL = { CRITICAL: "Critical", HIGH: "High", MEDIUM: "Medium", LOW: "Low" };

/**
 * Why the feed is not live. The other reasons are over before anybody has read them.
 * @type {Record<string, string>}
 */
const REASON = {
  lost: "no connection",
  silent: "the server is silent",
  unanswered: "the server does not answer",
  draining: "the server restarts",
  slow: "this page reads too slowly",
  rate: "the server asked for a pause",
  overloaded: "the server is busy",
  unavailable: "the server cannot read its log",
  snapshot: "the tickets cannot be loaded",
};

/** @param {string | undefined} value */
export const reasonWord = (value) => REASON[value ?? ""] ?? "";
/** @param {string} value */
export const statusWord = (value) => STATUS[value] ?? value;
/** @param {string} value */
export const levelWord = (value) => LEVEL[value] ?? value;
