// The view of the charts: how many events, how fast they reach the screens, how many tickets are open.

import { html, nothing, render } from "lit/html.js";
import uPlot from "uplot";
import { CHARTS, RANGES, dataOf, newest, said, summary } from "./figures.js";
import { part } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./figures.js").Chart} Chart */
/** @typedef {import("./figures.js").Data} Data */
/** @typedef {import("./figures.js").Figures} Figures */

const REFRESH_MS = 60_000;
const HEIGHT_PX = 152;
const PREF = "chartMinutes";
const FONT = "12px system-ui, sans-serif";

/** @param {PageState} page */
export function startCharts(page) {
  return new Charts(page, part("charts-view"));
}

class Charts {
  #page;
  #root;
  /** @type {Figures | null} */
  #figures = null;
  #trouble = "";
  /** @type {Map<string, Plot>} */
  #plots = new Map();
  /** @type {Set<string>} the charts whose table is shown */
  #tables = new Set();
  #timer = 0;
  /** @type {AbortController | null} */
  #asking = null;
  #told = "";

  /**
   * @param {PageState} page
   * @param {HTMLElement} root
   */
  constructor(page, root) {
    this.#page = page;
    this.#root = root;
    page.addEventListener("filter", () => this.#chosen());
    const anew = () => this.#isShown && this.#begin();
    page.times.watch(anew);
    page.prefs.watch(PREF, anew);
    document.addEventListener("visibilitychange", () => document.hidden || (this.#isShown && this.#refresh()));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
    this.#chosen();
  }

  get #minutes() {
    const kept = this.#page.prefs.get(PREF, 60);
    return RANGES.some(({ minutes }) => minutes === kept) ? kept : 60;
  }

  get #isShown() {
    return this.#timer !== 0;
  }

  #chosen() {
    const shown = this.#page.view === "charts";
    if (shown && !this.#isShown) {
      this.#timer = setInterval(() => document.hidden || this.#refresh(), REFRESH_MS);
      this.#begin();
    } else if (!shown && this.#isShown) this.#end();
  }

  /** Draw everything anew: the colours, the zone or the range are others. */
  #begin() {
    this.#destroy();
    this.#draw();
    this.#plot();
    this.#refresh();
  }

  #end() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#asking?.abort();
    this.#destroy();
    this.#figures = null;
    render(nothing, this.#root);
  }

  #destroy() {
    for (const plot of this.#plots.values()) plot.destroy();
    this.#plots.clear();
  }

  async #refresh() {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    try {
      const figures = await this.#page.http.get(`noc/stats/?minutes=${this.#minutes}`, { signal: asking.signal });
      if (asking.signal.aborted) return;
      this.#figures = figures;
      this.#trouble = "";
      this.#plot();
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#trouble = `These figures are not of now. ${error instanceof Error ? error.message : error}`;
    }
    this.#draw();
  }

  #draw() {
    const { times } = this.#page;
    render(
      html`
        <div class="ranges" role="group" aria-label="How far back">
          ${RANGES.map(
            ({ minutes, word }) => html`<button class="quiet" aria-pressed=${minutes === this.#minutes} @click=${() => this.#page.prefs.set(PREF, minutes)}>${word}</button>`,
          )}
          <span class="muted">Times in ${times.zoneName}</span>
          ${this.#trouble ? html`<span class="refusal" role="status">${this.#trouble}</span>` : nothing}
        </div>
        ${CHARTS.map((chart) => this.#chart(chart))}
        <p class="visually-hidden" role="status">${this.#told}</p>
      `,
      this.#root,
    );
  }

  #plot() {
    if (this.#figures === null) return;
    for (const chart of CHARTS) {
      const place = this.#root.querySelector(`[data-chart="${chart.id}"] .plot`);
      if (!(place instanceof HTMLElement)) continue;
      const data = dataOf(this.#figures, chart);
      const plot = this.#plots.get(chart.id);
      if (plot) plot.show(data);
      else this.#plots.set(chart.id, new Plot(place, chart, data, this.#page, () => this.#draw()));
    }
  }

  /** @param {Chart} chart */
  #chart(chart) {
    const data = this.#figures && dataOf(this.#figures, chart);
    const at = this.#plots.get(chart.id)?.pointed ?? (data ? newest(data) : -1);
    const table = this.#tables.has(chart.id);
    const toggle = () => {
      if (!this.#tables.delete(chart.id)) this.#tables.add(chart.id);
      this.#draw();
    };
    return html`<section class="chart" data-chart=${chart.id} aria-labelledby=${`chart-${chart.id}`}>
      <header>
        <h2 id=${`chart-${chart.id}`}>${chart.title}</h2>
        <ul class="legend">
          ${chart.lines.map(
            ({ key, word, dash }, n) => html`<li data-line=${key}>
              <svg class="dash" width="26" height="8" aria-hidden="true"><line x1="1" y1="4" x2="25" y2="4" stroke-width="2" stroke-dasharray=${dash.join(" ") || nothing}></line></svg>
              ${word} <b>${said(chart, data?.values[n]?.[at])}</b>
            </li>`,
          )}
          <li class="muted at">${data && at >= 0 ? this.#clock(data.times[at] ?? 0) : ""}</li>
        </ul>
        <button class="quiet" aria-expanded=${table} aria-controls=${`table-${chart.id}`} @click=${toggle}>${table ? "Hide table" : "Table"}</button>
      </header>
      <div
        class="plot"
        tabindex="0"
        role="img"
        aria-label=${data ? `${summary(chart, data, this.#clock)} Arrow keys go through the steps.` : `${chart.title}: loading.`}
        @keydown=${(/** @type {KeyboardEvent} */ event) => this.#key(event, chart)}
      ></div>
      <div class="figures" id=${`table-${chart.id}`} tabindex="0" role="region" aria-label=${`${chart.title}, as a table`} ?hidden=${!table}>${table && data ? this.#table(chart, data) : nothing}</div>
    </section>`;
  }

  /**
   * @param {Chart} chart
   * @param {Data} data
   */
  #table(chart, data) {
    const running = data.times.length - 1;
    return html`<table>
      <caption class="visually-hidden">${chart.title}, newest first</caption>
      <thead>
        <tr><th scope="col">Time</th>${chart.lines.map(({ word }) => html`<th scope="col">${word}</th>`)}</tr>
      </thead>
      <tbody>
        ${data.times.map((_, n) => {
          const at = running - n;
          return html`<tr data-at=${data.times[at]}>
            <th scope="row">${this.#clock(data.times[at] ?? 0)}${at === running ? " so far" : ""}</th>
            ${chart.lines.map(({ key }, line) => html`<td>${at === running && chart.id === "events" ? this.#figures?.events[key]?.[at] : said(chart, data.values[line]?.[at])}</td>`)}
          </tr>`;
        })}
      </tbody>
    </table>`;
  }

  /** 09:41 @param {number} seconds since 1970 */
  #clock = (seconds) => this.#page.times.clock(seconds * 1000).slice(0, 5);

  /**
   * @param {KeyboardEvent} event
   * @param {Chart} chart
   */
  #key(event, chart) {
    const plot = this.#plots.get(chart.id);
    if (!plot?.key(event.key) || this.#figures === null) return;
    event.preventDefault();
    event.stopPropagation();
    const data = dataOf(this.#figures, chart);
    const at = plot.pointed;
    this.#told = at === null ? "" : `${this.#clock(data.times[at] ?? 0)}: ${chart.lines.map(({ word }, n) => `${word} ${said(chart, data.values[n]?.[at])}`).join(", ")}`;
    this.#draw();
  }
}

/** One chart on its canvas. */
class Plot {
  /** The step under the pointer. @type {number | null} */
  pointed = null;

  #plot;
  #place;
  #sizes;

  /**
   * @param {HTMLElement} place
   * @param {Chart} chart
   * @param {Data} data
   * @param {PageState} page
   * @param {() => void} moved  another step is pointed at
   */
  constructor(place, chart, data, page, moved) {
    this.#place = place;
    const style = getComputedStyle(document.documentElement);
    /** @param {string} name */
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), font: FONT, ticks: { stroke: colour("--line"), width: 1, size: 4 }, grid: { stroke: colour("--line"), width: 1 } };
    const { times } = page;
    this.#plot = new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT_PX,
        padding: [8, 20, 0, 0],
        tzDate: (seconds) => (times.zone === "utc" ? uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000)),
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: "noc" }, points: { size: 7 } },
        scales: { x: { time: true }, y: chart.log ? { distr: 3, range: decades } : { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.1)] } },
        axes: [
          { ...axis, size: 30, values: (_plot, splits) => splits.map((at) => times.clock(at * 1000).slice(0, 5)) },
          { ...axis, size: 58, ...(chart.log ? { splits: powers } : {}), values: (_plot, splits) => splits.map((value) => (value === null ? "" : chart.say(value))) },
        ],
        series: [
          {},
          ...chart.lines.map((line) => ({
            label: line.word,
            stroke: colour(line.colour),
            width: 2,
            dash: line.dash,
            ...(chart.id === "open" && uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
          })),
        ],
        hooks: {
          setCursor: [
            (plot) => {
              const at = plot.cursor.idx ?? null;
              if (at === this.pointed) return;
              this.pointed = at;
              moved();
            },
          ],
        },
      },
      [data.times, ...data.values],
      place,
    );
    this.#sizes = new ResizeObserver(() => place.clientWidth && this.#plot.setSize({ width: place.clientWidth, height: HEIGHT_PX }));
    this.#sizes.observe(place);
  }

  /** @param {Data} data */
  show(data) {
    this.#plot.setData([data.times, ...data.values]);
  }

  /**
   * Go through the steps by the keys.
   * @param {string} key
   * @returns {boolean} whether it means anything here
   */
  key(key) {
    const last = this.#plot.data[0].length - 1;
    const from = this.pointed ?? last + 1;
    /** @type {Record<string, number>} */
    const goals = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    const goal = goals[key];
    if (goal === undefined) return false;
    const at = Math.min(last, Math.max(0, goal));
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#plot.data[0][at] ?? 0, "x"), top: 0 });
    return true;
  }

  destroy() {
    this.#sizes.disconnect();
    this.#plot.destroy();
    this.#place.replaceChildren();
  }
}

/**
 * A line for each power of ten.
 * @param {uPlot} _plot
 * @param {number} _axis
 * @param {number} low
 * @param {number} high
 */
function powers(_plot, _axis, low, high) {
  const first = Math.round(Math.log10(low));
  return Array.from({ length: Math.round(Math.log10(high)) - first + 1 }, (_, n) => 10 ** (first + n));
}

/**
 * Whole decades around what is shown, for lines that are read by their order of magnitude.
 * @param {uPlot} _plot
 * @param {number | null} low
 * @param {number | null} high
 * @returns {[number, number]}
 */
function decades(_plot, low, high) {
  if (!low || !high) return [0.001, 10];
  return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high * 1.001))];
}
