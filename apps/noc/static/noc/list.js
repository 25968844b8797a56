// The table of tickets. Rows change in place; they change places only when nobody is at work on the list: while the
// pointer or the keyboard is on it, rows are marked, it is scrolled or a menu is open, what is new waits behind a button.

import { html, nothing, render } from "lit/html.js";
import { guard } from "lit/directives/guard.js";
import { repeat } from "lit/directives/repeat.js";
import { isUnacknowledged } from "./filter.js";
import { levelMark, statusMark } from "./marks.js";
import { arrange } from "./order.js";
import { part } from "./page.js";
import { refusalLine } from "./refusal-line.js";
import { isOpen } from "./store.js";
import { age } from "./times.js";
import { LEVEL, levelWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./order.js").Line} Line */
/** @typedef {import("./order.js").GroupLine} GroupLine */
/** @typedef {import("./order.js").TicketLine} TicketLine */

export const SHOWN = 300; // rows in the page at most
const DRAW_MS = 120; // at most this often is the table patched
const ORDER_MS = 800; // at most this often do rows change places, or is it asked whether they may
const RELEASE_MS = 600; // the pointer may slip off the list for this long
const CURSOR_MS = 10_000; // for so long after j or k is the keyboard at work on the list
const AGE_MS = 5_000;
const FLASH_MS = 2_500; // as long as the animations of noc.css
const SCROLLED_PX = 60;
const COLUMNS = 9;

/** @param {PageState} page */
export function startList(page) {
  return new List(page, part("list-view"));
}

export class List {
  #page;
  #root;
  /** @type {Line[]} the whole list as it was ordered last */
  #lines = [];
  #first = 0; // of the lines that are drawn
  /** @type {Map<number, TicketLine | null>} the lines of `#lines` by ticket; null of those inside closed groups */
  #placed = new Map();
  /** @type {Set<number>} ids that wait: they match and have no place yet */
  #waiting = new Set();
  #unsorted = false; // something moved while the order was held
  #hovered = false;
  /** @type {number | null} */
  #cursor = null;
  #cursorAt = -CURSOR_MS;
  #drawnAt = 0;
  #orderedAt = 0;
  #scrolled = false; // asked of the page, this would lay it out anew whenever something was drawn
  #drawTimer = 0;
  #orderTimer = 0;
  #orderDue = false;
  #frame = 0;
  #releaseTimer = 0;
  #tick = 0;

  /**
   * @param {PageState} page
   * @param {HTMLElement} root
   */
  constructor(page, root) {
    this.#page = page;
    this.#root = root;
    const { store, selection } = page;
    store.addEventListener("change", (event) => this.#changed(/** @type {CustomEvent<Change>} */ (event).detail));
    store.addEventListener("replace", (event) => {
      if (!this.#placed.size) return this.order();
      for (const change of /** @type {CustomEvent<{changes: Change[]}>} */ (event).detail.changes) this.#changed(change);
      this.#orderSoon();
    });
    selection.addEventListener("change", () => this.#selected());
    page.actions?.addEventListener("change", () => this.#redraw());
    page.addEventListener("hold", () => this.#orderSoon());
    page.times.watch(() => this.#redraw());
    page.addEventListener("filter", () => {
      this.#first = 0;
      this.order();
    });
    page.addEventListener("me", () => this.#redraw());
    page.addEventListener("open", () => this.#drawSoon());
    page.addEventListener("flood", () => this.#orderSoon());
    root.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && this.#hover(true));
    root.addEventListener("pointerleave", () => this.#hover(false));
    root.addEventListener("focusout", () => setTimeout(() => this.#orderSoon())); // when the focus has come to where it goes
    addEventListener("scroll", () => this.#scrolledTo(scrollY), { passive: true });
    document.addEventListener("visibilitychange", () => document.hidden || this.#orderSoon());
    setInterval(() => document.hidden || this.#redraw(), AGE_MS);
    setInterval(() => page.actions?.refusals.size && this.#redraw(), 1_000); // "3 s ago"
    this.draw();
  }

  /** The tickets that are drawn, from the top. */
  get shownIds() {
    return this.#window.flatMap((line) => (line.kind === "ticket" ? [line.item.id] : []));
  }

  /** The ticket that comes after those that are drawn, or before them. @param {1 | -1} by @returns {number | undefined} */
  beyond(by) {
    for (let at = by > 0 ? this.#first + SHOWN : this.#first - 1; at >= 0 && at < this.#lines.length; at += by) {
      const line = this.#lines[at];
      if (line.kind === "ticket") return line.item.id;
    }
  }

  /** Put everything into its order, and let in what waits. */
  order() {
    clearTimeout(this.#orderTimer);
    this.#orderTimer = 0;
    this.#orderedAt = performance.now();
    const { store, filter, flood } = this.#page;
    const matching = [];
    for (const item of store.items.values()) if (filter.matches(item.shown)) matching.push(item);
    this.#placed = new Map(matching.map((item) => [item.id, null]));
    this.#lines = arrange(matching, { sort: filter.sort, flood });
    for (const line of this.#lines) if (line.kind === "ticket") this.#placed.set(line.item.id, line);
    this.#waiting.clear();
    this.#unsorted = false;
    if (this.#first >= this.#lines.length) this.#first = Math.max(0, Math.floor((this.#lines.length - 1) / SHOWN) * SHOWN);
    this.draw();
  }

  /** Draw the page of lines on which the ticket is, and scroll to it. @param {number} id */
  reveal(id) {
    const at = this.#lines.findIndex((line) => line.kind === "ticket" && line.item.id === id);
    if (at < 0) return;
    this.#first = Math.floor(at / SHOWN) * SHOWN;
    this.draw();
    this.#root.querySelector(`tr[data-ticket="${id}"]`)?.scrollIntoView({ block: "nearest" });
  }

  /** Patch the table now. */
  draw() {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = 0;
    this.#drawnAt = performance.now();
    const focused = document.activeElement;
    const row = this.#root.contains(focused) ? focused?.closest("tr[data-ticket]")?.getAttribute("data-ticket") : null;
    render(this.#view(), this.#root);
    if (!(focused instanceof HTMLElement) || focused === document.activeElement) return;
    // A row that changes its place is taken out of the page for a moment, and what has the focus loses it.
    if (focused.isConnected && this.#root.contains(focused)) focused.focus({ preventScroll: true });
    // A button that has done its work is gone; who pressed it is still at its row.
    else if (row) {
      const still = this.#root.querySelector(`tr[data-ticket="${row}"] [data-menu]`) ?? this.#root.querySelector(`tr[data-ticket="${row}"] [data-open]`);
      /** @type {HTMLElement | null} */ (still)?.focus({ preventScroll: true });
    }
  }

  get #window() {
    return this.#lines.slice(this.#first, this.#first + SHOWN);
  }

  /** Another view is shown, or another page. */
  get #unseen() {
    return document.hidden || this.#root.hidden;
  }

  /** Whether somebody is at work on the list. */
  get #held() {
    const { selection, held } = this.#page;
    const focused = document.activeElement;
    return (
      this.#hovered ||
      held ||
      selection.size > 0 ||
      this.#scrolled ||
      performance.now() - this.#cursorAt < CURSOR_MS ||
      // A button keeps the focus after a click, when nobody is at it any more: then it is not visible.
      (focused !== null && focused.closest("#rows") !== null && focused.matches(":focus-visible"))
    );
  }

  /** @param {number} top */
  #scrolledTo(top) {
    const scrolled = top >= SCROLLED_PX;
    if (scrolled === this.#scrolled) return;
    this.#scrolled = scrolled;
    if (this.#unsorted) this.#orderSoon();
  }

  #selected() {
    const { selection: { cursor }, opened } = this.#page;
    if (cursor !== this.#cursor && cursor !== null && cursor !== opened) { // a click that opens a ticket moves it too
      this.#cursorAt = performance.now();
      setTimeout(() => this.#unsorted && this.#orderSoon(), CURSOR_MS + 50);
    }
    this.#cursor = cursor;
    if (this.#unsorted) this.#orderSoon();
    this.#drawSoon();
  }

  /** @param {Change} change */
  #changed({ item, after }) {
    const { filter, selection } = this.#page;
    if (after === null) selection.forget(item.id);
    const line = this.#placed.get(item.id);
    if (line) line.item = item; // it may be another object: the ticket left and came back
    const belongs = after !== null && filter.matches(item.shown);
    if (belongs && line === undefined) this.#waiting.add(item.id);
    if (!belongs) this.#waiting.delete(item.id);
    if (belongs || line !== undefined) this.#orderSoon();
    this.#drawSoon();
  }

  #orderSoon() {
    this.#unsorted = true;
    if (this.#unseen || this.#orderTimer) return; // unseen, it is put into order when it is looked at
    if (this.#held) return this.#drawSoon();
    this.#orderTimer = setTimeout(() => {
      this.#orderTimer = 0;
      this.#atFrame(true);
    }, Math.max(0, this.#orderedAt + ORDER_MS - performance.now()));
  }

  #drawSoon() {
    if (this.#unseen) return;
    this.#drawTimer ||= setTimeout(() => this.#atFrame(false), Math.max(0, this.#drawnAt + DRAW_MS - performance.now()));
  }

  /** The next frame has one of both. @param {boolean} ordered */
  #atFrame(ordered) {
    this.#orderDue ||= ordered;
    this.#frame ||= requestAnimationFrame(() => {
      const due = this.#orderDue;
      this.#frame = 0;
      this.#orderDue = false;
      if (due && !this.#held) this.order();
      else this.draw();
    });
  }

  #redraw() {
    this.#tick += 1;
    this.#drawSoon();
  }

  /** @param {boolean} inside */
  #hover(inside) {
    clearTimeout(this.#releaseTimer);
    if (inside) this.#hovered = true;
    else
      this.#releaseTimer = setTimeout(() => {
        this.#hovered = false;
        if (this.#unsorted) this.#orderSoon();
      }, RELEASE_MS);
  }

  #letIn = () => {
    scrollTo({ top: 0 });
    this.#scrolled = false; // its event comes later
    this.#first = 0;
    this.order();
  };

  /** "12 new, 2 critical" */
  #waitingWords() {
    let critical = 0;
    for (const id of this.#waiting) if (this.#page.store.items.get(id)?.shown.priority === "CRITICAL") critical += 1;
    return `${this.#waiting.size.toLocaleString()} new${critical ? `, ${critical} critical` : ""}`;
  }

  #view() {
    const { filter, store, selection } = this.#page;
    const lines = this.#window;
    const marked = lines.length > 0 && this.shownIds.every((id) => selection.ids.has(id));
    return html`
      ${this.#waiting.size || (this.#unsorted && this.#scrolled)
        ? html`<button class="held" id="held" @click=${this.#letIn}>${this.#waiting.size ? this.#waitingWords() : "Back to the top"}</button>`
        : nothing}
      <table class="list">
        <thead>
          <tr>
            <th scope="col" class="pick">
              ${this.#page.mayWrite
                ? html`<input type="checkbox" aria-label="Mark all shown tickets" .checked=${marked} .indeterminate=${!marked && selection.size > 0} @change=${() => (marked ? selection.clear() : selection.mark(this.shownIds))} />`
                : nothing}
            </th>
            <th scope="col" class="priority" aria-sort=${filter.sort === "urgent" ? "descending" : "none"}>
              <button class="sort" @click=${() => this.#page.choose({ sort: "urgent" })}>Priority</button>
            </th>
            <th scope="col" class="ticket_no">Ticket</th>
            <th scope="col" class="status">Status</th>
            <th scope="col" class="site_name">Site</th>
            <th scope="col" class="description">Description</th>
            <th scope="col" class="assigned_to">Assigned to</th>
            <th scope="col" class="age" aria-sort=${filter.sort === "changed" ? "descending" : "none"}>
              <button class="sort" @click=${() => this.#page.choose({ sort: "changed" })}>Changed</button>
            </th>
            <th scope="col" class="act"><span class="visually-hidden">Actions</span></th>
          </tr>
        </thead>
        <tbody id="rows" @click=${this.#clicked}>
          ${repeat(
            lines,
            (line) => line.key,
            (line) => (line.kind === "group" ? this.#group(line) : this.#guarded(line.item)),
          )}
        </tbody>
      </table>
      ${store.loaded && this.#lines.length === 0 ? html`<p class="empty muted" id="empty">${filter.isEmpty ? "No open tickets." : "No open ticket matches."}</p>` : nothing}
      ${this.#lines.length > SHOWN ? this.#pager() : nothing}
    `;
  }

  #pager() {
    const last = Math.min(this.#first + SHOWN, this.#lines.length);
    /** @param {number} by */
    const turn = (by) => () => {
      this.#first = Math.max(0, this.#first + by);
      this.draw();
      scrollTo({ top: 0 });
    };
    return html`<p class="pager" id="pager">
      <button class="quiet" ?disabled=${this.#first === 0} @click=${turn(-SHOWN)}>Previous ${SHOWN}</button>
      <span class="muted">${this.#first + 1} to ${last} of ${this.#lines.length.toLocaleString()}</span>
      <button class="quiet" ?disabled=${last === this.#lines.length} @click=${turn(SHOWN)}>Next ${SHOWN}</button>
    </p>`;
  }

  /** @param {Item} item */
  #guarded(item) {
    const { selection, opened, filter, actions } = this.#page;
    const leaving = item.gone || !filter.matches(item.shown);
    // Not longer: an animation starts again whenever its row is made, moved or shown.
    const flashing = performance.now() - item.flashedAt < FLASH_MS;
    const at = [item, item.revision, this.#tick, selection.ids.has(item.id), selection.cursor === item.id, opened === item.id, leaving, actions?.refusals.of(item.id), flashing];
    return guard(at, () => this.#row(item, leaving, flashing));
  }

  /**
   * @param {Item} item
   * @param {boolean} leaving
   * @param {boolean} flashing  what changed of it last has only just changed
   */
  #row(item, leaving, flashing) {
    const { selection, opened, mayWrite, times } = this.#page;
    const { shown, flashed } = item;
    const turn = item.revision % 2 ? "a" : "b"; // two names for one animation: the change between them starts it anew
    const arrived = item.revision === 0;
    /** @param {string} field */
    const flash = (field) => (flashing && flashed.has(field) ? turn : nothing);
    return html`<tr
      data-ticket=${item.id}
      data-status=${shown.status}
      data-priority=${shown.priority}
      data-flash=${flashing && (flashed.size || arrived) ? turn : nothing}
      ?data-unacknowledged=${isUnacknowledged(shown)}
      ?data-cursor=${selection.cursor === item.id}
      ?data-opened=${opened === item.id}
      ?data-pending=${shown !== item.ticket}
      class=${leaving || !isOpen(shown.status) ? "leaving" : ""}
    >
      <td class="pick">${mayWrite ? html`<input type="checkbox" data-pick aria-label=${`Mark ${shown.ticket_no}`} .checked=${selection.ids.has(item.id)} />` : nothing}</td>
      <td class="priority" data-flash=${flash("priority")}>${levelMark(shown.priority)}</td>
      <td class="ticket_no"><button class="plain" data-open aria-haspopup="true">${shown.ticket_no}</button></td>
      <td class="status" data-flash=${flash("status")}>${statusMark(shown.status)}${shown.status === "NEW" && shown.acknowledged_at ? html` <span class="ack" title=${`Acknowledged by ${shown.acknowledged_by ?? "somebody"}`}>ack</span>` : nothing}</td>
      <td class="site_name" data-flash=${flash("site_name")}>${shown.site_name}</td>
      <td class="description" data-flash=${flash("description")} title=${shown.description}>${shown.description}</td>
      <td class="assigned_to" data-flash=${flash("assigned_to")}>${shown.assigned_to}</td>
      <td class="age" title=${times.full(item.changed)}>${age(Date.now() - item.changed)}</td>
      <td class="act">${mayWrite && !leaving && isOpen(shown.status) ? this.#buttons(item) : nothing}</td>
    </tr>${this.#refusals(item)}`;
  }

  /** @param {Item} item */
  #buttons({ shown }) {
    return html`${isUnacknowledged(shown) ? html`<button class="quiet" data-acknowledge aria-label=${`Ack: acknowledge ${shown.ticket_no}`}>Ack</button>` : nothing}<button class="quiet" data-menu aria-haspopup="dialog" aria-label=${`Actions for ${shown.ticket_no}`}>⋯</button>`;
  }

  /** @param {Item} item */
  #refusals({ id }) {
    const { actions } = this.#page;
    return actions?.refusals.of(id).map((refusal) => html`<tr class="refusal-line" data-refusal=${id}><td colspan=${COLUMNS}>${refusalLine(actions, refusal)}</td></tr>`);
  }

  /** @param {GroupLine} line */
  #group(line) {
    /** @type {Record<string, number>} */
    const counts = {};
    for (const { shown } of line.items) counts[shown.priority] = (counts[shown.priority] ?? 0) + 1;
    const levels = Object.keys(LEVEL).filter((level) => counts[level]);
    return html`<tr class="group" data-group=${line.group}>
      <td colspan=${COLUMNS}>
        <button class="plain" aria-expanded=${line.opened} @click=${() => this.#page.flood?.toggle(line.group)}>
          <span aria-hidden="true">${line.opened ? "▾" : "▸"}</span> <b>${line.items.length} new</b> at ${line.label}
          ${levels.map((level) => html` <span class="count">${levelMark(level)} ${counts[level]}</span>`)}
        </button>
      </td>
    </tr>`;
  }

  /** @param {MouseEvent} event */
  #clicked = (event) => {
    const target = /** @type {Element} */ (event.target);
    const row = target.closest("tr[data-ticket]");
    if (!(row instanceof HTMLElement)) return;
    const id = Number(row.dataset.ticket);
    const { selection, actions } = this.#page;
    if (target.closest("[data-acknowledge]")) void actions?.acknowledge([id]);
    else if (target.closest("[data-menu]")) actions?.menu([id], target.closest("[data-menu]"));
    else if (target.closest("[data-pick]")) {
      if (event.shiftKey) selection.extend(id, this.shownIds);
      else selection.toggle(id);
    } else if (!target.closest("a, input, select, textarea, summary, details, button:not([data-open])") && !getSelection()?.toString()) this.#page.open(id);
  };
}

/** What a row is called where it is spoken of. @param {Item} item */
export const nameOf = (item) => `${item.shown.ticket_no}, ${levelWord(item.shown.priority)}`;
