// The bar above the list while tickets are marked, and what was refused of tickets whose rows are not on the page.

import { html, nothing, render } from "lit/html.js";
import { part } from "./page.js";
import { refusalLine } from "./refusal-line.js";
import { soon } from "./soon.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./actions.js").Actions} Actions */

const DRAW_MS = 120;

/**
 * @param {PageState} page
 * @param {Actions} actions
 */
export function startBulkBar(page, actions) {
  const { selection, store } = page;
  const root = part("bulk");
  const drawSoon = soon(draw, DRAW_MS);

  function draw() {
    const shown = new Set(page.list?.shownIds);
    const elsewhere = actions.refusals.all().filter(({ id }) => !shown.has(id));
    render(html`${selection.size && page.mayWrite ? bar(shown) : nothing}${elsewhere.map((refusal) => html`<div class="elsewhere"><b>${refusal.ticketNo}</b> ${refusalLine(actions, refusal)}</div>`)}`, root);
  }

  /** @param {ReadonlySet<number>} shown */
  function bar(shown) {
    const ids = [...selection.ids];
    const hidden = ids.filter((id) => !shown.has(id)).length;
    /** @param {(ids: readonly number[], anchor: Element) => void} open */
    const asks = (open) => (/** @type {Event} */ event) => open([...selection.ids], /** @type {Element} */ (event.currentTarget));
    return html`<div class="bulk" role="toolbar" aria-label="Marked tickets">
      <span><b>${ids.length.toLocaleString()} marked</b>${hidden ? html` <span class="muted">${hidden} not on this page</span>` : nothing}</span>
      <button @click=${() => actions.acknowledge([...selection.ids])}>Acknowledge</button>
      <button @click=${asks(actions.assign)}>Assign …</button>
      <button @click=${asks(actions.status)}>Status …</button>
      <button @click=${asks(actions.priority)}>Priority …</button>
      <button @click=${asks(actions.note)}>Note …</button>
      <button class="quiet" @click=${() => selection.clear()}>Clear</button>
    </div>`;
  }

  selection.addEventListener("change", drawSoon);
  actions.addEventListener("change", drawSoon);
  store.addEventListener("change", () => (selection.size || actions.refusals.size) && drawSoon());
  page.addEventListener("filter", drawSoon);
  page.addEventListener("me", drawSoon);
  setInterval(() => actions.refusals.size && drawSoon(), 1_000); // "3 s ago"
}
