// What the parts of the page share. Each part is a function `start…(page)` in a module of its own: it listens to
// these, draws into its own element of the template, and knows no other part.

import { Feed } from "./noc-feed.js";
import { Filter } from "./filter.js";
import { Http } from "./http.js";
import { Prefs } from "./prefs.js";
import { Selection } from "./selection.js";
import { Store } from "./store.js";
import { Times } from "./times.js";

/** @typedef {{user: {id: number, name: string}, username: string, tenant: {id: number, name: string} | null, capabilities: string[], sites: "*" | number[], refused: string | null}} Me */
/** @typedef {"list" | "sites" | "charts"} View */
/** The saved view that the bare address means in this browser: pref `defaultView`. */
export const NO_VIEW = { id: 0, query: "" };

/** @typedef {(ids: readonly number[], anchor?: Element | null) => unknown} Deed */
/** @typedef {import("./order.js").Flood & {toggle: (group: string) => void}} Flood */

/**
 * Dispatches `filter` when what is shown was chosen anew (filter or view), `me` when it is known who
 * looks, and when what they may has changed, `open` when another ticket is to be shown beside the list, `toast`
 * (detail {@link Toast}), `hold` when rows may move again, `away` (detail {@link import("./absence.js").Absent}) when the page is current after it was not,
 * `flood` when {@link PageState.flood} changed, `rang` (detail `Ring` of alarm-rules.js).
 */
export class PageState extends EventTarget {
  prefs = new Prefs();
  times = new Times(this.prefs);
  store = new Store();
  selection = new Selection();
  /** As the server said last; by who.js. @type {Me | null} */
  me = null;
  /** @type {number | null} the ticket in the side panel */
  opened = null;
  /** Which groups of new tickets are shown as one line; `flood` is dispatched when it changes. @type {Flood | null} */
  flood = null;
  /** @type {import("./list.js").List | null} */
  list = null;
  /** @type {import("./actions.js").Actions | null} */
  actions = null;
  /** Why rows keep their places: an open menu and the like. `hold` is dispatched when one of them ends. @type {Set<string>} */
  #holds = new Set();
  /** None on a wall. @type {Pick<import("./alarms.js").Alarms, "snooze" | "snoozedUntil"> | null} */
  alarms = null;

  /**
   * @param {{address: URL, token?: string | null, wall?: boolean, fetchTicket?: (() => Promise<string>) | undefined}} options
   */
  constructor({ address, token = null, wall = false, fetchTicket }) {
    super();
    this.wall = wall;
    this.http = new Http({ token });
    this.feed = new Feed({
      snapshotUrl: "/api/v1/noc/snapshot/?include=acknowledgement",
      socketUrl: "/ws/noc/",
      accountUrl: "/api/v1/auth/me/",
      fetch: this.http.fetch,
      ...(fetchTicket && { ticket: fetchTicket }),
    });
    this.filter = Filter.fromQuery(address.searchParams);
    this.view = viewOf(address);
    this.opened = ticketOf(address);
    globalThis.addEventListener?.("popstate", () => this.#restore(new URL(location.href)));
  }

  /** Whether the user may change tickets. */
  get mayWrite() {
    return !this.wall && (this.me?.capabilities.includes("ticket:write") ?? false);
  }

  /**
   * Choose what is shown; the address follows, so that it can be kept, sent and reloaded. Each choice is a step that
   * the browser can go back; a run of typing is one.
   * @param {Partial<Filter>} changes
   * @param {View} [view]
   * @param {{typing?: boolean}} [how]
   */
  choose(changes, view = this.view, { typing = false } = {}) {
    this.filter = this.filter.with(changes);
    this.view = view;
    this.#write({ replace: typing && history.state?.typing === true, typing });
    this.dispatchEvent(new Event("filter"));
  }

  /** The query of what is shown, as views are saved. */
  query() {
    const query = this.filter.toQuery();
    if (this.view !== "list") query.set("view", this.view);
    return query;
  }

  /** The address of what is shown, and of the ticket beside it. */
  address() {
    const query = this.query();
    if (this.wall) query.set("wall", "1");
    if (this.opened !== null) query.set("ticket", String(this.opened));
    // With a default view the bare address means that one, so what is not filtered needs a name of its own.
    if (query.size === 0 && this.prefs.get("defaultView", NO_VIEW).id) query.set("view", "list");
    return query.size ? `?${query}` : location.pathname;
  }

  /** Show what a query says, as a saved view does. @param {URLSearchParams} query */
  go(query) {
    this.choose({ ...Filter.fromQuery(query) }, viewOf(new URL(`?${query}`, location.href)));
  }

  /**
   * Show a ticket beside the list. On a phone it covers the list, so there the browser goes back to that.
   * @param {number | null} id  null: close the side panel
   */
  open(id) {
    const covers = this.opened === null && matchMedia("(max-width: 720px)").matches;
    this.opened = id;
    if (id !== null) this.selection.moveTo(id);
    this.#write({ replace: !covers });
    this.dispatchEvent(new Event("open"));
  }

  /** @param {{replace: boolean, typing?: boolean}} how */
  #write({ replace, typing = false }) {
    const address = this.address();
    if (replace || new URL(address, location.href).href === location.href) history.replaceState({ typing }, "", address);
    else history.pushState({ typing }, "", address);
  }

  /** Where the browser went back to, or on. @param {URL} address */
  #restore(address) {
    this.filter = Filter.fromQuery(address.searchParams);
    this.view = viewOf(address);
    this.dispatchEvent(new Event("filter"));
    const opened = ticketOf(address);
    if (opened === this.opened) return;
    this.opened = opened;
    this.dispatchEvent(new Event("open"));
  }

  /** Let no row change its place. @param {string} why */
  hold(why) {
    this.#holds.add(why);
  }

  /** @param {string} why  as it was given to `hold` */
  release(why) {
    if (this.#holds.delete(why)) this.dispatchEvent(new Event("hold"));
  }

  get held() {
    return this.#holds.size > 0;
  }

  /**
   * Tell something in passing.
   * @param {string} text
   * @param {Partial<Toast>} [more]
   */
  toast(text, more = {}) {
    this.dispatchEvent(new CustomEvent("toast", { detail: { text, kind: "done", ...more } }));
  }
}

/**
 * `burst`: toasts of one key that come shortly after each other are told as one, of all their ids.
 * @typedef {{text: string, kind: "done" | "refused", action?: {label: string, run: () => void}, burst?: import("./bursts.js").Burst}} Toast
 */

/**
 * @param {URL} address
 * @returns {View}
 */
function viewOf(address) {
  const view = address.searchParams.get("view");
  return view === "sites" || view === "charts" ? view : "list";
}

/**
 * @param {URL} address
 * @returns {number | null}
 */
function ticketOf(address) {
  const id = Number(address.searchParams.get("ticket"));
  return Number.isSafeInteger(id) && id > 0 ? id : null;
}

/**
 * The element of the template with this id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function part(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the template has no #${id}`);
  return found;
}
