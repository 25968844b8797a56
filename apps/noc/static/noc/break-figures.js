// What the page of faults counts: whether a number is missing, and how long catching up took.

/** Whether the numbers that came are contiguous, from where the feed began. */
export class Sequence {
  first = 0;
  last = 0;
  count = 0;
  holes = 0;
  repeats = 0;

  /** The snapshot has everything up to `seq`: what follows begins after it. @param {number} seq */
  begin(seq) {
    if (this.count > 0 && seq === this.last) return;
    this.first = seq + 1;
    this.last = seq;
    this.count = this.holes = this.repeats = 0;
  }

  /** @param {number} seq */
  take(seq) {
    if (seq <= this.last) {
      this.repeats += 1;
      return;
    }
    if (seq > this.last + 1) this.holes += 1;
    this.last = seq;
    this.count += 1;
  }
}

/** @typedef {{most: number, seconds: number}} Caught  how far behind it was, and how long the way back took */

const WORTH_TELLING = 3; // one or two are on their way at any moment

/** How far the page is behind what was committed, and the last time that it caught up. */
export class CatchUp {
  behind = 0;
  most = 0;
  /** @type {Caught | null} */
  last = null;
  #fallingSince = 0;

  /**
   * @param {number} behind
   * @param {number} now  in ms
   * @returns {Caught | null} when it has just caught up
   */
  see(behind, now) {
    this.behind = behind;
    if (behind >= this.most) {
      this.most = behind;
      this.#fallingSince = now;
    }
    if (behind > 0) return null;
    const { most } = this;
    this.most = 0;
    if (most < WORTH_TELLING) return null;
    this.last = { most, seconds: (now - this.#fallingSince) / 1000 };
    return this.last;
  }
}

/** How much came in each of the last seconds. */
export class PerSecond {
  #counts;
  #second = 0;

  /** @param {number} seconds */
  constructor(seconds) {
    this.#counts = new Array(seconds).fill(0);
  }

  /** @param {number} now  in ms */
  add(now) {
    this.#advance(now);
    this.#counts[this.#counts.length - 1] += 1;
  }

  /** Oldest first. @param {number} now  in ms @returns {number[]} */
  counts(now) {
    this.#advance(now);
    return this.#counts;
  }

  /** @param {number} now */
  #advance(now) {
    const second = Math.floor(now / 1000);
    const passed = Math.min(second - this.#second, this.#counts.length);
    for (let i = 0; i < passed; i += 1) {
      this.#counts.shift();
      this.#counts.push(0);
    }
    this.#second = Math.max(this.#second, second);
  }
}
