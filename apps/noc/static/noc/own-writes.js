// What the page itself writes to tickets: one write to a ticket after the other, and which of its versions they made.
// A version that was seen before one's own write is, after it, the one that this write made: nothing that the operator
// had not decided lies between. What others wrote lies between and stays a conflict.

export class OwnWrites {
  /** @type {Map<number, Promise<void>>} of a ticket: the end of the last write that was asked for */
  #last = new Map();
  /** @type {Map<number, {first: number, last: number}>} of a ticket: from which version to which all writes were our own */
  #runs = new Map();

  /**
   * Get into line for these tickets.
   * @param {readonly number[]} ids
   * @returns {{wait: Promise<unknown> | null, end: () => void}} `wait`: for the writes under way, null when there are
   *   none; `end` lets the next one begin
   */
  turn(ids) {
    const before = new Set(ids.flatMap((id) => this.#last.get(id) ?? []));
    let release = () => {};
    /** @type {Promise<void>} */
    const mine = new Promise((resolve) => (release = resolve));
    for (const id of ids) this.#last.set(id, mine);
    const end = () => {
      for (const id of ids) if (this.#last.get(id) === mine) this.#last.delete(id);
      release();
    };
    return { wait: before.size ? Promise.all(before) : null, end };
  }

  /**
   * The ticket was at one version, and a write of ours made it the other.
   * @param {number} id
   * @param {number} from
   * @param {number} to
   */
  made(id, from, to) {
    const run = this.#runs.get(id);
    if (run?.last === from) run.last = to;
    else this.#runs.set(id, { first: from, last: to });
  }

  /**
   * What a version that was seen is after our own writes.
   * @param {number} id
   * @param {number} version
   */
  after(id, version) {
    const run = this.#runs.get(id);
    return run && run.first <= version && version < run.last ? run.last : version;
  }
}
