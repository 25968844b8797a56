// The rows of the list of findings or anomalies: what came live on top of pages from the server, and never more rows
// than the page can carry. Newest first; ids only grow.

/** @typedef {{id: number, severity: string, site_id: number | null, site_name: string | null, title?: string, status?: string, created_at?: string, metric?: string, observed?: number | null, expected?: number | null, detected_at?: string}} Sighting */
/** @typedef {{results: Sighting[], next: string | null}} ServerPage */

export const PAGE = 50;
const KEPT = 5; // pages; with as many live rows as fill one more that is 300 rows
const MOST = (KEPT + 1) * PAGE;

export class SightingPages {
  /** @type {readonly Sighting[]} */
  #live = [];
  /** @type {readonly ServerPage[]} */
  #pages = [];
  /** The oldest first; none when more wait than can be shown. @type {Sighting[]} */
  #waiting = [];
  /** Of all that is here, waiting ones among them. @type {Set<number>} */
  #ids = new Set();
  /** What came since the newest page was asked for, which it may lack. @type {Sighting[] | null} */
  #since = null;
  /** How many rows wait for a place. */
  waiting = 0;
  /** Whether newer rows were let go of to make room for older ones. */
  past = false;

  /** @returns {readonly Sighting[]} */
  get rows() {
    return [this.#live, ...this.#pages.map(({ results }) => results)].flat().slice(0, MOST);
  }

  /** Whether more wait than can be shown: they are only counted, and let in by beginning anew. */
  get behind() {
    return this.waiting > MOST;
  }

  /** Where older ones are. @returns {string | null} */
  get next() {
    return this.#pages.at(-1)?.next ?? null;
  }

  /** The newest page is being asked for. */
  asks() {
    this.#since = [];
  }

  /** Begin anew with the newest, and with what came while it was asked for. @param {ServerPage} page */
  restart(page) {
    this.#ids = new Set(page.results.map(({ id }) => id));
    this.#live = (this.#since ?? []).filter(({ id }) => !this.#ids.has(id)).reverse();
    for (const { id } of this.#live) this.#ids.add(id);
    this.#since = null;
    this.#waiting = [];
    this.waiting = 0;
    this.#pages = [page];
    this.past = false;
  }

  /** @param {ServerPage} page */
  older(page) {
    const results = page.results.filter(({ id }) => !this.#ids.has(id));
    for (const { id } of results) this.#ids.add(id);
    this.#pages = [...this.#pages, { ...page, results }];
    if (this.#pages.length <= KEPT) return;
    this.#pages = this.#pages.slice(-KEPT);
    this.#live = [];
    this.past = true;
  }

  /**
   * Take one that came just now.
   * @param {Sighting} sighting
   * @param {boolean} held  it waits
   */
  take(sighting, held) {
    if (this.#ids.has(sighting.id)) return;
    if (this.#since && this.#since.push(sighting) > MOST) this.#since.shift();
    if (held || this.past || this.behind) this.#wait(sighting);
    else {
      this.#ids.add(sighting.id);
      this.#live = [sighting, ...this.#live].slice(0, MOST);
    }
  }

  /** @param {Sighting} sighting */
  #wait(sighting) {
    this.waiting += 1;
    if (this.waiting <= MOST) {
      this.#ids.add(sighting.id);
      this.#waiting.push(sighting);
    } else if (this.#waiting.length) {
      for (const { id } of this.#waiting) this.#ids.delete(id);
      this.#waiting = [];
    }
  }

  /** Let in what waits. */
  letIn() {
    if (this.past || this.behind) return; // there is no place for it, or it is not here; begin anew
    this.#live = [...this.#waiting.reverse(), ...this.#live].slice(0, MOST);
    this.#waiting = [];
    this.waiting = 0;
  }

  /** Whether it is time to begin anew: more came live than are on a page. */
  get spent() {
    return this.#live.length > PAGE;
  }
}
