// The side panel: one ticket in full, what happened to it, and who received each event. What is typed in it and where
// it is scrolled stay through every update.

import { html, nothing, render } from "lit/html.js";
import { keyed } from "lit/directives/keyed.js";
import { live } from "lit/directives/live.js";
import { repeat } from "lit/directives/repeat.js";
import { number } from "./activity.js";
import { isUnacknowledged } from "./filter.js";
import { HttpProblem } from "./http.js";
import { levelMark, statusMark } from "./marks.js";
import { PanelSource } from "./panel-source.js";
import { part } from "./page.js";
import { Receipts, receiptsView } from "./receipts.js";
import { refusalLine } from "./refusal-line.js";
import { soon } from "./soon.js";
import { entryView, keyOf } from "./timeline.js";
import { isOpen } from "./store.js";
import { age } from "./times.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./sighting-pages.js").Sighting} Sighting */

const DRAW_MS = 80;
const AGE_MS = 10_000;
const PHONE = "(max-width: 720px)";

/** @param {PageState} page */
export function startPanel(page) {
  const root = part("panel");
  const phone = matchMedia(PHONE);
  /** @type {Map<number, string>} what was typed about a ticket and not sent */
  const drafts = new Map();
  /** @type {Map<number, {text: string, key: string}>} what was sent about a ticket and may have been taken: sent again, it is done once */
  const unsettled = new Map();
  /** @type {PanelSource | null} */
  let source = null;
  const receipts = new Receipts(page.http);
  let sending = false;
  let refusal = "";
  const drawSoon = soon(draw, DRAW_MS);
  let wasOpened = page.opened;

  function opened() {
    const id = page.wall ? null : page.opened;
    if (source?.id === id) return;
    source?.end();
    source = null;
    refusal = "";
    if (id !== null) {
      source = new PanelSource(page, id);
      source.addEventListener("change", drawSoon);
      source.start();
    }
    draw();
    cover();
    root.scrollTop = 0;
    if (id !== null) root.querySelector("h2")?.focus({ preventScroll: true });
    else if (wasOpened !== null) returnTo(wasOpened);
    wasOpened = id;
  }

  /** On a phone the panel covers the page, so nothing behind it can be reached. */
  function cover() {
    for (const behind of document.querySelectorAll(".bar, .notice, #floods, #away, .tools, .columns > main, .activity")) /** @type {HTMLElement} */ (behind).inert = phone.matches && source !== null;
  }

  /** @param {number} id  whose row gets the focus */
  function returnTo(id) {
    const row = part("list-view").querySelector(`tr[data-ticket="${id}"] [data-open]`);
    if (row instanceof HTMLElement) row.focus({ preventScroll: true });
  }

  const shut = () => page.open(null);

  function draw() {
    root.hidden = source === null;
    render(source === null ? nothing : keyed(source.id, view(source)), root);
  }

  /** @param {PanelSource} shown */
  function view(shown) {
    const { ticket, gone, trouble, full } = shown;
    return html`
      <header class="panel-head">
        <h2 tabindex="-1">${ticket ? html`<bdi>${ticket.ticket_no}</bdi>` : "Ticket"}</h2>
        <button class="quiet" id="close-panel" aria-label="Close the ticket" aria-keyshortcuts="Escape" @click=${shut}>Close</button>
      </header>
      ${gone ? html`<p class="gone" role="alert">${gone}</p>` : nothing}
      ${trouble ? html`<p class="refusal" role="alert">${trouble} <button @click=${() => void shown.refresh()}>Try again</button></p>` : nothing}
      ${ticket ? head(ticket, full) : trouble || gone ? nothing : html`<p class="muted">Loading</p>`}
      ${ticket && page.mayWrite && !gone ? [actions(ticket), refused(ticket), commentBox(ticket)] : nothing}
      ${ticket ? [related(shown), timeline(shown)] : nothing}
    `;
  }

  /**
   * @param {Ticket} ticket
   * @param {string | null} full  the whole description, once it is known
   */
  function head(ticket, full) {
    const { times } = page;
    const acknowledged = ticket.acknowledged_at && Date.parse(ticket.acknowledged_at);
    /** @param {string} at */
    const when = (at) => html`<time datetime=${at}>${times.full(Date.parse(at))}</time> <span class="muted">${age(Date.now() - Date.parse(at))} ago</span>`;
    return html`<p class="panel-marks">${statusMark(ticket.status)} ${levelMark(ticket.priority)}</p>
      <p class="panel-description" tabindex="0"><bdi>${full ?? ticket.description}</bdi></p>
      <dl class="facts">
        <dt>Site</dt><dd><bdi>${ticket.site_name}</bdi></dd>
        <dt>Assigned to</dt><dd>${ticket.assigned_to === null ? html`<span class="muted">nobody</span>` : html`<bdi>${ticket.assigned_to}</bdi>`}</dd>
        ${acknowledged ? html`<dt>Acknowledged</dt><dd>by <bdi>${ticket.acknowledged_by ?? "somebody"}</bdi>, ${times.full(acknowledged)} ${takeBack(ticket)}</dd>` : nothing}
        <dt>Opened</dt><dd>${when(ticket.created_at)}</dd>
        <dt>Changed</dt><dd>${when(ticket.updated_at)}</dd>
      </dl>`;
  }

  /** @param {Ticket} ticket */
  function takeBack({ id, status }) {
    const back = () => {
      /** @type {HTMLElement | null} */ (root.querySelector("h2"))?.focus(); // the button goes with it
      void page.actions?.unacknowledge([id]);
    };
    return page.actions && page.mayWrite && status === "NEW" ? html`<button class="quiet" @click=${back}>Take back</button>` : nothing;
  }

  /** @param {Ticket} ticket */
  function actions(ticket) {
    if (page.actions === null) return nothing;
    const { acknowledge, assign, status, resolve } = page.actions;
    /** @param {string} label @param {import("./page.js").Deed} deed */
    const button = (label, deed) => html`<button @click=${(/** @type {Event} */ { currentTarget }) => deed([ticket.id], /** @type {Element} */ (currentTarget))}>${label}</button>`;
    // When somebody else is faster, what is under the pointer does nothing, rather than the contrary.
    const given = !isUnacknowledged(ticket);
    return html`<p class="panel-actions">
      ${ticket.status === "NEW" ? html`<button aria-disabled=${given} @click=${() => given || acknowledge([ticket.id])}>${given ? "Acknowledged" : "Acknowledge"}</button>` : nothing}
      ${isOpen(ticket.status) ? button("Assign", assign) : nothing} ${button("Status", status)}
      ${isOpen(ticket.status) && ticket.status !== "RESOLVED" ? button("Resolve", resolve) : nothing}
    </p>`;
  }

  /** What was refused stands in the list, which a phone shows none of beside the panel. @param {Ticket} ticket */
  function refused({ id }) {
    const { actions } = page;
    return actions && phone.matches ? actions.refusals.of(id).map((refusal) => html`<p class="panel-refused">${refusalLine(actions, refusal)}</p>`) : nothing;
  }

  /** @param {Ticket} ticket */
  function commentBox({ id }) {
    return html`<form class="comment-box" @submit=${(/** @type {SubmitEvent} */ event) => void send(event, id)}>
      <label for="comment">Comment</label>
      <textarea id="comment" rows="2" maxlength="2000" .value=${live(drafts.get(id) ?? "")} @input=${(/** @type {InputEvent} */ { target }) => typed(id, /** @type {HTMLTextAreaElement} */ (target).value)}></textarea>
      ${refusal ? html`<p class="refusal" role="alert">${refusal}</p>` : nothing}
      <button ?disabled=${sending}>Send</button>
    </form>`;
  }

  /** @param {number} id @param {string} text */
  function typed(id, text) {
    drafts.set(id, text);
    if (!text.trim()) unsettled.delete(id); // given up: the same words later are another comment
  }

  /**
   * @param {SubmitEvent} event
   * @param {number} id
   */
  async function send(event, id) {
    event.preventDefault();
    const text = (drafts.get(id) ?? "").trim();
    if (!text || sending) return;
    sending = true;
    refusal = "";
    draw();
    const before = unsettled.get(id);
    const key = before?.text === text ? before.key : crypto.randomUUID();
    unsettled.set(id, { text, key });
    try {
      await page.http.write("POST", `tickets/${id}/comments/`, { text }, key);
      unsettled.delete(id);
      if ((drafts.get(id) ?? "").trim() === text) drafts.delete(id); // else more was typed meanwhile
      if (source?.id === id) void source.refresh();
    } catch (error) {
      if (error instanceof HttpProblem && error.status === 422) unsettled.delete(id); // this key will never do
      if (source?.id === id) refusal = error instanceof HttpProblem ? error.words : String(error);
    }
    sending = false;
    draw();
  }

  /** @param {PanelSource} shown */
  function related({ related: { findings, anomalies } }) {
    if (!findings.length && !anomalies.length) return nothing;
    /** @param {Sighting} sighting @param {unknown} text */
    const line = (sighting, text) =>
      html`<li>${levelMark(sighting.severity)} <span class="what">${text}</span> <time class="muted">${page.times.full(Date.parse(sighting.created_at ?? sighting.detected_at ?? ""))}</time></li>`;
    return html`<section class="related">
      <h3>Seen at this site</h3>
      <ul tabindex="0" aria-label="Seen at this site">
        ${findings.map((each) => line(each, html`<bdi>${each.title}</bdi>`))}
        ${anomalies.map((each) => line(each, html`<bdi>${each.metric}</bdi> is ${number(each.observed)}, expected ${number(each.expected)}`))}
      </ul>
    </section>`;
  }

  /** @param {PanelSource} shown */
  function timeline(shown) {
    const { entries, before } = shown.timeline;
    return html`<section class="timeline">
      <h3>Timeline</h3>
      <ol>
        ${repeat(entries, keyOf, (entry) => entryView(entry, page.times, entry.kind === "event" ? [deadLetter(entry), mayAdmin() ? receiptsView(receipts, entry.seq, page.times, drawSoon) : nothing] : nothing))}
      </ol>
      ${before ? html`<button class="quiet" id="older-entries" @click=${() => void shown.older()}>Load older</button>` : nothing}
    </section>`;
  }

  const mayAdmin = () => page.me?.capabilities.includes("tenant:admin") ?? false;

  /** @param {import("./timeline.js").EventEntry} entry */
  function deadLetter({ dead_letter: letter }) {
    if (!letter) return nothing;
    const text = `Failed event, ${letter.state.toLowerCase()} after ${letter.attempts} ${letter.attempts === 1 ? "attempt" : "attempts"}`;
    return html`<p class="dead-letter">${mayAdmin() ? html`<a href=${`/admin/outbox/deadletter/${letter.id}/change/`}>${text}</a>` : text}: <bdi>${letter.reason}</bdi></p>`;
  }

  page.addEventListener("open", opened);
  page.addEventListener("me", drawSoon);
  page.times.watch(drawSoon);
  page.actions?.addEventListener("change", drawSoon);
  phone.addEventListener("change", () => (cover(), drawSoon()));
  setInterval(() => document.hidden || source === null || draw(), AGE_MS);
  opened();
}
