// What happened to a ticket, newest first: pages of it put together, and one entry in words.

import { html, nothing } from "lit/html.js";
import { levelMark, statusMark } from "./marks.js";

/** @typedef {{field: string, old: unknown, new: unknown}} FieldChange */
/** @typedef {{id: number, state: string, reason: string, attempts: number}} DeadLetter */
/** @typedef {{kind: "event", seq: number, type: string, at: string, recorded_at: string, actor: string | null, changes: FieldChange[], replay_of: number | null, dead_letter: DeadLetter | null}} EventEntry */
/** @typedef {{kind: "comment", id: number, actor: string | null, status: string | null, text: string, at: string}} CommentEntry */
/** @typedef {EventEntry | CommentEntry} Entry */
/** @typedef {{entries: readonly Entry[], before: string | null}} Entries `before`: where older ones are */
/** @typedef {import("./times.js").Times} Times */

/** @param {Entry} entry */
export const keyOf = (entry) => (entry.kind === "event" ? `event ${entry.seq}` : `comment ${entry.id}`);

/**
 * Put the newest page before what was read earlier. When more happened in between than a page holds,
 * what was read earlier is let go of: it would have a hole.
 * @param {Entries} known
 * @param {Entries} newest
 * @returns {Entries}
 */
export function withNewest(known, newest) {
  const keys = new Set(newest.entries.map(keyOf));
  const rest = known.entries.filter((entry) => !keys.has(keyOf(entry)));
  if (newest.before === null || rest.length === 0 || rest.length === known.entries.length) return newest;
  return { entries: [...newest.entries, ...rest], before: known.before };
}

/**
 * @param {Entries} known
 * @param {Entries} older
 * @returns {Entries}
 */
export function withOlder(known, older) {
  const keys = new Set(known.entries.map(keyOf));
  return { entries: [...known.entries, ...older.entries.filter((entry) => !keys.has(keyOf(entry)))], before: older.before };
}

/** @type {Record<string, string>} */
const DONE = {
  ticket_created: "opened the ticket",
  ticket_updated: "changed the status",
  ticket_edited: "edited the ticket",
  ticket_moved: "moved the ticket",
  ticket_deleted: "deleted the ticket",
  ticket_acknowledged: "acknowledged the ticket",
  ticket_unacknowledged: "took back the acknowledgement",
  ticket_commented: "commented",
};
/** @type {Record<string, string>} */
const FIELD = { status: "Status", priority: "Priority", assigned_to: "Assigned to", site_name: "Site", site: "Site", description: "Description" };

/** @param {string} field */
const fieldName = (field) => FIELD[field] ?? field.replaceAll("_", " ");

/** @param {string} type */
export const done = (type) => DONE[type] ?? type.replaceAll("_", " ");

/**
 * How long an event took into the log: "40 ms", "2.5 s".
 * @param {EventEntry} entry
 */
export function delay({ at, recorded_at }) {
  const ms = Math.max(0, Date.parse(recorded_at) - Date.parse(at));
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toLocaleString(undefined, { maximumFractionDigits: 1 })} s`;
}

/**
 * @param {FieldChange} change
 * @param {unknown} value
 */
function shown({ field }, value) {
  if (value === null || value === "" || value === undefined) return html`<span class="muted">${field === "assigned_to" ? "nobody" : "nothing"}</span>`;
  if (field === "status") return statusMark(String(value));
  if (field === "priority") return levelMark(String(value));
  return html`<bdi class="value">${String(value)}</bdi>`;
}

/**
 * @param {Entry} entry
 * @param {Times} times
 * @param {unknown} more  drawn below an event
 */
export function entryView(entry, times, more) {
  const at = html`<time datetime=${entry.at}>${times.full(Date.parse(entry.at))}</time>`;
  const who = html`<b><bdi>${entry.actor ?? "System"}</bdi></b>`;
  if (entry.kind === "comment")
    return html`<li class="entry comment" data-entry=${keyOf(entry)}>
      <p class="who">${who} <span>${entry.status ? "noted" : "commented"}</span> ${entry.status ? statusMark(entry.status) : nothing} ${at}</p>
      <p class="said"><bdi>${entry.text}</bdi></p>
    </li>`;
  return html`<li class="entry" data-entry=${keyOf(entry)}>
    <p class="who">${who} <span>${done(entry.type)}</span> ${at}</p>
    ${entry.changes.length && entry.type !== "ticket_commented"
      ? html`<dl class="changes">
          ${entry.changes.map((change) => html`<div><dt>${fieldName(change.field)}</dt><dd>${entry.type === "ticket_created" ? shown(change, change.new) : html`${shown(change, change.old)} <span aria-label="to">→</span> ${shown(change, change.new)}`}</dd></div>`)}
        </dl>`
      : nothing}
    <p class="trail muted">Event ${entry.seq}${entry.replay_of === null || entry.replay_of === undefined ? nothing : html`, a replay of ${entry.replay_of}`} · recorded after ${delay(entry)}</p>
    ${more}
  </li>`;
}
