// Flood mode: the unacknowledged tickets of a group that is in flood are one line of the list, and a banner says so and
// acknowledges them together. Nothing is left out of any count.

import { isUnacknowledged } from "./filter.js";
import { ABOVE, Floods, WINDOW_MS } from "./flood.js";
import { alarming } from "./alarm-rules.js";
import { levelMark } from "./marks.js";
import { part } from "./page.js";
import { soon } from "./soon.js";
import { LEVEL } from "./words.js";
import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {{on: boolean, above: number, by: "site" | "kind"}} FloodSettings */

const PREF = "floods";
const LOOK_MS = 5_000;
const DRAW_MS = 300;
const BANNERS = 3; // at most; the list has all groups

/**
 * @param {import("./prefs.js").Prefs} prefs
 * @returns {FloodSettings}
 */
export function floodSettings(prefs) {
  const { on, above, by } = /** @type {Partial<FloodSettings>} */ (prefs.get(PREF, {}));
  return { on: on !== false, above: Number.isInteger(above) && Number(above) >= 2 ? Number(above) : ABOVE, by: by === "kind" ? "kind" : "site" };
}

/**
 * @param {import("./prefs.js").Prefs} prefs
 * @param {Partial<FloodSettings>} changes
 */
export const setFloods = (prefs, changes) => prefs.set(PREF, { ...floodSettings(prefs), ...changes });

/** The group of a ticket. @param {FloodSettings["by"]} by @param {Ticket} ticket */
export const groupOf = (by, ticket) => (by === "kind" ? "tickets" : `site:${ticket.site_id}`);

/** @param {Ticket | null} ticket */
export const standing = (ticket) => ticket && { unacknowledged: isUnacknowledged(ticket), severity: ticket.priority };

/** @param {PageState} page */
export function startFloods(page) {
  const { store, prefs } = page;
  let settings = floodSettings(prefs);
  let floods = new Floods(settings);
  /** @type {Map<string, string>} */
  const labels = new Map();
  /** @type {Set<string>} */
  const opened = new Set();
  /** @type {Set<string>} groups that are being acknowledged */
  const working = new Set();
  const drawSoon = soon(draw, DRAW_MS);
  let loaded = false;

  /**
   * @param {Ticket} ticket
   * @param {number} at  ms since 1970
   */
  function arrived(ticket, at) {
    const group = groupOf(settings.by, ticket);
    labels.set(group, settings.by === "kind" ? "all sites" : (ticket.site_name ?? "no site"));
    floods.arrived(group, Math.min(at, Date.now()));
  }

  /** What is known of tickets without frames: when they were made. */
  function begin() {
    settings = floodSettings(prefs);
    floods = new Floods(settings);
    page.flood = null;
    const since = Date.now() - WINDOW_MS;
    for (const { ticket } of store.items.values()) {
      const at = Date.parse(ticket.created_at);
      if (at > since) arrived(ticket, at);
    }
    look();
    page.dispatchEvent(new Event("flood"));
    drawSoon();
  }

  function look() {
    const { began, ended } = floods.look(Date.now());
    if (began.length || ended.length) tell();
    if (began.length || ended.length || page.flood?.groups.size) drawSoon();
  }

  function tell() {
    const groups = new Map([...floods.groups].map((group) => [group, labels.get(group) ?? group]));
    for (const group of opened) if (!groups.has(group)) opened.delete(group);
    page.flood = settings.on ? { groupOf: (item) => groupOf(settings.by, item.shown), groups, opened, toggle } : null;
    page.dispatchEvent(new Event("flood"));
    drawSoon();
  }

  /** @param {string} group */
  function toggle(group) {
    if (!opened.delete(group)) opened.add(group);
    tell();
    page.list?.order(); // it was asked for, so the list does not wait for the pointer to leave it
  }

  /** What of each flood is still to be acknowledged, among what the page shows. */
  function members() {
    /** @type {Map<string, Item[]>} */
    const found = new Map([...(page.flood?.groups.keys() ?? [])].map((group) => [group, []]));
    for (const item of store.items.values()) {
      if (isUnacknowledged(item.shown) && page.filter.matches(item.shown)) found.get(groupOf(settings.by, item.shown))?.push(item);
    }
    return found;
  }

  /** @param {string} group */
  async function acknowledge(group) {
    const ids = (members().get(group) ?? []).map(({ id }) => id);
    working.add(group);
    draw();
    await page.actions?.acknowledge(ids);
    working.delete(group);
    draw();
  }

  function draw() {
    const all = [...members()].sort(([a, some], [b, others]) => others.length - some.length || floods.rate(b) - floods.rate(a));
    render(
      html`${repeat(all.slice(0, BANNERS), ([group]) => group, ([group, items]) => {
        const levels = Object.keys(LEVEL).map((level) => ({ level, count: items.filter(({ shown }) => shown.priority === level).length }));
        return html`<div class="flood" data-flood=${group}>
          <b>Flood: ${floods.rate(group)} new at ${labels.get(group)} in 10 min</b>
          <span>${items.length ? levels.map(({ level, count }) => (count ? html`<span class="count">${levelMark(level)} ${count}</span>` : nothing)) : html`<span class="muted">all acknowledged</span>`}</span>
          ${items.length
            ? html`<span class="actions">
                <button class="quiet" aria-expanded=${opened.has(group)} @click=${() => toggle(group)}>${opened.has(group) ? "Show as one line" : "Show each"}</button>
                ${page.mayWrite ? html`<button data-acknowledge ?disabled=${working.has(group)} @click=${() => acknowledge(group)}>Acknowledge all ${items.length}</button>` : nothing}
              </span>`
            : nothing}
        </div>`;
      })}${all.length > BANNERS ? html`<div class="flood muted">and ${all.length - BANNERS} more in flood</div>` : nothing}`,
      part("floods"),
    );
  }

  store.addEventListener("replace", (event) => {
    if (!loaded) {
      loaded = true;
      return begin();
    }
    for (const { before, after } of /** @type {CustomEvent<{changes: Change[]}>} */ (event).detail.changes) {
      if (before === null && after !== null) arrived(after, Date.parse(after.created_at));
    }
    look();
  });
  store.addEventListener("change", (event) => {
    const { before, after, frame } = /** @type {CustomEvent<Change>} */ (event).detail;
    if (frame !== null && after !== null && alarming(standing(before), { unacknowledged: isUnacknowledged(after), severity: after.priority })) {
      arrived(after, page.feed.state === "live" ? Date.now() : Date.parse(after.updated_at));
      look();
    } else if (page.flood?.groups.size) drawSoon();
  });
  prefs.watch(PREF, () => {
    if (!loaded) return;
    begin();
    page.list?.order();
  });
  page.addEventListener("filter", drawSoon);
  page.addEventListener("me", drawSoon);
  setInterval(() => loaded && look(), LOOK_MS);
}
