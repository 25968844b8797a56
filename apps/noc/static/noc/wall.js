// The wallboard: what a room reads from five metres. No controls; what does not fit is counted.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { isUnacknowledged } from "./filter.js";
import { levelMark, statusMark } from "./marks.js";
import { arrange } from "./order.js";
import { part } from "./page.js";
import { soon } from "./soon.js";
import { isTrusted, stateWord } from "./state-line.js";
import { isOpen } from "./store.js";
import { age } from "./times.js";
import { LEVEL, STATUS, reasonWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./order.js").Line} Line */
/** @typedef {{name: string, open: number, unacknowledged: number, worst: string}} Site */

const DRAW_MS = 500;
const SHIFT_MS = 60_000;
const IDLE_MS = 5_000;
const MOST = 20; // rows
const TILES = 12;
/** Where the picture stands, minute by minute, in pixels: no edge stays on the same ones. */
const SHIFTS = [[0, 0], [3, 1], [5, 4], [3, 6], [0, 5], [-3, 6], [-5, 3], [-4, -1], [-1, -3]];
const LEVELS = Object.keys(LEVEL);
const OPEN = Object.keys(STATUS).filter(isOpen);

/**
 * @param {PageState} page
 * @param {{byToken: boolean}} options  whether it has a token instead of a session
 */
export function startWall(page, { byToken }) {
  const { store, feed, times } = page;
  const { body } = document;
  const root = document.createElement("main");
  root.id = "wall";
  body.append(root);
  body.dataset.wall = "true";
  const login = `/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
  const drawSoon = soon(draw, DRAW_MS);
  let shift = 0;
  let idle = 0;

  function draw() {
    const items = [...store.items.values()].filter(({ shown }) => isOpen(shown.status) && page.filter.matches(shown));
    const flood = page.flood && { ...page.flood, opened: new Set() };
    const lines = arrange(items, { sort: "urgent", flood });
    const fit = rowsThatFit();
    const sites = sitesOf(items);
    render(
      html`<div class="figures">
          ${LEVELS.map((level) => {
            const of = items.filter(({ shown }) => shown.priority === level);
            const count = of.filter(({ shown }) => isUnacknowledged(shown)).length;
            return html`<div class="figure" data-level=${level} ?data-some=${count > 0}><b>${count}</b>${levelMark(level)}<small>unacknowledged of ${of.length}</small></div>`;
          })}
          ${OPEN.map((status) => html`<div class="figure" data-status=${status}><b>${items.filter(({ shown }) => shown.status === status).length}</b>${statusMark(status)}</div>`)}
        </div>
        <div class="body">
          <section class="rows" aria-label="Tickets">
            ${repeat(lines.slice(0, fit), (line) => line.key, row)}
            ${lines.length > fit ? html`<p class="more">and ${(lines.length - fit).toLocaleString()} more</p>` : nothing}
            ${store.loaded && lines.length === 0 ? html`<p class="none">No open tickets</p>` : nothing}
          </section>
          <section class="tiles" aria-label="Sites">
            ${sites.slice(0, TILES).map((site) => html`<div class="tile" data-worst=${site.worst}><span class="name">${site.name}</span><b>${site.unacknowledged}</b><small>unacknowledged of ${site.open} open</small></div>`)}
            ${sites.length > TILES ? html`<p class="more">and ${sites.length - TILES} more sites</p>` : nothing}
          </section>
        </div>
        ${isTrusted(feed) ? nothing : html`<div class="untrusted" role="alert"><b>${headline()}</b><span>${advice()}</span>${feed.state === "signed-out" && !byToken ? html`<a href=${login}>Sign in</a>` : nothing}</div>`}`,
      root,
    );
    tick();
  }

  /** How many lines the rows have room for, by the height that one is drawn with. */
  function rowsThatFit() {
    const rows = root.querySelector(".rows");
    if (rows === null) return MOST;
    const one = parseFloat(getComputedStyle(root).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
    return Math.max(1, Math.min(MOST, Math.floor(rows.clientHeight / one) - 1));
  }

  /** @param {Line} line */
  function row(line) {
    if (line.kind === "group") {
      const counts = LEVELS.map((level) => ({ level, count: line.items.filter(({ shown }) => shown.priority === level).length }));
      return html`<div class="row group" data-group=${line.group}><b>Flood: ${line.items.length} new at ${line.label}</b>${counts.map(({ level, count }) => (count ? html`<span>${levelMark(level)} ${count}</span>` : nothing))}</div>`;
    }
    const { id, shown, changed } = line.item;
    return html`<div class="row" data-ticket=${id} data-priority=${shown.priority} ?data-unacknowledged=${isUnacknowledged(shown)}>
      ${levelMark(shown.priority)}<span class="site">${shown.site_name}</span><span class="text">${shown.description}</span>${statusMark(shown.status)}<span class="age" title=${times.full(changed)}>${age(Date.now() - changed)}</span>
    </div>`;
  }

  function headline() {
    if (feed.state === "signed-out") return byToken ? "Token revoked" : "Signed out";
    return feed.state === "stopped" ? `Stopped since ${times.clockWithZone(feed.since)}` : stateWord(feed, times);
  }

  function advice() {
    if (feed.state === "signed-out") return byToken ? "The token of this wall is not valid any more. Make one for a wall in your account, and open its address here." : "Sign in on this browser, or open the address of a wallboard here. It carries a token, and is made in your account.";
    return [reasonWord(feed.reason), feed.state === "catching-up" ? "what you see is being made current" : "what you see does not change"].filter(Boolean).join(": ");
  }

  /** Twice for each second, so that none is left out. */
  function tick() {
    const now = times.clockWithZone(Date.now());
    if (part("clock").textContent !== now) part("clock").textContent = now;
  }

  function hideCursor() {
    delete body.dataset.idle;
    clearTimeout(idle);
    idle = setTimeout(() => (body.dataset.idle = "true"), IDLE_MS);
  }

  store.addEventListener("change", drawSoon);
  store.addEventListener("replace", drawSoon);
  page.addEventListener("flood", drawSoon);
  page.addEventListener("me", () => {
    const name = page.me?.tenant?.name;
    const tenant = document.querySelector(".tenant");
    if (name && tenant) tenant.textContent = name;
    drawSoon();
  });
  feed.addEventListener("state", draw);
  addEventListener("resize", draw);
  addEventListener("pointermove", hideCursor, { passive: true });
  setInterval(tick, 500);
  setInterval(draw, 5_000);
  setInterval(() => {
    shift = (shift + 1) % SHIFTS.length;
    const [x, y] = SHIFTS[shift];
    body.style.setProperty("--shift-x", `${x}px`);
    body.style.setProperty("--shift-y", `${y}px`);
    body.dataset.shift = String(shift);
  }, SHIFT_MS);
  hideCursor();
  draw();
  requestAnimationFrame(draw); // now that it is known how much fits
}

/**
 * The sites of the tickets, the worst first.
 * @param {Item[]} items
 * @returns {Site[]}
 */
function sitesOf(items) {
  /** @type {Map<number, Site & {rank: number}>} */
  const sites = new Map();
  for (const { shown } of items) {
    let site = sites.get(shown.site_id);
    if (site === undefined) sites.set(shown.site_id, (site = { name: shown.site_name ?? "no site", open: 0, unacknowledged: 0, worst: "", rank: LEVELS.length }));
    site.open += 1;
    if (!isUnacknowledged(shown)) continue;
    site.unacknowledged += 1;
    const rank = LEVELS.indexOf(shown.priority);
    if (rank >= 0 && rank < site.rank) {
      site.rank = rank;
      site.worst = shown.priority;
    }
  }
  return [...sites.values()].sort((a, b) => a.rank - b.rank || b.unacknowledged - a.unacknowledged || b.open - a.open || a.name.localeCompare(b.name));
}
