// A clock and its timers that move only when the test says so.

export class Clock {
  #now = Date.UTC(2026, 0, 1);
  #timers = new Map();
  #ids = 0;

  now = () => this.#now;
  timers = {
    setTimeout: (run, ms) => {
      this.#timers.set((this.#ids += 1), { run, at: this.#now + ms });
      return this.#ids;
    },
    clearTimeout: (id) => void this.#timers.delete(id),
  };

  /** How many timers wait. */
  get pending() {
    return this.#timers.size;
  }

  /** In how many ms the first timer fires. */
  get next() {
    return Math.min(...[...this.#timers.values()].map(({ at }) => at - this.#now));
  }

  /** Let time pass, each timer firing when it is due. */
  advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const [id, timer] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!timer || timer.at > end) break;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, timer.at);
      timer.run();
    }
    this.#now = end;
  }

  /** Let time pass that the timers do not count, as some systems do while a machine sleeps. */
  suspend(ms) {
    this.#now += ms;
    for (const timer of this.#timers.values()) timer.at += ms;
  }

  /** Let time pass without a timer, as when the machine sleeps; what is due fires late, after `meanwhile`. */
  async sleep(ms, meanwhile = () => {}) {
    this.#now += ms;
    await meanwhile();
    const due = [...this.#timers].filter(([, { at }]) => at <= this.#now);
    for (const [id, { run }] of due) if (this.#timers.delete(id)) run();
  }
}
