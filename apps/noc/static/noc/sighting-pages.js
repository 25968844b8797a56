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
  /** Whether more may wait than were counted: what came meanwhile did not fit on the newest page. */
  uncounted = false;
  /** Whether newer rows were let go of to make room for older ones. */
  past = false;

  /** @returns {readonly Sighting[]} */
  get rows() {
    return [this.#live, ...this.#pages.map(({ results }) => results)].flat().slice(0, MOST);
  }

  /** Whether more wait than can be shown, or than are known: they are only counted, and let in by beginning anew. */
  get behind() {
    return this.waiting > MOST || this.uncounted;
  }

  /** Whether older pages were loaded. */
  get deep() {
    return this.#pages.length > 1;
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
    this.#live = [];
    this.#pages = [page];
    this.#waiting = [];
    this.waiting = 0;
    this.uncounted = this.past = false;
    const since = this.#since ?? [];
    this.#since = null;
    for (const sighting of since) this.take(sighting, false);
  }

  /**
   * Take the newest page again, since some of it may have come unseen. What is here stays.
   * @param {ServerPage} page
   * @param {boolean} held  new ones wait
   */
  renew(page, held) {
    const fresh = new Map(page.results.map((each) => [each.id, each]));
    const renewed = (/** @type {readonly Sighting[]} */ list) => list.map((each) => fresh.get(each.id) ?? each);
    this.#live = renewed(this.#live);
    this.#pages = this.#pages.map(({ results, next }) => ({ results: renewed(results), next }));
    const unseen = page.results.filter(({ id }) => !this.#ids.has(id));
    const apart = page.next !== null && unseen.length === page.results.length && this.#ids.size > 0;
    if (!apart) for (const sighting of unseen.reverse()) this.take(sighting, held);
    else {
      this.waiting = this.uncounted ? Math.max(this.waiting, unseen.length) : this.waiting + unseen.length;
      this.uncounted = true;
      this.#forget();
    }
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
   * Take one that was not here, be it new or told late.
   * @param {Sighting} sighting
   * @param {boolean} held  it waits
   */
  take(sighting, held) {
    if (this.#ids.has(sighting.id) || this.#isOnALaterPage(sighting)) return;
    if (this.#since && this.#since.push(sighting) > MOST) this.#since.shift();
    if (held || this.past || this.behind) this.#wait(sighting);
    else {
      this.#ids.add(sighting.id);
      this.#place(sighting);
    }
  }

  /** @param {Sighting} sighting */
  #isOnALaterPage({ id }) {
    const last = this.#pages.at(-1);
    const oldest = last?.results.at(-1);
    return last?.next != null && oldest !== undefined && id < oldest.id;
  }

  /** Put it where the server has it. @param {Sighting} sighting */
  #place(sighting) {
    const { id } = sighting;
    const newest = this.#pages.find(({ results }) => results.length)?.results[0].id ?? 0;
    if (id > newest) this.#live = inserted(this.#live, sighting).slice(0, MOST);
    else {
      const page = this.#pages.find(({ results }) => id > (results.at(-1)?.id ?? Infinity)) ?? this.#pages.at(-1);
      this.#pages = this.#pages.map((each) => (each === page ? { ...each, results: inserted(each.results, sighting) } : each));
    }
  }

  /** @param {Sighting} sighting */
  #wait(sighting) {
    this.waiting += 1;
    if (this.behind) return this.#forget();
    this.#ids.add(sighting.id);
    this.#waiting.push(sighting);
  }

  /** Keep only how many wait. */
  #forget() {
    for (const { id } of this.#waiting) this.#ids.delete(id);
    this.#waiting = [];
  }

  /** Let in what waits. */
  letIn() {
    if (this.past || this.behind) return; // there is no place for it, or it is not here; begin anew
    for (const sighting of this.#waiting) this.#place(sighting);
    this.#waiting = [];
    this.waiting = 0;
  }

  /** Whether it is time to begin anew: more came live than are on a page. */
  get spent() {
    return this.#live.length > PAGE;
  }
}

/** @param {import("./noc-feed.js").EventFrame} frame @returns {Sighting} */
export const sightingOf = (frame) => /** @type {any} */ ({ ...frame, id: frame.finding_id ?? frame.anomaly_id });

/**
 * @param {readonly Sighting[]} list
 * @param {Sighting} sighting
 */
function inserted(list, sighting) {
  const at = list.findIndex(({ id }) => id < sighting.id);
  return at < 0 ? [...list, sighting] : [...list.slice(0, at), sighting, ...list.slice(at)];
}
