// What rings, and when. It knows neither sound nor page: alarms go in as tickets become unacknowledged and end as they
// are taken notice of; what comes out is at most one ring at a time, for all that came with it.
//
// Note [No storm]: what came while the page was not live (a snapshot, frames that catch up) rings as one, with all that
// rings then, when it is live again. It is what was not known before: to a page that has been live, all that did not
// stand; to one that was just opened, what came after its snapshot, and of that itself what is critical and this
// browser did not know.

import { LEVELS, SILENT } from "./alarm-settings.js";

/** @typedef {import("./alarm-settings.js").Settings} Settings */
/**
 * @typedef {object} Alarm
 * @property {string} key  "ticket:12", "finding:7"
 * @property {string} severity
 * @property {string} text  for one line
 * @property {string} [group]  of tickets that may be in flood together
 * @property {number} [ticket]  its id: it stands until it is acknowledged. Other alarms ring once.
 */
/**
 * @typedef {object} Standing
 * @property {Alarm} alarm
 * @property {boolean} told  it rang, or it need not: there is nothing new about it. Else it rings when it concerns somebody.
 * @property {number} dueAt  when it rings again, ms since 1970
 */
/**
 * @typedef {object} Ring
 * @property {"new" | "again" | "away"} reason  `away`: it came while the page was not live
 * @property {string | null} sound  the severity whose figure is played
 * @property {boolean} desktop
 * @property {Alarm[]} alarms
 */
/**
 * @typedef {object} Moment
 * @property {boolean} live
 * @property {boolean} muted
 * @property {boolean} quiet
 * @property {boolean} [blocked]  the browser holds sound back, which nobody asked for: it is made up for
 * @property {(alarm: Alarm) => boolean} [concerns]  else all do
 */

export const COALESCE_MS = 1_500; // what comes in this time rings together
const CRITICAL = LEVELS[0];
const MINUTE_MS = 60_000;

/** 0 is the worst. @param {string} severity */
const rank = (severity) => (LEVELS.includes(severity) ? LEVELS.indexOf(severity) : LEVELS.length);
/** @type {(a: string, b: string) => boolean} */
export const isWorse = (a, b) => rank(a) < rank(b);

/**
 * Whether a change of a ticket is an alarm: it is unacknowledged, and was not or is more severe than it was.
 * @param {{unacknowledged: boolean, severity: string} | null} before
 * @param {{unacknowledged: boolean, severity: string}} after
 */
export const alarming = (before, after) => after.unacknowledged && (!before?.unacknowledged || isWorse(after.severity, before.severity));

/** @param {Moment} moment */
const isHeard = ({ muted, quiet }) => !muted && !quiet;

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
  #away = false; // something of the burst came while the page was not live
  /** @type {Map<string, Alarm>} what was to sound while the browser held sound back */
  #unheard = new Map();
  /** @type {Map<string, Alarm>} what came while the page was not live, until it is */
  #missed = new Map();
  /** @type {Set<string> | null} critical alarms that this browser knew when the page was opened; null: it has been live */
  #known;
  /** @type {Map<string, number>} until when, ms since 1970 */
  #snoozes;

  /** @param {{settings: Settings, known?: Iterable<string>, snoozes?: Iterable<[string, number]>}} options */
  constructor({ settings, known = [], snoozes = [] }) {
    this.settings = settings;
    this.#known = new Set(known);
    this.#snoozes = new Map(snoozes);
  }

  /**
   * The critical alarms that stand and were told, aloud if they could be: what the next page of this browser need not ring for.
   * @param {readonly string[]} [elsewhere]  what was told in other tabs, which may show other views
   */
  known(elsewhere = []) {
    const others = new Set(elsewhere);
    return [...this.#standing].flatMap(([key, { alarm, told }]) => (alarm.severity === CRITICAL && ((told && !this.#unheard.has(key)) || others.has(key)) ? [key] : []));
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
    if (alarm.ticket !== undefined) this.#standing.set(alarm.key, { alarm, told: false, dueAt: Infinity });
    this.#snoozes.delete(alarm.key); // it is another alarm than the one that was put off
    if (live) this.#join(alarm, now);
    else this.#missed.set(alarm.key, alarm);
  }

  /**
   * A snapshot says that it is to be taken notice of. It rose meanwhile if it stood and was less severe, or did not
   * stand: Note [No storm]. That what was put off does not stand only tells that the page was loaded again.
   * @param {Alarm} alarm
   * @param {number} now
   * @param {Moment} moment
   */
  found(alarm, now, { concerns = () => true }) {
    const stood = this.#standing.get(alarm.key)?.alarm;
    const until = this.snoozedUntil(alarm.key, now);
    const known = this.#known?.has(alarm.key) ?? false;
    const unheardOf = this.#known === null || (alarm.severity === CRITICAL && !known);
    if (stood ? isWorse(alarm.severity, stood.severity) : until === null && unheardOf) return this.rise(alarm, now, false);
    if (stood) this.stand(alarm, now);
    else this.#put(alarm, known || concerns(alarm), now);
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
    else this.#put(alarm, standing?.told ?? true, now);
  }

  /** It was taken notice of, or is gone. @param {string} key */
  fall(key) {
    this.#standing.delete(key);
    this.#burst.delete(key);
    this.#unheard.delete(key);
    this.#missed.delete(key);
    this.#known?.delete(key);
    this.#snoozes.delete(key);
  }

  /**
   * What repeats until it is acknowledged, the worst first.
   * @param {number} now
   * @param {Moment} moment
   */
  repeating(now, moment) {
    const alarms = [...this.#standing.values()].map(({ alarm }) => alarm);
    return alarms.filter((alarm) => this.#level(alarm).sound === "repeat" && this.#isAudible(alarm, now, moment)).sort((a, b) => rank(a.severity) - rank(b.severity));
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
    this.#unheard.delete(key);
    if (!standing) return;
    standing.told = true;
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

  /** The page is live: Note [No storm]. @param {number} now */
  caughtUp(now) {
    this.#known = null;
    for (const alarm of this.#missed.values()) this.#join(alarm, now);
    if (this.#missed.size) this.#away = true;
    this.#missed.clear();
  }

  /**
   * What is to ring now. While a burst waits, all waits for it.
   * @param {number} now
   * @param {Moment} moment
   * @returns {Ring | null}
   */
  ring(now, moment) {
    if (moment.live) this.#enter(now, moment);
    if (this.#burst.size && now < this.#burstAt + COALESCE_MS) return null;
    const newly = this.#away ? "away" : "new";
    const news = this.#news(now, moment);
    const due = moment.live && isHeard(moment) ? this.#due(now, moment) : []; // a repeat waits until it is heard
    const owed = moment.live && isHeard(moment) && !moment.blocked ? this.#owed(now, moment) : [];
    for (const alarm of [...due, ...owed]) this.#again(alarm, now);
    const sound = this.#sound([...news, ...due, ...owed], moment);
    const isNew = news.some((alarm) => this.#rings(alarm));
    const desktop = !moment.quiet && (isNew ? news : due).some((alarm) => this.#level(alarm).desktop);
    if (!sound && !desktop) return null;
    return isNew ? { reason: newly, sound, desktop, alarms: news } : { reason: "again", sound, desktop, alarms: [...new Set([...due, ...owed])] };
  }

  /**
   * Take the burst. Of a flood only what is worse than what it rang for is news.
   * @param {number} now
   * @param {Moment} moment
   */
  #news(now, moment) {
    const alarms = [...this.#burst.values()].filter((alarm) => this.#isAudible(alarm, now, moment));
    this.#burst.clear();
    this.#away = false;
    for (const alarm of alarms) {
      const standing = this.#standing.get(alarm.key);
      if (standing) standing.told = true;
      this.#again(alarm, isHeard(moment) ? now : -Infinity);
    }
    const news = alarms.filter(({ group = "", severity }) => {
      const rang = this.#flooded.has(group) ? this.#floodRang.get(group) : undefined;
      return rang === undefined || isWorse(severity, rang);
    });
    for (const { group = "", severity } of news) {
      if (this.#flooded.has(group) && !isWorse(this.#floodRang.get(group) ?? "", severity)) this.#floodRang.set(group, severity);
    }
    return news;
  }

  /**
   * What is to ring again, and what else of its severities repeats: it is one sound.
   * @param {number} now
   * @param {Moment} moment
   */
  #due(now, moment) {
    const repeats = [...this.#standing.values()].filter(({ alarm, dueAt }) => dueAt < Infinity && this.#isAudible(alarm, now, moment));
    const severities = new Set(repeats.flatMap(({ alarm, dueAt }) => (dueAt <= now ? [alarm.severity] : [])));
    return repeats.flatMap(({ alarm }) => (severities.has(alarm.severity) ? [alarm] : []));
  }

  /**
   * Take what was not heard, and is still to be.
   * @param {number} now
   * @param {Moment} moment
   */
  #owed(now, moment) {
    return [...this.#unheard].flatMap(([key, unheard]) => {
      const alarm = this.#standing.get(key)?.alarm ?? unheard;
      if (!this.#isAudible(alarm, now, moment)) return [];
      this.#unheard.delete(key);
      return [alarm];
    });
  }

  /**
   * What was not told when it rose, as it concerned nobody, may do so now.
   * @param {number} now
   * @param {Moment} moment
   */
  #enter(now, moment) {
    for (const { alarm, told } of this.#standing.values()) {
      if (!told && !this.#burst.has(alarm.key) && this.#isAudible(alarm, now, moment)) this.#join(alarm, now);
    }
  }

  /**
   * @param {Alarm} alarm
   * @param {boolean} told
   * @param {number} now
   */
  #put(alarm, told, now) {
    this.#standing.set(alarm.key, { alarm, told, dueAt: Infinity });
    this.#again(alarm, now);
  }

  /**
   * @param {Alarm} alarm
   * @param {number} now
   */
  #join(alarm, now) {
    if (this.#burst.size === 0) {
      this.#burstAt = now;
      this.#away = false;
    }
    this.#burst.set(alarm.key, alarm);
  }

  /** @param {Alarm} alarm */
  #rings(alarm) {
    const { sound, desktop } = this.#level(alarm);
    return sound !== "none" || desktop;
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
    if (standing) standing.dueAt = standing.told && sound === "repeat" ? now + minutes * MINUTE_MS : Infinity;
  }

  /**
   * @param {Alarm} alarm
   * @param {number} now
   * @param {Moment} moment
   */
  #isAudible(alarm, now, { concerns = () => true }) {
    return this.snoozedUntil(alarm.key, now) === null && concerns(alarm);
  }

  /**
   * The worst of what sounds, if it can be heard now.
   * @param {Alarm[]} alarms
   * @param {Moment} moment
   */
  #sound(alarms, moment) {
    const loud = alarms.filter((alarm) => this.#level(alarm).sound !== "none").sort((a, b) => rank(a.severity) - rank(b.severity));
    if (!isHeard(moment) || !loud.length) return null;
    if (!moment.blocked) return loud[0].severity;
    for (const alarm of loud) this.#unheard.set(alarm.ticket === undefined ? alarm.severity : alarm.key, alarm); // of what does not stand, the last
    return null;
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
