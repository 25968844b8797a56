// The filter bar: a text, a menu for each dimension, and what is in force as chips that can be taken away.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { CLEARED, chipsOf, levelName, toggled } from "./chips.js";
import { levelMark, statusMark } from "./marks.js";
import { part } from "./page.js";
import { isOpen } from "./store.js";
import { LEVEL, STATUS } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {import("./directory.js").Directory} Directory */

const TYPING_MS = 250;
const MANY = 12; // from here on a menu can be searched
const NOUN = { ticket: "tickets", finding: "findings", anomaly: "anomalies" };

/**
 * @param {PageState} page
 * @param {Directory} directory
 */
export function startFilters(page, directory) {
  if (page.wall) return;
  const root = part("filters");
  let typing = 0;
  /** @type {Record<string, string>} what a menu is searched for */
  const sought = {};

  function draw() {
    root.hidden = page.view === "charts"; // they know no filter
    const { filter, me } = page;
    const tickets = filter.kind === "ticket";
    const chips = chipsOf(filter, (id) => directory.siteName(id));
    const find = `Find ${NOUN[filter.kind]}`;
    render(
      html`<search class="filters">
        <input id="find" type="search" class="find" autocomplete="off" spellcheck="false" maxlength="200" aria-label=${find} aria-keyshortcuts="/" placeholder=${find} @input=${typed} @change=${settle} />
        ${tickets ? menu("Status", filter.status.length, Object.keys(STATUS).filter(isOpen).map((value) => choice(filter.status.includes(value), statusMark(value), () => page.choose({ status: toggled(page.filter.status, value) })))) : nothing}
        ${menu(levelName(filter), filter.priority.length, Object.keys(LEVEL).map((value) => choice(filter.priority.includes(value), levelMark(value), () => page.choose({ priority: toggled(page.filter.priority, value) }))))}
        ${menu("Site", filter.site.length, among("site", directory.sites, (site) => `${site.name} ${site.code}`, (site) => choice(filter.site.includes(site.id), site.name, () => page.choose({ site: toggled(page.filter.site, site.id) }))))}
        ${tickets ? menu("Assigned to", filter.assignee ? 1 : 0, assignees(filter, me?.user.name ?? "")) : nothing}
        ${chips.length
          ? html`<ul class="chips" aria-label="Filters in force">
                ${repeat(
                  chips,
                  ({ name, value }) => `${name}\n${value}`,
                  ({ name, value, without }) =>
                    html`<li><button class="chip" aria-label=${`Remove filter ${name}: ${value}`} @click=${() => drop(without)}><span class="muted">${name}</span> <bdi>${value}</bdi> <span aria-hidden="true">×</span></button></li>`,
                )}
              </ul>
              <button class="quiet" id="clear-filters" @click=${() => drop(CLEARED)}>Clear all</button>`
          : nothing}
      </search>`,
      root,
    );
    const field = find_();
    if (!typing && field.value.trim() !== filter.q.trim()) field.value = filter.q;
  }

  /**
   * @param {Filter} filter
   * @param {string} me
   */
  function assignees(filter, me) {
    /** @param {string} value @param {unknown} label */
    const one = (value, label) =>
      html`<label><input type="radio" name="assignee" .checked=${filter.assignee === value} @change=${() => page.choose({ assignee: value })} /> <bdi>${label}</bdi></label>`;
    const rest = directory.members.filter((member) => member.name !== me);
    return html`${one("", "Everybody")}${one("-", "Nobody")}${me ? one(me, `Me (${me})`) : nothing}${among("assignee", rest, (member) => member.name, (member) => one(member.name, member.name))}`;
  }

  /**
   * The entries of a menu; when they are many, those that are sought.
   * @template {{id: number}} T
   * @param {string} name
   * @param {readonly T[]} entries
   * @param {(entry: T) => string} text
   * @param {(entry: T) => unknown} shown
   */
  function among(name, entries, text, shown) {
    const words = (sought[name] ?? "").toLowerCase();
    const found = entries.filter((entry) => text(entry).toLowerCase().includes(words));
    return html`${directory.trouble ? html`<p class="refusal">${directory.trouble}</p>` : nothing}
    ${entries.length > MANY ? html`<input type="search" aria-label=${`Find ${name}`} placeholder="Find" @input=${(/** @type {InputEvent} */ { target }) => ((sought[name] = /** @type {HTMLInputElement} */ (target).value), draw())} />` : nothing}
    ${repeat(found, (entry) => entry.id, shown)}`;
  }

  /**
   * @param {string} name
   * @param {number} chosen
   * @param {unknown} body
   */
  const menu = (name, chosen, body) =>
    html`<details class="menu" @toggle=${() => void directory.refresh()}>
      <summary class="button">${name}${chosen ? html` <b>${chosen}</b>` : nothing}</summary>
      <fieldset class="menu-body"><legend class="visually-hidden">${name}</legend>${body}</fieldset>
    </details>`;

  /**
   * @param {boolean} checked
   * @param {unknown} label
   * @param {() => void} change
   */
  const choice = (checked, label, change) => html`<label><input type="checkbox" .checked=${checked} @change=${change} /> <bdi>${label}</bdi></label>`;

  const find_ = () => /** @type {HTMLInputElement} */ (part("find"));

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(settle, TYPING_MS);
  }

  function settle() {
    clearTimeout(typing);
    typing = 0;
    if (find_().value.trim() !== page.filter.q.trim()) page.choose({ q: find_().value }, page.view, { typing: true });
  }

  /** @param {Partial<Filter>} changes */
  function drop(changes) {
    clearTimeout(typing);
    typing = 0;
    page.choose(changes);
    if (!root.contains(document.activeElement)) find_().focus(); // the chip that was pressed is gone
  }

  page.addEventListener("filter", draw);
  page.addEventListener("me", draw);
  directory.addEventListener("change", draw);
  draw();
  if (page.filter.site.length) void directory.refresh();
}
