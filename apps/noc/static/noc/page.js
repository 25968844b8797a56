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
/** @typedef {import("./order.js").Flood & {toggle: (group: string) => void}} Flood */

/**
 * Dispatches `filter` when what is shown was chosen anew (filter or view), `me` when it is known who
 * looks, `open` when another ticket is to be shown beside the list, `toast` (detail {@link Toast}).
 */
export class PageState extends EventTarget {
  prefs = new Prefs();
  times = new Times(this.prefs);
  store = new Store();
  selection = new Selection();
  /** @type {Me | null} */
  me = null;
  /** @type {number | null} the ticket in the side panel */
  opened = null;
  /** Which groups of new tickets are shown as one line; `flood` is dispatched when it changes. @type {Flood | null} */
  flood = null;
  /** @type {import("./list.js").List | null} */
  list = null;

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
  }

  /** Whether the user may change tickets. */
  get mayWrite() {
    return !this.wall && (this.me?.capabilities.includes("ticket:write") ?? false);
  }

  /**
   * Choose what is shown; the address follows, so that it can be kept, sent and reloaded.
   * @param {Partial<Filter>} changes
   * @param {View} [view]
   */
  choose(changes, view = this.view) {
    this.filter = this.filter.with(changes);
    this.view = view;
    history.replaceState(null, "", this.address());
    this.dispatchEvent(new Event("filter"));
  }

  /** The query of what is shown, as views are saved. */
  query() {
    const query = this.filter.toQuery();
    if (this.view !== "list") query.set("view", this.view);
    return query;
  }

  /** The address of what is shown. */
  address() {
    const query = this.query();
    if (this.wall) query.set("wall", "1");
    return query.size ? `?${query}` : location.pathname;
  }

  /** Show what a query says: a saved view, or where the browser went back to. @param {URLSearchParams} query */
  go(query) {
    this.choose({ ...Filter.fromQuery(query) }, viewOf(new URL(`?${query}`, location.href)));
  }

  /** @param {number | null} id  null: close the side panel */
  open(id) {
    this.opened = id;
    if (id !== null) this.selection.moveTo(id);
    this.dispatchEvent(new Event("open"));
  }

  /**
   * Tell something in passing.
   * @param {string} text
   * @param {{kind?: "done" | "refused", action?: {label: string, run: () => void}}} [more]
   */
  toast(text, more = {}) {
    this.dispatchEvent(new CustomEvent("toast", { detail: { text, kind: "done", ...more } }));
  }

  async knowMe() {
    this.me = /** @type {Me} */ (await this.http.get("auth/me/"));
    this.dispatchEvent(new Event("me"));
  }
}

/** @typedef {{text: string, kind: "done" | "refused", action?: {label: string, run: () => void}}} Toast */

/**
 * @param {URL} address
 * @returns {View}
 */
function viewOf(address) {
  const view = address.searchParams.get("view");
  return view === "sites" || view === "charts" ? view : "list";
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
