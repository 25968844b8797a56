// Times as they are shown: always with their zone, in UTC or the browser's own.

/** @typedef {import("./prefs.js").Prefs} Prefs */

const PREF = "zone";
/** The IANA name of the browser's own zone. */
export const localZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export class Times {
  #prefs;
  /** @type {{zone: string, clock: Intl.DateTimeFormat, full: Intl.DateTimeFormat, name: Intl.DateTimeFormat} | null} */
  #formats = null;

  /** @param {Prefs} prefs */
  constructor(prefs) {
    this.#prefs = prefs;
  }

  /** "utc" or "local" */
  get zone() {
    return this.#prefs.get(PREF, /** @type {string} */ ("local")) === "utc" ? "utc" : "local";
  }

  set zone(zone) {
    this.#prefs.set(PREF, zone);
  }

  /** Call it when the zone changed: every time that is shown is another then. @param {() => void} run */
  watch(run) {
    this.#prefs.watch(PREF, run);
  }

  /** The IANA name that is shown in: "UTC", "Europe/Berlin" */
  get zoneName() {
    return this.zone === "utc" ? "UTC" : localZone();
  }

  /** 09:41:07 @param {number} ms since 1970 */
  clock(ms) {
    return this.#in().clock.format(ms);
  }

  /** 09:41:07 GMT+2 @param {number} ms since 1970 */
  clockWithZone(ms) {
    return `${this.clock(ms)} ${this.abbreviation(ms)}`;
  }

  /** 26 Nov 2026, 09:41:07 GMT+2 @param {number} ms since 1970 */
  full(ms) {
    return `${this.#in().full.format(ms)} ${this.abbreviation(ms)}`;
  }

  /** The zone's short name at that time. @param {number} ms since 1970 */
  abbreviation(ms) {
    return this.#in().name.formatToParts(ms).find((part) => part.type === "timeZoneName")?.value ?? "";
  }

  #in() {
    const zone = this.zone;
    if (this.#formats?.zone === zone) return this.#formats;
    const timeZone = zone === "utc" ? "UTC" : undefined;
    this.#formats = {
      zone,
      clock: new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone }),
      full: new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone }),
      name: new Intl.DateTimeFormat("en", { timeZoneName: "short", timeZone }),
    };
    return this.#formats;
  }
}

/** "42 s", "7 min", "3 h", "2 d" @param {number} ms */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
