// Which of the page's views is shown: links, so that each can be opened in a tab of its own.

import { html, render } from "lit/html.js";
import { part } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./page.js").View} View */
/** @typedef {import("./filter.js").Kind} Kind */

/** @type {{label: string, view: View, kind?: Kind}[]} */
const VIEWS = [
  { label: "Tickets", view: "list", kind: "ticket" },
  { label: "Findings", view: "list", kind: "finding" },
  { label: "Anomalies", view: "list", kind: "anomaly" },
  { label: "Sites", view: "sites" },
  { label: "Charts", view: "charts" },
];

/** @param {PageState} page */
export function startViewsNav(page) {
  /** @param {{view: View, kind?: Kind | undefined}} choice */
  const isShown = ({ view, kind = page.filter.kind }) => page.view === view && page.filter.kind === kind;

  /** @param {{view: View, kind?: Kind | undefined}} choice */
  function hrefOf({ view, kind = page.filter.kind }) {
    const query = page.filter.with({ kind }).toQuery();
    if (view !== "list") query.set("view", view);
    return `?${query}`;
  }

  /** @param {{view: View, kind?: Kind | undefined}} choice */
  const chosen = ({ view, kind = page.filter.kind }) => (/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab or window of its own
    event.preventDefault();
    page.choose({ kind }, view);
  };

  function draw() {
    const { view, filter } = page;
    part("list-view").hidden = view !== "list" || filter.kind !== "ticket";
    part("sightings-view").hidden = view !== "list" || filter.kind === "ticket";
    part("sites-view").hidden = view !== "sites";
    part("charts-view").hidden = view !== "charts";
    document.body.dataset.view = view === "list" ? filter.kind : view;
    if (page.wall) return;
    render(
      html`${VIEWS.map((each) => html`<a href=${hrefOf(each)} aria-current=${isShown(each) ? "page" : "false"} @click=${chosen(each)}>${each.label}</a>`)}`,
      part("views"),
    );
  }

  page.addEventListener("filter", draw);
  draw();
}
