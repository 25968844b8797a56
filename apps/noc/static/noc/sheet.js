// The sheet by which a ticket, or many, are acted on: a menu, and the forms of what must be said with it. It lies over
// the page and is no part of the list, so that no change of a row closes it or takes what was typed.

import { html, nothing, render } from "lit/html.js";
import { levelMark, statusMark } from "./marks.js";
import { isUnacknowledged } from "./filter.js";
import { soon } from "./soon.js";
import { ALLOWED, NOTE } from "./transitions.js";
import { isOpen } from "./store.js";
import { LEVEL, STATUS, statusWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./actions.js").Actions} Actions */
/** @typedef {import("./deeds.js").Member} Member */
/** @typedef {import("./store.js").Item} Item */
/** "menu", "assign", "status", "priority", "comment", or a status whose note is asked for. @typedef {string} Question */
/**
 * What was asked, on which versions of the tickets, and whether any of them was acknowledged or waited for it then: no
 * choice that is about to be pressed turns into its contrary.
 * @typedef {{question: Question, ids: readonly number[], anchor: Element | null, versions: Map<number, number>, acknowledged: boolean, unacknowledged: boolean}} Asked
 */
/** @typedef {(question: Question, ids: readonly number[], anchor: Element | null, text?: string) => void} Ask */

const DRAW_MS = 150;
const MEMBERS_MS = 60_000; // for so long is the list of them believed
const EDGE_PX = 8;

/**
 * @param {PageState} page
 * @param {Actions} actions
 */
export function startSheet(page, actions) {
  const sheet = new Sheet(page, actions);
  actions.ask = sheet.ask;
  return sheet;
}

export class Sheet {
  #page;
  #actions;
  #root = document.createElement("div");
  /** @type {Asked | null} */
  #asked = null;
  /** @type {Element | null} */
  #before = null; // where the focus was
  /** @type {Map<string, string>} what was typed and not sent, by question and tickets */
  #drafts = new Map();
  /** @type {{members: Member[], at: number} | null} */
  #members = null;
  #membersProblem = "";
  #search = "";
  #drawSoon = soon(() => this.#drawAsked(), DRAW_MS);

  /**
   * @param {PageState} page
   * @param {Actions} actions
   */
  constructor(page, actions) {
    this.#page = page;
    this.#actions = actions;
    this.#root.id = "sheet";
    this.#root.className = "sheet";
    this.#root.hidden = true;
    this.#root.setAttribute("role", "dialog");
    document.body.append(this.#root);
    this.#root.addEventListener("keydown", this.#key);
    page.store.addEventListener("change", () => this.#drawSoon());
    page.store.addEventListener("replace", () => this.#drawSoon());
    addEventListener("resize", () => this.#asked && this.#place());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || this.#asked === null) return;
      event.preventDefault(); // also when the focus is outside, and then nothing else
      this.close();
    });
    document.addEventListener("pointerdown", (event) => {
      if (this.#asked && event.target instanceof Node && !this.#root.contains(event.target) && !this.#text) this.close();
    });
  }

  /** @type {Ask} */
  ask = (question, ids, anchor, text) => {
    if (!ids.length || !this.#page.mayWrite) return;
    if (this.#asked === null) this.#before = document.activeElement;
    else this.#keep();
    const shown = this.#items(ids).map((item) => item.shown);
    const acknowledged = shown.some(({ acknowledged_at, status }) => acknowledged_at !== null && status === "NEW");
    this.#asked = { question, ids: [...ids], anchor, versions: this.#actions.versions(ids), acknowledged, unacknowledged: shown.some(isUnacknowledged) };
    if (text !== undefined) this.#drafts.set(this.#draftKey, text);
    this.#search = "";
    this.#page.hold("sheet");
    render(nothing, this.#root); // nothing of another question stays in its fields
    this.#root.hidden = false;
    if (question === "assign") void this.#loadMembers();
    this.#draw();
    const area = this.#root.querySelector("textarea");
    if (area) area.value = this.#drafts.get(this.#draftKey) ?? "";
    this.#place();
    this.#focus();
  };

  close() {
    if (this.#asked === null) return;
    this.#keep();
    this.#asked = null;
    const focused = this.#root.contains(document.activeElement);
    this.#root.hidden = true;
    render(nothing, this.#root);
    if (focused && this.#before instanceof HTMLElement && this.#before.isConnected) this.#before.focus({ preventScroll: true });
    this.#page.release("sheet");
  }

  get #text() {
    return this.#root.querySelector("textarea")?.value.trim() ?? "";
  }

  get #draftKey() {
    return `${this.#asked?.question} ${this.#asked?.ids}`;
  }

  #keep() {
    if (this.#text) this.#drafts.set(this.#draftKey, this.#text);
    else this.#drafts.delete(this.#draftKey);
  }

  /** @param {import("./deeds.js").Deed} deed */
  #do(deed) {
    const { ids, versions } = /** @type {Asked} */ (this.#asked);
    const key = this.#draftKey;
    this.close();
    this.#drafts.delete(key); // from here on it is kept by what becomes of the deed
    void this.#actions.perform(deed, ids, versions);
  }

  /** @param {KeyboardEvent} event */
  #key = (event) => {
    event.stopPropagation(); // keys of the page mean nothing in here
    if (event.key === "Escape") {
      event.preventDefault();
      this.close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (event.target instanceof HTMLTextAreaElement) return;
      event.preventDefault();
      const all = /** @type {HTMLElement[]} */ ([...this.#root.querySelectorAll("input, .choices button:not(:disabled)")]);
      const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      all.at((at + (event.key === "ArrowDown" ? 1 : -1)) % all.length)?.focus();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#root.querySelector("form")?.requestSubmit();
  };

  #place() {
    const { style } = this.#root;
    const { anchor } = /** @type {Asked} */ (this.#asked);
    const own = this.#root.getBoundingClientRect();
    const at = anchor?.isConnected ? anchor.getBoundingClientRect() : null;
    const left = at ? at.right - own.width : (innerWidth - own.width) / 2;
    const below = at ? at.bottom + 4 : innerHeight / 5;
    const top = at && below + own.height > innerHeight - EDGE_PX ? at.top - own.height - 4 : below;
    style.setProperty("left", `${Math.max(EDGE_PX, Math.min(left, innerWidth - own.width - EDGE_PX))}px`);
    style.setProperty("top", `${Math.max(EDGE_PX, Math.min(top, innerHeight - own.height - EDGE_PX))}px`);
  }

  async #loadMembers() {
    if (this.#members && Date.now() - this.#members.at < MEMBERS_MS) return;
    try {
      const { results } = /** @type {{results: Member[]}} */ (await this.#page.http.get("members/"));
      this.#members = { members: results, at: Date.now() };
      this.#membersProblem = "";
    } catch (error) {
      this.#membersProblem = error instanceof Error ? error.message : String(error);
    }
    this.#drawSoon();
  }

  #drawAsked() {
    if (this.#asked === null) return;
    const focused = this.#root.contains(document.activeElement);
    this.#draw();
    this.#place();
    if (focused && !this.#root.contains(document.activeElement)) this.#focus(); // what had it is no choice any more
  }

  #focus() {
    /** @type {HTMLElement | null} */ (this.#root.querySelector("textarea, input, .choices button:not(:disabled)"))?.focus();
  }

  /** @param {readonly number[]} ids */
  #items(ids) {
    return ids.flatMap((id) => this.#page.store.items.get(id) ?? []);
  }

  #draw() {
    const { question, ids } = /** @type {Asked} */ (this.#asked);
    const items = this.#items(ids);
    const [item] = items;
    this.#root.setAttribute("aria-label", items.length === 1 && item ? item.shown.ticket_no : `${ids.length} tickets`);
    const head = ids.length === 1 && item ? html`<b>${item.shown.ticket_no}</b> ${levelMark(item.shown.priority)} ${statusMark(item.shown.status)}` : ids.length === 1 ? html`<b>The ticket</b>` : html`<b>${ids.length} tickets</b>`;
    render(html`<p class="head">${head}<button class="quiet" aria-label="Close" @click=${() => this.close()}>×</button></p>${this.#body(question, ids, items)}`, this.#root);
  }

  /**
   * @param {Question} question
   * @param {readonly number[]} ids
   * @param {Item[]} items
   */
  #body(question, ids, items) {
    switch (question) {
      case "menu":
        return this.#menu(ids, items);
      case "assign":
        return this.#assign();
      case "status":
        return html`<div class="choices">${this.#statuses(items)}</div>`;
      case "priority":
        return html`<div class="choices">${this.#priorities(items)}</div>`;
      case "comment":
        return this.#form("Note", true, "Add the note", (text) => this.#do({ action: "comment", text }));
    }
    const note = NOTE[question] ?? { label: "Note, may be empty", required: false };
    return this.#form(note.label, note.required, `Set to ${statusWord(question)}`, (text) => this.#do({ action: "status", status: question, note: text }));
  }

  /**
   * @param {readonly number[]} ids
   * @param {Item[]} items
   */
  #menu(ids, items) {
    const me = this.#me;
    const { anchor, acknowledged, unacknowledged } = /** @type {Asked} */ (this.#asked);
    /** @param {Question} question */
    const then = (question) => () => this.ask(question, ids, anchor);
    return html`
      <div class="choices">
        ${unacknowledged ? html`<button @click=${() => this.#do({ action: "acknowledge" })}>Acknowledge</button>` : nothing}
        ${acknowledged ? html`<button @click=${() => this.#do({ action: "unacknowledge" })}>Take back the acknowledgement</button>` : nothing}
        ${me && items.some(({ shown }) => shown.assigned_to !== me.name) ? html`<button @click=${() => this.#do({ action: "assign", member: me })}>Assign to me</button>` : nothing}
        <button @click=${then("assign")}>Assign …</button>
        <button @click=${then("comment")}>Add a note …</button>
      </div>
      <p class="muted">Status</p>
      <div class="choices">${this.#statuses(items)}</div>
      <p class="muted">Priority</p>
      <div class="choices row">${this.#priorities(items)}</div>
      ${items.length === 1 && isUnacknowledged(items[0].shown) ? this.#snooze(items[0].id) : nothing}
    `;
  }

  /** @param {number} id */
  #snooze(id) {
    const { alarms } = this.#page;
    if (alarms === null) return nothing;
    /** @param {number} minutes */
    const off = (minutes) => () => {
      alarms.snooze(id, minutes);
      this.close();
    };
    return html`<p class="muted">Alarm of this browser</p>
      <div class="choices row">
        ${alarms.snoozedUntil(id) === null
          ? html`<button data-snooze="15" @click=${off(15)}>Snooze 15 min</button><button data-snooze="60" @click=${off(60)}>Snooze 1 h</button>`
          : html`<button data-snooze="0" @click=${off(0)}>End the snooze</button>`}
      </div>`;
  }

  /** Only what may follow. @param {Item[]} items */
  #statuses(items) {
    const { ids, anchor } = /** @type {Asked} */ (this.#asked);
    return Object.keys(STATUS).map((status) => {
      const able = items.filter(({ shown }) => ALLOWED[shown.status]?.includes(status)).length;
      if (!able) return nothing;
      return html`<button data-choice=${status} @click=${() => (NOTE[status] ? this.ask(status, ids, anchor) : this.#do({ action: "status", status, note: "" }))}>
        ${statusMark(status)}${NOTE[status] ? " …" : ""} ${able < ids.length ? html`<span class="muted">${able} of ${ids.length}</span>` : nothing}
      </button>`;
    });
  }

  /** @param {Item[]} items */
  #priorities(items) {
    const open = items.filter(({ shown }) => isOpen(shown.status));
    return Object.keys(LEVEL).map((level) => html`<button data-choice=${level} ?disabled=${open.every(({ shown }) => shown.priority === level)} @click=${() => this.#do({ action: "priority", priority: level })}>${levelMark(level)}</button>`);
  }

  #assign() {
    const words = this.#search.toLowerCase().split(/\s+/).filter(Boolean);
    const me = this.#me;
    const known = this.#members?.members ?? [];
    const members = [...(me ? [me] : []), ...known.filter(({ id }) => id !== me?.id)];
    const names = new Map(members.map(({ id, name }) => [name, id])); // of namesakes the last one
    const twice = new Set(members.filter(({ id, name }) => names.get(name) !== id).map(({ name }) => name));
    const found = members.map((member) => ({ ...member, namesake: twice.has(member.name) })).filter(({ name, username }) => words.every((word) => `${name} ${username}`.toLowerCase().includes(word)));
    const [first] = found;
    return html`<form
      @submit=${(/** @type {Event} */ event) => {
        event.preventDefault();
        if (first) this.#do({ action: "assign", member: first });
      }}
    >
      <input
        type="text"
        aria-label="Search members"
        placeholder="Search"
        autocomplete="off"
        @input=${(/** @type {InputEvent} */ event) => {
          this.#search = /** @type {HTMLInputElement} */ (event.target).value;
          this.#draw();
        }}
      />
      <div class="choices members">
        ${found.map((member) => html`<button type="button" data-member=${member.id} @click=${() => this.#do({ action: "assign", member })}>${member.name}${member.namesake ? html` <span class="muted">${member.username}</span>` : nothing}${member.id === me?.id ? html` <span class="muted">me</span>` : nothing}</button>`)}
        ${words.length ? nothing : html`<button type="button" data-member="nobody" @click=${() => this.#do({ action: "assign", member: null })}><span class="muted">Nobody</span></button>`}
        ${words.length && !found.length ? html`<p class="muted">Nobody by that name.</p>` : nothing}
        ${this.#membersProblem ? html`<p class="refusal">${this.#membersProblem}</p>` : this.#members ? nothing : html`<p class="muted">Loading the members</p>`}
      </div>
    </form>`;
  }

  /** @returns {Member | null} */
  get #me() {
    const { me } = this.#page;
    return me && { id: me.user.id, name: me.user.name, username: me.username };
  }

  /**
   * @param {string} label
   * @param {boolean} required
   * @param {string} word  of the button
   * @param {(text: string) => void} run
   */
  #form(label, required, word, run) {
    return html`<form
      @submit=${(/** @type {Event} */ event) => {
        event.preventDefault();
        if (!required || this.#text) run(this.#text);
        else this.#root.querySelector("textarea")?.reportValidity();
      }}
    >
      <label>${label}<textarea rows="4" maxlength="2000" ?required=${required}></textarea></label>
      <p class="foot"><span class="muted">Ctrl + Enter</span><button class="primary">${word}</button></p>
    </form>`;
  }
}
