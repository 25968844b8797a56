// Something that only one of a browser's tabs does: the one that holds a lock. The next one takes over when it is closed.

export class OneTab {
  /** Where the browser has no locks (a page without TLS), each tab does it. */
  held = typeof navigator.locks === "undefined";
  /** Another tab does it, and this one waits for it. */
  elsewhere = false;
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
    this.#asking = new AbortController();
    void this.#ask(this.#asking.signal);
  }

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    /** @param {Lock | null} lock */
    const hold = (lock) => {
      if (lock === null || signal.aborted) return undefined;
      this.#set(true, false);
      return new Promise((/** @type {(value?: unknown) => void} */ resolve) => (this.#release = () => resolve()));
    };
    try {
      await navigator.locks.request(this.#name, { ifAvailable: true }, hold);
      signal.throwIfAborted();
      this.#set(false, true);
      await navigator.locks.request(this.#name, { signal }, hold);
    } catch {
      // not asked for any more
    }
    this.#set(false, false);
  }

  /**
   * @param {boolean} held
   * @param {boolean} elsewhere
   */
  #set(held, elsewhere) {
    if (!held) this.#release = null;
    if (this.held === held && this.elsewhere === elsewhere) return;
    this.held = held;
    this.elsewhere = elsewhere;
    this.#changed();
  }
}
