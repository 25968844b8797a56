// What rings, and when. It knows neither sound nor page: alarms go in as tickets become unacknowledged and end as they
// are taken notice of; what comes out is at most one ring at a time, for all that came with it.
//
// Note [No storm]: what came while the page was not live (a snapshot, frames that catch up) is judged once, when it is
// live again: one ring if something critical is among it that this browser did not know, else none.

import { LEVEL } from "./words.js";

/** @typedef {"none" | "once" | "repeat"} Sound */
/** @typedef {{sound: Sound, minutes: number, desktop: boolean}} Level `minutes`: between repeats */
/** @typedef {{on: boolean, from: string, to: string}} Quiet  as "22:00"; `from` after `to` goes over midnight */
/**
 * @typedef {object} Settings
 * @property {boolean} sound  whether this browser makes any
 * @property {number} volume  0 to 1
 * @property {Record<string, Level>} levels  by severity
 * @property {string} sightings  the lowest severity of findings and anomalies that rings; "" none
 * @property {boolean} viewOnly  only what the page's filter shows
 * @property {Quiet} quiet
 */
/**
 * @typedef {object} Alarm
 * @property {string} key  "ticket:12", "finding:7"
 * @property {string} severity
 * @property {string} text  for one line
 * @property {string} [group]  of tickets that may be in flood together
 * @property {number} [ticket]  its id: it stands until it is acknowledged. Other alarms ring once.
 */
/** @typedef {{alarm: Alarm, dueAt: number}} Standing `dueAt`: when it rings again, ms since 1970 */
/**
 * @typedef {object} Ring
 * @property {"new" | "again" | "away"} reason  `away`: it came while the page was not live
 * @property {string | null} sound  the severity whose figure is played
 * @property {boolean} desktop
 * @property {Alarm[]} alarms
 */
/** @typedef {{live: boolean, muted: boolean, quiet: boolean, concerns?: (alarm: Alarm) => boolean}} Moment */

export const LEVELS = Object.keys(LEVEL);
export const COALESCE_MS = 1_500; // what comes in this time rings together
const CRITICAL = LEVELS[0];
const MINUTE_MS = 60_000;
/** @type {readonly Sound[]} */
export const SOUNDS = ["none", "once", "repeat"];
/** @type {Record<string, Level>} */
const DEFAULTS = {
  CRITICAL: { sound: "repeat", minutes: 2, desktop: true },
  HIGH: { sound: "once", minutes: 5, desktop: false },
};
/** @type {Level} */
const SILENT = { sound: "none", minutes: 5, desktop: false };

/** 0 is the worst. @param {string} severity */
const rank = (severity) => (LEVELS.includes(severity) ? LEVELS.indexOf(severity) : LEVELS.length);
/** @type {(a: string, b: string) => boolean} */
export const isWorse = (a, b) => rank(a) < rank(b);

/**
 * Read what was stored. What is not understood is as by default.
 * @param {any} stored
 * @returns {Settings}
 */
export function settingsOf(stored) {
  const { sound, volume, levels, sightings, viewOnly, quiet } = stored ?? {};
  return {
    sound: sound !== false,
    volume: typeof volume === "number" && volume >= 0 && volume <= 1 ? volume : 0.6,
    levels: Object.fromEntries(LEVELS.map((level) => [level, levelOf(levels?.[level], DEFAULTS[level] ?? SILENT)])),
    sightings: LEVELS.includes(sightings) ? sightings : "",
    viewOnly: viewOnly === true,
    quiet: { on: quiet?.on === true, from: timeOf(quiet?.from, "22:00"), to: timeOf(quiet?.to, "06:00") },
  };
}

/**
 * @param {any} stored
 * @param {Level} otherwise
 * @returns {Level}
 */
function levelOf(stored, otherwise) {
  const { sound, minutes, desktop } = stored ?? {};
  return {
    sound: SOUNDS.includes(sound) ? sound : otherwise.sound,
    minutes: Number.isInteger(minutes) && minutes >= 1 && minutes <= 60 ? minutes : otherwise.minutes,
    desktop: typeof desktop === "boolean" ? desktop : otherwise.desktop,
  };
}

/**
 * @param {any} stored
 * @param {string} otherwise
 */
const timeOf = (stored, otherwise) => (typeof stored === "string" && /^([01]\d|2[0-3]):[0-5]\d$/.test(stored) ? stored : otherwise);

/**
 * Whether the hours are quiet.
 * @param {Quiet} quiet
 * @param {string} time  "23:30", in the zone of the hours
 */
export function isQuiet({ on, from, to }, time) {
  if (!on || from === to) return false;
  return from < to ? from <= time && time < to : from <= time || time < to;
}

/**
 * Whether a change of a ticket is an alarm: it is unacknowledged, and was not or is more severe than it was.
 * @param {{unacknowledged: boolean, severity: string} | null} before
 * @param {{unacknowledged: boolean, severity: string}} after
 */
export const alarming = (before, after) => after.unacknowledged && (!before?.unacknowledged || isWorse(after.severity, before.severity));

export class AlarmRules {
  /** @type {Settings} */
  settings;
  /** The groups in flood: each rings once, and again for something worse. @type {ReadonlySet<string>} */
  #flooded = new Set();
  /** @type {Map<string, string>} of a flood: the worst severity that it rang for */
  #floodRang = new Map();
  /** @type {Map<string, Standing>} */
  #standing = new Map();
  /** @type {Map<string, Alarm>} what rings next, together */
  #burst = new Map();
  #burstAt = 0;
  /** @type {Map<string, Alarm>} what came while the page was not live */
  #missed = new Map();
  /** @type {Set<string>} critical alarms that this browser knew when the page was opened */
  #known;
  /** @type {Map<string, number>} until when, ms since 1970 */
  #snoozes;

  /** @param {{settings: Settings, known?: Iterable<string>, snoozes?: Iterable<[string, number]>}} options */
  constructor({ settings, known = [], snoozes = [] }) {
    this.settings = settings;
    this.#known = new Set(known);
    this.#snoozes = new Map(snoozes);
  }

  /** The critical alarms that stand: what the next page of this browser need not ring for. */
  get known() {
    return [...this.#standing].flatMap(([key, { alarm }]) => (alarm.severity === CRITICAL ? [key] : []));
  }

  get snoozes() {
    return [...this.#snoozes];
  }

  /**
   * @param {Settings} settings
   * @param {number} now
   */
  settle(settings, now) {
    const before = this.settings.levels;
    this.settings = settings;
    for (const { alarm } of this.#standing.values()) {
      if (JSON.stringify(before[alarm.severity]) === JSON.stringify(this.#level(alarm))) continue;
      const until = this.snoozedUntil(alarm.key, now);
      if (until === null) this.#again(alarm, now);
      else this.snooze(alarm.key, until, now);
    }
  }

  /**
   * Something is to be taken notice of.
   * @param {Alarm} alarm
   * @param {number} now
   * @param {boolean} live
   */
  rise(alarm, now, live) {
    if (alarm.ticket !== undefined) this.#standing.set(alarm.key, { alarm, dueAt: Infinity });
    this.#snoozes.delete(alarm.key); // it is another alarm than the one that was put off
    if (!live) {
      this.#missed.set(alarm.key, alarm);
      return;
    }
    const group = alarm.group ?? "";
    if (this.#flooded.has(group)) {
      const rang = this.#floodRang.get(group);
      if (rang !== undefined && !isWorse(alarm.severity, rang)) return this.#again(alarm, now);
      this.#floodRang.set(group, alarm.severity);
    }
    if (this.#burst.size === 0) this.#burstAt = now;
    this.#burst.set(alarm.key, alarm);
  }

  /**
   * A snapshot says that it is to be taken notice of. It rose meanwhile if it did not stand, or was less severe; that
   * what was put off does not stand only tells that the page was loaded again.
   * @param {Alarm} alarm
   * @param {number} now
   */
  found(alarm, now) {
    const stood = this.#standing.get(alarm.key)?.alarm;
    const until = this.snoozedUntil(alarm.key, now);
    if (stood ? isWorse(alarm.severity, stood.severity) : until === null) return this.rise(alarm, now, false);
    this.stand(alarm, now);
    if (until !== null) this.snooze(alarm.key, until, now);
  }

  /**
   * It stands, and there is nothing new about it.
   * @param {Alarm} alarm
   * @param {number} now
   */
  stand(alarm, now) {
    const standing = this.#standing.get(alarm.key);
    if (standing?.alarm.severity === alarm.severity) standing.alarm = alarm;
    else {
      this.#standing.set(alarm.key, { alarm, dueAt: Infinity });
      this.#again(alarm, now);
    }
  }

  /** It was taken notice of, or is gone. @param {string} key */
  fall(key) {
    this.#standing.delete(key);
    this.#burst.delete(key);
    this.#missed.delete(key);
    this.#known.delete(key);
    this.#snoozes.delete(key);
  }

  /** What repeats until it is acknowledged, the worst first. @param {number} now @returns {Alarm[]} */
  repeating(now) {
    const alarms = [...this.#standing.values()].map(({ alarm }) => alarm);
    return alarms.filter((alarm) => this.#level(alarm).sound === "repeat" && this.snoozedUntil(alarm.key, now) === null).sort((a, b) => rank(a.severity) - rank(b.severity));
  }

  /** How many stand. */
  get size() {
    return this.#standing.size;
  }

  /** @returns {string[]} */
  get keys() {
    return [...this.#standing.keys()];
  }

  /**
   * Put one off. When the time is over it rings again, if its severity rings at all.
   * @param {string} key
   * @param {number | null} until  ms since 1970; null ends it without a ring
   * @param {number} now
   */
  snooze(key, until, now) {
    const standing = this.#standing.get(key);
    if (until === null) this.#snoozes.delete(key);
    else this.#snoozes.set(key, until);
    if (!standing) return;
    standing.dueAt = until !== null && this.#level(standing.alarm).sound !== "none" ? until : Infinity;
    if (until === null) this.#again(standing.alarm, now);
  }

  /**
   * @param {string} key
   * @param {number} now
   * @returns {number | null} ms since 1970
   */
  snoozedUntil(key, now) {
    const until = this.#snoozes.get(key) ?? 0;
    return until > now ? until : null;
  }

  /** @param {ReadonlySet<string>} groups  those in flood now */
  flooded(groups) {
    for (const group of this.#floodRang.keys()) if (!groups.has(group)) this.#floodRang.delete(group);
    this.#flooded = new Set(groups);
  }

  /**
   * The page is live: Note [No storm].
   * @param {number} now
   * @param {Moment} moment
   * @returns {Ring | null}
   */
  caughtUp(now, moment) {
    const alarms = this.#audible([...this.#missed.values()], now, moment);
    this.#missed.clear();
    const unknown = alarms.filter(({ key, severity }) => severity === CRITICAL && !this.#known.has(key));
    this.#known.clear();
    for (const alarm of alarms) {
      const until = this.snoozedUntil(alarm.key, now);
      if (until === null) this.#again(alarm, now);
      else this.snooze(alarm.key, until, now);
    }
    return unknown.length ? this.#ringing("away", unknown, alarms, moment) : null;
  }

  /**
   * What is to ring now.
   * @param {number} now
   * @param {Moment} moment
   * @returns {Ring | null}
   */
  ring(now, moment) {
    if (this.#burst.size && now >= this.#burstAt + COALESCE_MS) {
      const alarms = this.#audible([...this.#burst.values()], now, moment);
      this.#burst.clear();
      for (const alarm of alarms) this.#again(alarm, moment.muted || moment.quiet ? -Infinity : now);
      if (alarms.length) return this.#ringing("new", alarms, alarms, moment);
    }
    if (!moment.live || moment.muted || moment.quiet) return null; // a repeat waits until it is heard
    const due = new Set([...this.#standing.values()].flatMap(({ alarm, dueAt }) => (dueAt <= now ? [alarm.severity] : [])));
    if (!due.size) return null;
    const standing = [...this.#standing.values()].filter(({ alarm, dueAt }) => dueAt <= now || (due.has(alarm.severity) && dueAt < Infinity));
    const alarms = this.#audible(standing.map(({ alarm }) => alarm), now, moment);
    for (const each of standing) {
      const until = this.snoozedUntil(each.alarm.key, now);
      if (until === null) this.#again(each.alarm, now);
      else each.dueAt = until;
    }
    return alarms.length ? this.#ringing("again", alarms, alarms, moment) : null;
  }

  /** @param {Alarm} alarm */
  #level({ severity }) {
    return this.settings.levels[severity] ?? SILENT;
  }

  /**
   * Say when it rings next.
   * @param {Alarm} alarm
   * @param {number} now  -Infinity: as soon as it can be heard
   */
  #again(alarm, now) {
    const standing = this.#standing.get(alarm.key);
    const { sound, minutes } = this.#level(alarm);
    if (standing) standing.dueAt = sound === "repeat" ? now + minutes * MINUTE_MS : Infinity;
  }

  /**
   * @param {Alarm[]} alarms
   * @param {number} now
   * @param {Moment} moment
   */
  #audible(alarms, now, { concerns = () => true }) {
    return alarms.filter((alarm) => this.snoozedUntil(alarm.key, now) === null && concerns(alarm));
  }

  /**
   * @param {Ring["reason"]} reason
   * @param {Alarm[]} causes  by whose levels it rings
   * @param {Alarm[]} alarms  what it tells of
   * @param {Moment} moment
   * @returns {Ring | null}
   */
  #ringing(reason, causes, alarms, { muted, quiet }) {
    const loud = causes.filter((alarm) => this.#level(alarm).sound !== "none").sort((a, b) => rank(a.severity) - rank(b.severity));
    const sound = muted || quiet || !loud.length ? null : loud[0].severity;
    const desktop = !quiet && causes.some((alarm) => this.#level(alarm).desktop);
    return sound || desktop ? { reason, sound, desktop, alarms } : null;
  }
}

/** "5 new tickets, 2 critical" @param {Ring} ring */
export function told({ reason, alarms }) {
  const [only] = alarms;
  if (alarms.length === 1) return `${reason === "again" ? "Not acknowledged: " : ""}${only.text}`;
  const tickets = alarms.filter(({ ticket }) => ticket !== undefined).length;
  const others = alarms.length - tickets;
  const what = [tickets && `${tickets} ${reason === "again" ? "unacknowledged" : "new"} ticket${tickets > 1 ? "s" : ""}`, others && `${others} finding${others > 1 ? "s" : ""} or anomal${others > 1 ? "ies" : "y"}`];
  const worst = alarms.filter(({ severity }) => severity === CRITICAL).length;
  return [...what, worst && `${worst} critical`].filter(Boolean).join(", ");
}
