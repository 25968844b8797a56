// The list beside the table: what happened, newest first, findings and anomalies among it.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { happenedAt } from "./event-time.js";
import { levelMark, statusMark } from "./marks.js";
import { part } from "./page.js";
import { soon } from "./soon.js";
import { statusWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./noc-feed.js").EventFrame} EventFrame */

const KEPT = 60;
const DRAW_MS = 250;

/** @param {PageState} page */
export function startActivity(page) {
  /** @type {{frame: EventFrame, at: number}[]} */
  let entries = [];
  const drawSoon = soon(draw, DRAW_MS);

  function draw() {
    part("activity-zone").textContent = page.times.zoneName;
    render(
      html`${entries.length ? nothing : html`<p class="muted">Changes appear here as they happen.</p>`}
        <ol id="activity">
          ${repeat(entries, ({ frame }) => frame.seq, ({ frame, at }) => html`<li data-seq=${frame.seq}><time class="muted" datetime=${new Date(at).toISOString()} title=${page.times.full(at)}>${page.times.clock(at)}</time><span class="what">${what(frame)}</span></li>`)}
        </ol>`,
      part("activity-pane"),
    );
  }

  page.feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail: { frame } }) => {
    if (!concerns(page, frame)) return;
    entries = [{ frame, at: happenedAt(frame) ?? Date.now() }, ...entries.slice(0, KEPT - 1)];
    drawSoon();
  });
  page.addEventListener("filter", () => {
    entries = entries.filter(({ frame }) => concerns(page, frame));
    drawSoon();
  });
  page.times.watch(drawSoon);
  draw();
}

/**
 * Whether the filter lets the event be told: by its site, its level, and by its kind unless tickets are shown.
 * @param {PageState} page
 * @param {EventFrame} frame
 */
function concerns({ filter }, frame) {
  const level = frame.priority ?? frame.severity;
  return (
    (filter.kind === "ticket" || frame.type.startsWith(filter.kind)) &&
    (filter.site.length === 0 || frame.site_id === undefined || filter.site.includes(frame.site_id)) &&
    (filter.priority.length === 0 || level === undefined || filter.priority.includes(level))
  );
}

/**
 * One event in words.
 * @param {EventFrame} frame
 */
export function what(frame) {
  const ticket = html`<b>${frame.ticket_no}</b>`;
  const where = frame.site_name ? html`<span class="muted"> · ${frame.site_name}</span>` : nothing;
  switch (frame.type) {
    case "ticket_updated":
      return html`${ticket} <span class="muted">${statusWord(frame.old_status)} → </span>${statusMark(frame.new_status)}`;
    case "ticket_created":
      return html`${ticket} opened ${levelMark(frame.priority)}`;
    case "ticket_edited":
      return html`${ticket} edited`;
    case "ticket_moved":
      return html`${ticket} ${frame.status === undefined ? "moved away" : `moved to ${frame.site_name ?? "no site"}`}`;
    case "ticket_deleted":
      return html`${ticket} deleted`;
    case "ticket_acknowledged":
      return html`${ticket} acknowledged by ${frame.acknowledged_by ?? "somebody"}`;
    case "ticket_unacknowledged":
      return html`${ticket} is unacknowledged again`;
    case "ticket_commented":
      return html`${ticket} ${frame.author ?? "somebody"}: <q>${frame.text}</q>`;
    case "finding_created":
      return html`${levelMark(frame.severity)} finding: ${frame.title}${where}`;
    case "anomaly_detected":
      return html`${levelMark(frame.severity)} anomaly: ${frame.metric} is ${number(frame.observed)}, expected ${number(frame.expected)}${where}`;
    case "event_failed":
      return html`<span class="refusal">One event could not be shown (${frame.event_type})</span>`;
  }
  return frame.type;
}

/** @param {unknown} value */
export const number = (value) => (typeof value === "number" ? Number(value.toPrecision(4)).toLocaleString() : "unknown");
