// The list of findings or of anomalies, newest first, followed live. While somebody is at it, new ones wait.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { number } from "./activity.js";
import { levelMark } from "./marks.js";
import { part } from "./page.js";
import { PAGE, SightingPages, sightingOf } from "./sighting-pages.js";
import { soon } from "./soon.js";
import { age } from "./times.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {import("./sighting-pages.js").Sighting} Sighting */
/** @typedef {import("./noc-feed.js").EventFrame} EventFrame */

const DRAW_MS = 250;
const RESTART_MS = 2_000; // at most this often is the first page asked for by itself
const AGAIN_MS = 10_000; // after no answer
const RELEASE_MS = 600; // the pointer may slip off the list for this long
const AGE_MS = 5_000;
const SCROLLED_PX = 60;
const PATH = { finding: "noc/findings/", anomaly: "noc/anomalies/" };
const TYPE = { finding: "finding_created", anomaly: "anomaly_detected" };
const NONE = { finding: "No finding matches.", anomaly: "No anomaly matches." };

/** @param {PageState} page */
export function startSightings(page) {
  const root = part("sightings-view");
  const pages = new SightingPages();
  let asked = ""; // the address whose rows are shown
  let state = /** @type {"loading" | "ready" | "failed"} */ ("loading");
  let trouble = "";
  let hovered = false;
  const drawSoon = soon(draw, DRAW_MS);
  let restartTimer = 0;
  let renewTimer = 0;
  let releaseTimer = 0;
  let restartedAt = -RESTART_MS;
  let request = new AbortController();

  const kind = () => (page.filter.kind === "ticket" || page.view !== "list" ? null : page.filter.kind);
  const isHeld = () => hovered || scrollY >= SCROLLED_PX || root.querySelector("tbody")?.contains(document.activeElement) === true;

  /** Show what the filter says; the same as before stays as it is. */
  function follow() {
    const shown = kind();
    const address = shown === null ? "" : addressOf(page.filter);
    if (address === asked) return;
    asked = address;
    request.abort();
    if (!address) return;
    state = "loading";
    pages.restart({ results: [], next: null });
    draw();
    void restart();
  }

  async function restart() {
    clearTimeout(restartTimer);
    restartTimer = 0;
    restartedAt = performance.now();
    pages.asks();
    await fetchPage(asked, (answer) => pages.restart(answer));
  }

  function restartSoon() {
    if (!asked) return;
    restartTimer ||= setTimeout(() => {
      restartTimer = 0;
      if (!isHeld()) void restart(); // else when it is let go of
    }, Math.max(0, restartedAt + RESTART_MS - performance.now()));
  }

  /** Ask for what may have come unseen. Nothing moves for it but what would for one that is told live. */
  async function renew() {
    const address = asked;
    if (!address) return;
    try {
      const answer = await page.http.get(address);
      if (address === asked) pages.renew(answer, isHeld());
      if (pages.behind && !isHeld()) release();
      draw();
    } catch {
      renewSoon(AGAIN_MS);
    }
  }

  /** Not by all pages in one moment. */
  function renewSoon(ms = 0) {
    renewTimer ||= setTimeout(() => {
      renewTimer = 0;
      void renew();
    }, ms + RESTART_MS * Math.random());
  }

  async function older() {
    if (pages.next) await fetchPage(PATH[kind() ?? "finding"] + new URL(pages.next).search, (answer) => pages.older(answer));
  }

  /**
   * @param {string} address
   * @param {(answer: import("./sighting-pages.js").ServerPage) => void} take
   */
  async function fetchPage(address, take) {
    request.abort();
    const mine = (request = new AbortController());
    try {
      const answer = await page.http.get(address, { signal: mine.signal });
      if (mine.signal.aborted) return;
      take(answer);
      state = "ready";
      trouble = "";
    } catch (error) {
      if (mine.signal.aborted) return;
      state = "failed";
      trouble = error instanceof Error ? error.message : String(error);
    }
    draw();
  }

  /** @param {EventFrame} frame */
  function happened(frame) {
    const shown = kind();
    if (shown === null) return;
    if (frame.type === "event_failed" && frame.event_type === TYPE[shown]) return renewSoon();
    if (frame.type !== TYPE[shown]) return;
    const sighting = sightingOf(frame);
    if (!page.filter.matchesSighting(sighting)) return;
    pages.take(sighting, isHeld());
    if (pages.spent) restartSoon();
    drawSoon();
  }

  function letIn() {
    scrollTo({ top: 0 });
    if (pages.past || pages.behind) void restart();
    else pages.letIn();
    draw();
  }

  /** Nobody is at it any more. Who loaded older pages keeps them. */
  function release() {
    if (pages.behind ? !pages.past && !pages.deep : pages.spent) restartSoon();
    else pages.letIn();
  }

  /** @param {boolean} inside */
  function hover(inside) {
    clearTimeout(releaseTimer);
    if (inside) hovered = true;
    else
      releaseTimer = setTimeout(() => {
        hovered = false;
        if (!isHeld()) release();
        draw();
      }, RELEASE_MS);
  }

  function draw() {
    const shown = kind();
    if (shown === null) return;
    const { rows, waiting, next } = pages;
    render(
      html`${waiting ? html`<button class="held" @click=${letIn}>${waiting}${pages.uncounted ? " or more" : ""} new</button>` : nothing}
        <table class="sightings">
          <thead>
            <tr>
              <th scope="col" class="severity">Severity</th>
              ${shown === "finding" ? html`<th scope="col">Finding</th>` : html`<th scope="col">Metric</th><th scope="col" class="figure">Observed</th><th scope="col" class="figure">Expected</th>`}
              <th scope="col" class="site_name">Site</th>
              <th scope="col" class="at">${shown === "finding" ? "Found" : "Detected"}</th>
              <th scope="col" class="age">Age</th>
            </tr>
          </thead>
          <tbody>${repeat(rows, ({ id }) => `${shown}${id}`, row)}</tbody>
        </table>
        ${trouble ? html`<p class="empty refusal" role="alert">${trouble} <button @click=${() => void restart()}>Try again</button></p>` : nothing}
        ${state === "loading" ? html`<p class="empty muted">Loading</p>` : nothing}
        ${state === "ready" && rows.length === 0 ? html`<p class="empty muted">${NONE[shown]}</p>` : nothing}
        ${pages.past || next
          ? html`<p class="pager">
              ${pages.past ? html`<button class="quiet" @click=${letIn}>Back to the newest</button>` : nothing}
              <span class="muted">${rows.length} shown</span>
              ${next ? html`<button class="quiet" id="older-sightings" @click=${() => void older()}>Load more</button>` : nothing}
            </p>`
          : nothing}`,
      root,
    );
  }

  /** @param {Sighting} sighting */
  function row(sighting) {
    const at = Date.parse(sighting.created_at ?? sighting.detected_at ?? "");
    return html`<tr data-sighting=${sighting.id} data-priority=${sighting.severity}>
      <td class="severity">${levelMark(sighting.severity)}</td>
      ${sighting.metric === undefined
        ? html`<td class="title" title=${sighting.title ?? ""}><bdi>${sighting.title}</bdi></td>`
        : html`<td class="title" title=${sighting.metric}><bdi>${sighting.metric}</bdi></td><td class="figure">${number(sighting.observed)}</td><td class="figure">${number(sighting.expected)}</td>`}
      <td class="site_name"><bdi>${sighting.site_name ?? "All sites"}</bdi></td>
      <td class="at"><time datetime=${sighting.created_at ?? sighting.detected_at ?? ""}>${page.times.full(at)}</time></td>
      <td class="age">${age(Date.now() - at)}</td>
    </tr>`;
  }

  page.addEventListener("filter", follow);
  page.feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail }) => happened(detail.frame));
  page.feed.addEventListener("snapshot", () => renewSoon());
  page.times.watch(drawSoon);
  root.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hover(true));
  root.addEventListener("pointerleave", () => hover(false));
  setInterval(() => document.hidden || draw(), AGE_MS);
  follow();
}

/** @param {Filter} filter */
function addressOf(filter) {
  const query = new URLSearchParams();
  query.set("limit", String(PAGE));
  for (const site of filter.site) query.append("site", String(site));
  for (const level of filter.priority) query.append("severity", level);
  if (filter.q.trim()) query.set("q", filter.q.trim());
  return `${PATH[/** @type {"finding" | "anomaly"} */ (filter.kind)]}?${query}`;
}

