// The rows of the list of findings or anomalies: what came live on top of pages from the server, and never more rows
// than the page can carry. Newest first; ids only grow.

/** @typedef {{id: number, severity: string, site_id: number | null, site_name: string | null, title?: string, status?: string, created_at?: string, metric?: string, observed?: number | null, expected?: number | null, detected_at?: string}} Sighting */
/** @typedef {{results: Sighting[], next: string | null}} ServerPage */

export const PAGE = 50;
const KEPT = 5; // pages; with as many live rows as fill one more that is 300 rows

export class SightingPages {
  /** @type {readonly Sighting[]} */
  #live = [];
  /** @type {readonly ServerPage[]} */
  #pages = [];
  /** @type {readonly Sighting[]} */
  #waiting = [];
  /** Of all that is here, waiting ones among them. @type {Set<number>} */
  #ids = new Set();
  /** Whether newer rows were let go of to make room for older ones. */
  past = false;

  /** @returns {readonly Sighting[]} */
  get rows() {
    return [this.#live, ...this.#pages.map(({ results }) => results)].flat().slice(0, (KEPT + 1) * PAGE);
  }

  /** How many rows wait for a place. */
  get waiting() {
    return this.#waiting.length;
  }

  /** Where older ones are. @returns {string | null} */
  get next() {
    return this.#pages.at(-1)?.next ?? null;
  }

  /** Begin anew with the newest. @param {ServerPage} page */
  restart(page) {
    this.#live = this.#waiting = [];
    this.#pages = [page];
    this.#ids = new Set(page.results.map(({ id }) => id));
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
    this.#ids.add(sighting.id);
    if (held || this.past) this.#waiting = [sighting, ...this.#waiting];
    else this.#live = [sighting, ...this.#live];
  }

  /** Let in what waits. */
  letIn() {
    if (this.past) return; // there is no place for it; begin anew
    this.#live = [...this.#waiting, ...this.#live];
    this.#waiting = [];
  }

  /** Whether it is time to begin anew: more came live than are on a page. */
  get spent() {
    return this.#live.length > PAGE;
  }
}
