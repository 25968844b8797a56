// The overview of the sites: one tile each, which leads to the tickets of the site.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { levelMark } from "./marks.js";
import { part } from "./page.js";
import { soon } from "./soon.js";
import { tilesOf } from "./site-tiles.js";
import { LEVEL } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./site-tiles.js").Tile} Tile */

const DRAW_MS = 500; // at most this often

/**
 * @param {PageState} page
 * @param {import("./directory.js").Directory} directory
 */
export function startSites(page, directory) {
  const root = part("sites-view");
  const { store } = page;
  const drawSoon = soon(() => page.view === "sites" && !document.hidden && draw(), DRAW_MS);

  function draw() {
    if (page.view !== "sites") return render(nothing, root);
    const { filter } = page;
    const tickets = [...store.items.values()].flatMap(({ shown: ticket, gone }) => (!gone && filter.matches(ticket, "site") ? [ticket] : []));
    const tiles = tilesOf(tickets, directory.sites);
    render(
      html`<ul class="tiles">
          ${repeat(tiles, ({ id }) => id, tile)}
        </ul>
        ${store.loaded && tiles.length === 0 ? html`<p class="empty muted">No site has an open ticket.</p>` : nothing}`,
      root,
    );
  }

  function choice() {
    if (page.view === "sites") directory.refresh(); // it alone knows the sites without a ticket
    draw();
  }

  /** @param {Tile} tile */
  function tile({ id, name, open, unacknowledged, levels, worst }) {
    const query = page.filter.with({ kind: "ticket", site: [id] }).toQuery();
    const known = [...new Set([...Object.keys(LEVEL), ...Object.keys(levels)])].filter((level) => levels[level]);
    return html`<li>
      <a class="tile" data-site=${id} data-worst=${worst ?? "none"} href=${`?${query}`} @click=${(/** @type {MouseEvent} */ event) => choose(event, id)}>
        <span class="name">${name}</span>
        <span class="worst">${worst === null ? html`<span class="muted">Nothing open</span>` : levelMark(worst)}</span>
        ${open ? html`<span class="counts"><b>${open}</b> open${unacknowledged ? html`, <b>${unacknowledged}</b> unacknowledged` : nothing}</span>` : nothing}
        <span class="levels">${known.map((level) => html`<span data-level=${level}>${levelMark(level)} <b>${levels[level]}</b></span>`)}</span>
      </a>
    </li>`;
  }

  /**
   * @param {MouseEvent} event
   * @param {number} id
   */
  function choose(event, id) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab or window of its own
    event.preventDefault();
    page.choose({ kind: "ticket", site: [id] }, "list");
  }

  page.addEventListener("filter", choice);
  store.addEventListener("change", drawSoon);
  store.addEventListener("replace", drawSoon);
  directory.addEventListener("change", drawSoon);
  document.addEventListener("visibilitychange", drawSoon);
  choice();
}
