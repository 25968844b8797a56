// The figures of the charts, as the server counts them, made ready to be drawn and to be read.

/** @typedef {(number | null)[]} Values */
/** @typedef {{from: string, to: string, step_s: number, events: Record<string, number[]>, delivery: Record<string, Values>, open: Record<string, Values>}} Figures `noc/stats/` */
/** @typedef {{key: string, word: string, colour: string, dash: number[]}} Line `colour`: the name of a variable in noc.css */
/** @typedef {{id: "events" | "delivery" | "open", title: string, log: boolean, lines: readonly Line[], say: (value: number) => string}} Chart */
/** @typedef {{times: number[], values: Values[]}} Data `times`: the beginnings of the steps, in seconds since 1970 */

export const RANGES = [
  { minutes: 60, word: "1 h" },
  { minutes: 360, word: "6 h" },
  { minutes: 1440, word: "24 h" },
];

const SOLID = /** @type {number[]} */ ([]);
/** The lines of a chart differ in their dashes too. @type {readonly Chart[]} */
export const CHARTS = [
  {
    id: "events",
    title: "Events per minute",
    log: false,
    lines: [
      { key: "ticket", word: "Tickets", colour: "--new", dash: SOLID },
      { key: "finding", word: "Findings", colour: "--hold", dash: [6, 3] },
      { key: "anomaly", word: "Anomalies", colour: "--high", dash: [2, 3] },
    ],
    say: (value) => amount(value),
  },
  {
    id: "delivery",
    title: "From a change to the screen",
    log: true,
    lines: [
      { key: "p50_s", word: "Half within", colour: "--progress", dash: SOLID },
      { key: "p95_s", word: "95 % within", colour: "--critical", dash: [6, 3] },
    ],
    say: (value) => duration(value),
  },
  {
    id: "open",
    title: "Open tickets",
    log: false,
    lines: [
      { key: "NEW", word: "New", colour: "--new", dash: SOLID },
      { key: "IN_PROGRESS", word: "In progress", colour: "--progress", dash: [8, 3] },
      { key: "ON_HOLD", word: "On hold", colour: "--hold", dash: [2, 3] },
      { key: "RESOLVED", word: "Resolved", colour: "--resolved", dash: [9, 3, 2, 3] },
    ],
    say: (value) => amount(value),
  },
];

/**
 * What a chart shows. The step that still runs has seen a part of its events only, so their rate is left out.
 * @param {Figures} figures
 * @param {Chart} chart
 * @returns {Data}
 */
export function dataOf(figures, chart) {
  const begin = Date.parse(figures.from) / 1000;
  const lists = chart.lines.map(({ key }) => figures[chart.id][key] ?? []);
  const times = Array.from({ length: lists[0]?.length ?? 0 }, (_, n) => begin + n * figures.step_s);
  if (chart.id !== "events") return { times, values: lists };
  const perMinute = 60 / figures.step_s;
  return { times, values: lists.map((list) => list.map((value, n) => (value === null || n === list.length - 1 ? null : value * perMinute))) };
}

/**
 * The number of the last step of which anything is known; -1: of none.
 * @param {Data} data
 */
export function newest({ times, values }) {
  let at = times.length - 1;
  while (at >= 0 && values.every((list) => list[at] === null || list[at] === undefined)) at -= 1;
  return at;
}

/**
 * A chart in one sentence, for who does not see it.
 * @param {Chart} chart
 * @param {Data} data
 * @param {(seconds: number) => string} clock
 */
export function summary(chart, data, clock) {
  const at = newest(data);
  if (at < 0) return `${chart.title}: nothing is known.`;
  const parts = chart.lines.map(({ word }, n) => {
    const list = data.values[n] ?? [];
    const most = list.reduce((/** @type {number | null} */ high, value) => (value !== null && (high === null || value > high) ? value : high), null);
    return `${word} ${said(chart, list[at])}${most === null ? "" : `, at most ${chart.say(most)}`}`;
  });
  return `${chart.title} at ${clock(data.times[at] ?? 0)}: ${parts.join("; ")}.`;
}

/**
 * @param {Chart} chart
 * @param {number | null | undefined} value
 */
export const said = (chart, value) => (value === null || value === undefined ? "-" : chart.say(value));

/** "0", "2.4", "1,200" @param {number} value */
export const amount = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });

/** "12 ms", "1.4 s", "2 min" @param {number} seconds */
export function duration(seconds) {
  if (seconds < 0.9995) return `${three(seconds * 1000)} ms`;
  return seconds < 99.95 ? `${three(seconds)} s` : `${three(seconds / 60)} min`;
}

/** Three digits at most, and no zeros behind the point. @param {number} value */
const three = (value) => String(Number(value.toPrecision(value < 100 ? 2 : 3)));
