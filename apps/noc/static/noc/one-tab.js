// Something that only one of a browser's tabs does: the one that holds a lock. The next one takes over when it is closed.

export class OneTab {
  /** Where the browser has no locks (a page without TLS), each tab does it. */
  held = typeof navigator.locks === "undefined";
  #name;
  #changed;
  /** @type {(() => void) | null} */
  #release = null;
  /** @type {AbortController | null} */
  #asking = null;

  /**
   * @param {string} name
   * @param {() => void} changed
   */
  constructor(name, changed) {
    this.#name = name;
    this.#changed = changed;
  }

  /** @param {boolean} able  whether this tab can do it at all; one that cannot leaves it to others */
  want(able) {
    if (typeof navigator.locks === "undefined" || able === (this.#asking !== null)) return;
    if (!able) {
      this.#asking?.abort();
      this.#asking = null;
      this.#release?.();
      return;
    }
    const asking = new AbortController();
    this.#asking = asking;
    navigator.locks
      .request(this.#name, { signal: asking.signal }, () => {
        this.#set(true);
        return new Promise((/** @type {(value?: unknown) => void} */ resolve) => (this.#release = () => resolve()));
      })
      .catch(() => {}) // not asked for any more
      .finally(() => this.#set(false));
  }

  /** @param {boolean} held */
  #set(held) {
    if (!held) this.#release = null;
    if (this.held === held) return;
    this.held = held;
    this.#changed();
  }
}
