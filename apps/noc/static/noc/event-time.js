// When an event happened, which may be long before it came: after a night asleep, or by a replay.

/** @typedef {import("./noc-feed.js").EventFrame} EventFrame */

// Of each type there is one of them at most; a ticket that was deleted, moved away or unacknowledged has none.
const MEMBERS = ["updated_at", "acknowledged_at", "written_at", "created_at", "detected_at"];

/**
 * @param {EventFrame} frame
 * @returns {number | null} ms since 1970; null when the frame does not say
 */
export function happenedAt(frame) {
  for (const member of MEMBERS) {
    const at = Date.parse(frame[member]);
    if (!Number.isNaN(at)) return at;
  }
  return null;
}
