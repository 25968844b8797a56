// The names of the tenant's sites and members, as menus offer them.

/** @typedef {{id: number, code: string, name: string}} Site */
/** @typedef {{id: number, name: string, username: string}} Member */

const FRESH_MS = 60_000;

/** Dispatches `change` when names came. */
export class Directory extends EventTarget {
  /** @type {readonly Site[]} */
  sites = [];
  /** @type {readonly Member[]} */
  members = [];
  /** What went wrong at the last try, to be shown. @type {string} */
  trouble = "";

  #http;
  #readAt = -FRESH_MS;

  /** @param {import("./http.js").Http} http */
  constructor(http) {
    super();
    this.#http = http;
  }

  /** Read the names again, unless they were read a moment ago. */
  async refresh() {
    if (performance.now() < this.#readAt + FRESH_MS) return;
    this.#readAt = performance.now();
    try {
      const [sites, members] = await Promise.all([this.#http.get("sites/"), this.#http.get("members/")]);
      this.sites = sites.results;
      this.members = members.results;
      this.trouble = "";
    } catch (error) {
      this.#readAt = -FRESH_MS;
      this.trouble = error instanceof Error ? error.message : String(error);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} id */
  siteName(id) {
    return this.sites.find((site) => site.id === id)?.name ?? `Site ${id}`;
  }
}
