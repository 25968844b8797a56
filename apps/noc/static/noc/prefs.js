// What this browser remembers of its user: small values in localStorage, the same in all of its tabs.

const KEY = "noc.prefs";

/** Dispatches `change` (detail: the name) when a value changed, here or in another tab. */
export class Prefs extends EventTarget {
  #storage;
  /** @type {Record<string, unknown>} */
  #values;

  /** @param {Storage | null} [storage] null, or one that refuses, remembers until the page is left */
  constructor(storage = available()) {
    super();
    this.#storage = storage;
    this.#values = read(storage);
    globalThis.addEventListener?.("storage", (event) => event.key === KEY && this.#take());
  }

  /**
   * @template T
   * @param {string} name
   * @param {T} fallback  also tells the type: what is stored of another type does not count
   * @returns {T}
   */
  get(name, fallback) {
    const value = this.#values[name];
    return typeof value === typeof fallback && Array.isArray(value) === Array.isArray(fallback) && value !== null ? /** @type {T} */ (value) : fallback;
  }

  /**
   * @param {string} name
   * @param {unknown} value  JSON; undefined forgets it
   */
  set(name, value) {
    this.#values = { ...read(this.#storage ?? null, this.#values), [name]: value };
    try {
      this.#storage?.setItem(KEY, JSON.stringify(this.#values));
    } catch {
      // full or forbidden: it holds until the page is left
    }
    this.dispatchEvent(new CustomEvent("change", { detail: name }));
  }

  /**
   * Call `run` when the value of this name changed.
   * @param {string} name
   * @param {() => void} run
   */
  watch(name, run) {
    this.addEventListener("change", (event) => /** @type {CustomEvent<string>} */ (event).detail === name && run());
  }

  #take() {
    const before = this.#values;
    this.#values = read(this.#storage);
    for (const name of new Set([...Object.keys(before), ...Object.keys(this.#values)])) {
      if (JSON.stringify(before[name]) !== JSON.stringify(this.#values[name])) this.dispatchEvent(new CustomEvent("change", { detail: name }));
    }
  }
}

/**
 * @param {Storage | null} storage
 * @param {Record<string, unknown>} [otherwise]
 * @returns {Record<string, unknown>}
 */
function read(storage, otherwise = {}) {
  try {
    const value = JSON.parse(storage?.getItem(KEY) ?? "null");
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

function available() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
