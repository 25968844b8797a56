// Which groups of tickets are in flood: more new ones than anybody reads one by one (EEMUA 191: above 10 in 10 minutes).
// Rates only; a flood ends when its rate has fallen to half of what began it, so that it does not come and go.

export const WINDOW_MS = 600_000;
export const ABOVE = 10;

export class Floods {
  #above;
  /** @type {Map<string, number[]>} of a group: when its tickets came, oldest first, none older than the window */
  #arrivals = new Map();
  /** @type {Set<string>} */
  #flooded = new Set();

  /** @param {{above?: number}} [options] `above`: so many in the window are no flood yet */
  constructor({ above = ABOVE } = {}) {
    this.#above = above;
  }

  /** @returns {ReadonlySet<string>} */
  get groups() {
    return this.#flooded;
  }

  /**
   * @param {string} group
   * @param {number} at  ms since 1970; in any order
   */
  arrived(group, at) {
    const times = this.#arrivals.get(group);
    if (times === undefined) this.#arrivals.set(group, [at]);
    else if (at >= times[times.length - 1]) times.push(at);
    else times.splice(times.findIndex((time) => time > at), 0, at);
  }

  /** How many came within the window, as of the last look. @param {string} group */
  rate(group) {
    return this.#arrivals.get(group)?.length ?? 0;
  }

  /**
   * Judge all groups, and forget what is older than the window.
   * @param {number} now  ms since 1970
   * @returns {{began: string[], ended: string[]}}
   */
  look(now) {
    /** @type {string[]} */
    const began = [];
    /** @type {string[]} */
    const ended = [];
    for (const [group, times] of this.#arrivals) {
      const first = times.findIndex((time) => time > now - WINDOW_MS);
      if (first < 0) this.#arrivals.delete(group);
      else if (first > 0) times.splice(0, first);
      const rate = this.rate(group);
      if (!this.#flooded.has(group) && rate > this.#above) {
        this.#flooded.add(group);
        began.push(group);
      } else if (this.#flooded.has(group) && rate <= this.#above / 2) {
        this.#flooded.delete(group);
        ended.push(group);
      }
    }
    return { began, ended };
  }
}
