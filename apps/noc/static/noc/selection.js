// Which tickets are marked for an action, and which one the keyboard is at.

/** Dispatches `change`. Ids stay while their rows are not drawn; who acts leaves out those that are gone. */
export class Selection extends EventTarget {
  /** @type {Set<number>} */
  ids = new Set();
  /** @type {number | null} where j and k are */
  cursor = null;
  /** @type {number | null} from where a range is drawn */
  #anchor = null;

  get size() {
    return this.ids.size;
  }

  /**
   * @param {number} id
   * @param {boolean} [marked]  without it the mark is turned round
   */
  toggle(id, marked = !this.ids.has(id)) {
    if (marked) this.ids.add(id);
    else this.ids.delete(id);
    this.#anchor = id;
    this.#changed();
  }

  /**
   * Mark all from the last one that was marked to this one.
   * @param {number} id
   * @param {readonly number[]} shown  ids in the order of the list
   */
  extend(id, shown) {
    const from = this.#anchor === null ? -1 : shown.indexOf(this.#anchor);
    const to = shown.indexOf(id);
    if (from < 0 || to < 0) return this.toggle(id, true);
    for (const each of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) this.ids.add(each);
    this.#changed();
  }

  /** @param {Iterable<number>} ids */
  mark(ids) {
    this.ids = new Set(ids);
    this.#changed();
  }

  clear() {
    if (!this.ids.size) return;
    this.ids.clear();
    this.#changed();
  }

  /** @param {number | null} id */
  moveTo(id) {
    if (this.cursor === id) return;
    this.cursor = id;
    this.#changed();
  }

  /** A ticket that is gone is not acted on. @param {number} id */
  forget(id) {
    const had = this.ids.delete(id);
    if (this.cursor === id) this.cursor = null;
    else if (!had) return;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
