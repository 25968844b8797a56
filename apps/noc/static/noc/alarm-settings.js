// What an operator chooses about alarms: what sounds by severity, and the hours that are quiet. Read back from what this
// browser stored, which may be of any age.

import { localZone } from "./times.js";
import { LEVEL } from "./words.js";

/** @typedef {"none" | "once" | "repeat"} Sound */
/** @typedef {{sound: Sound, minutes: number, desktop: boolean}} Level `minutes`: between repeats */
/**
 * Hours of the clock on the wall: how times are shown is another choice, which does not move them.
 * @typedef {object} Quiet
 * @property {boolean} on
 * @property {string} from  like "22:00"; after `to` it goes over midnight
 * @property {string} to
 * @property {string} zone  IANA name; "" the browser's own
 */
/**
 * @typedef {object} Settings
 * @property {boolean} sound  whether this browser makes any
 * @property {number} volume  0 to 1
 * @property {Record<string, Level>} levels  by severity
 * @property {string} sightings  the lowest severity of findings and anomalies that rings; "" none
 * @property {boolean} viewOnly  only what the page's filter shows
 * @property {Quiet} quiet
 */

export const LEVELS = Object.keys(LEVEL); // the worst first
/** @type {readonly Sound[]} */
export const SOUNDS = ["none", "once", "repeat"];
/** @type {Record<string, Level>} */
const DEFAULTS = {
  CRITICAL: { sound: "repeat", minutes: 2, desktop: true },
  HIGH: { sound: "once", minutes: 5, desktop: false },
};
/** @type {Level} */
export const SILENT = { sound: "none", minutes: 5, desktop: false };

/** Of a zone: making one takes long, and the time is asked for every second. @type {Map<string, Intl.DateTimeFormat>} */
const CLOCKS = new Map();

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
    quiet: { on: quiet?.on === true, from: timeOf(quiet?.from, "22:00"), to: timeOf(quiet?.to, "06:00"), zone: zoneOf(quiet?.zone) },
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

/** @param {any} stored */
function zoneOf(stored) {
  if (typeof stored !== "string" || !stored) return "";
  try {
    clockOf(stored);
    return stored;
  } catch {
    return ""; // this browser does not know it
  }
}

/** @param {string} zone */
function clockOf(zone) {
  const clock = CLOCKS.get(zone) ?? new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone });
  CLOCKS.set(zone, clock);
  return clock;
}

/** The IANA name of the zone that the hours are of. @param {Pick<Quiet, "zone">} quiet */
export const quietZone = ({ zone }) => zone || localZone();

/**
 * Whether the hours are quiet.
 * @param {Quiet} quiet
 * @param {number} now  ms since 1970
 */
export function isQuiet({ on, from, to, zone }, now) {
  if (!on || from === to) return false;
  const time = clockOf(quietZone({ zone })).format(now);
  return from < to ? from <= time && time < to : from <= time || time < to;
}
