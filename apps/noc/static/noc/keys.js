// The keyboard: single keys for what is done all day. They can be turned off (WCAG 2.1.4), but for Esc.

import { isMenuOpen } from "./menus.js";
import { part } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {{keys: string[], does: string, run: (event: KeyboardEvent) => void}} Binding */

export const PREF = "keys";

/**
 * @param {PageState} page
 * @param {() => void} help  shows them
 * @returns {Binding[]} of single characters
 */
export function bindings(page, help) {
  const { selection } = page;
  /** @param {"assign" | "resolve" | "note"} what */
  const ask = (what) => () => {
    const targets = targetsOf(page);
    const row = document.querySelector(`tr[data-ticket="${selection.cursor}"] [data-open]`);
    if (page.mayWrite && targets.length) page.actions?.[what](targets, row);
  };
  /** @param {(id: number) => void} run */
  const atCursor = (run) => () => {
    const id = shownCursor(page);
    if (id !== null) run(id);
  };
  return [
    { keys: ["j"], does: "Next ticket", run: () => step(page, 1) },
    { keys: ["k"], does: "Previous ticket", run: () => step(page, -1) },
    { keys: ["o", "Enter"], does: "Open the ticket", run: atCursor((id) => page.open(id)) },
    { keys: ["x"], does: "Mark or unmark the ticket", run: atCursor((id) => page.mayWrite && selection.toggle(id)) },
    { keys: ["a"], does: "Acknowledge", run: () => page.mayWrite && page.actions?.acknowledge(targetsOf(page)) },
    { keys: ["s"], does: "Assign", run: ask("assign") },
    { keys: ["r"], does: "Resolve", run: ask("resolve") },
    { keys: ["n"], does: "Add a note", run: ask("note") },
    { keys: ["/"], does: "Find", run: () => part("find").focus() },
    { keys: ["?"], does: "Show these keys", run: help },
  ];
}

/** Whether the rows of tickets are what is shown. @param {PageState} page */
const isList = ({ view, filter }) => view === "list" && filter.kind === "ticket";

/**
 * The ticket at the cursor if its row is shown. The cursor stays where it is through another filter or view, so that it
 * is there again afterwards; but a key does nothing to what is not seen.
 * @param {PageState} page
 */
function shownCursor(page) {
  const { list, selection: { cursor } } = page;
  return cursor !== null && isList(page) && list?.shownIds.includes(cursor) ? cursor : null;
}

/** What a key is for: the marked tickets, which are counted above every view, else the one at the cursor. @param {PageState} page */
function targetsOf(page) {
  if (page.selection.size) return [...page.selection.ids];
  const id = shownCursor(page);
  return id === null ? [] : [id];
}

/**
 * @param {PageState} page
 * @param {Binding[]} bound
 */
export function startKeys(page, bound) {
  if (page.wall) return;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (isDialogOpen() || isMenuOpen()) return;
    if (event.key === "Escape") return leave(page, target);
    if (!page.prefs.get(PREF, true) || isTyping(target)) return;
    if (event.key === "Enter" && target !== document.body && !target.matches("[tabindex='-1']")) return; // it presses what has the focus
    const binding = bound.find(({ keys }) => keys.includes(event.key));
    if (binding === undefined) return;
    event.preventDefault();
    binding.run(event);
  });
}

/** Dialogs of all makes: the element, popovers, and what is only named so; those that are shut stay in the page. */
const isDialogOpen = () => [...document.querySelectorAll("dialog, [role='dialog']")].some((each) => each.checkVisibility());

/**
 * Whether keys are text here, or choose in a list.
 * @param {Element} target
 */
export const isTyping = (target) => target.matches("textarea, select, [contenteditable], input:not([type='checkbox'], [type='radio'], [type='button'])");

/**
 * @param {PageState} page
 * @param {1 | -1} by
 */
function step(page, by) {
  const { list, selection } = page;
  if (list === null || !isList(page)) return;
  const ids = list.shownIds;
  const at = selection.cursor === null ? -1 : ids.indexOf(selection.cursor);
  const next = at < 0 ? ids[by > 0 ? 0 : ids.length - 1] : (ids[at + by] ?? list.beyond(by));
  if (next === undefined) return;
  selection.moveTo(next);
  list.reveal(next);
}

/**
 * Esc: out of a field, then the panel, then the marks, then the cursor.
 * @param {PageState} page
 * @param {Element} target
 */
function leave(page, target) {
  const { selection } = page;
  if (isTyping(target)) {
    const panel = target.closest("#panel");
    if (target instanceof HTMLInputElement && target.value) return; // the browser clears a search
    /** @type {HTMLElement} */ (target).blur();
    /** @type {HTMLElement | null | undefined} */ (panel?.querySelector("h2"))?.focus();
  } else if (page.opened !== null) page.open(null);
  else if (selection.size) selection.clear();
  else {
    selection.moveTo(null);
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  }
}
