// The page that breaks a demo on purpose, and shows by a feed of its own how it catches up.

import { html, nothing, render, svg } from "lit/html.js";

import { CatchUp, PerSecond, Sequence } from "./break-figures.js";
import { Http, HttpProblem } from "./http.js";
import { Feed } from "./noc-feed.js";
import { part } from "./page.js";
import { reasonWord } from "./words.js";

/** @typedef {import("./noc-feed.js").EventDetail} EventDetail */
/** @typedef {import("./noc-feed.js").Snapshot} Snapshot */
/** @typedef {import("./noc-feed.js").StateDetail} StateDetail */
/** @typedef {{on: boolean, seconds_left: number, runs: boolean}} FaultState */
/** @typedef {{pending: number, oldest_seconds: number, head: number, published: number, last_minute: number, sockets: number}} Figures */
/** @typedef {{faults: Record<string, FaultState>, figures: Figures}} Answer */
/** @typedef {{name: string, title: string, what: string, expect: string, begin: string, end: string | null}} Fault */

/** @type {Fault[]} */
const FAULTS = [
  {
    name: "stop-worker",
    title: "Stop the worker",
    what: "The Celery worker is killed and not started again.",
    expect: "Saves go on. Nothing is recorded, so this page stands still and the backlog grows. After the release it falls to 0 within seconds.",
    begin: "Stop the worker",
    end: "Start it again",
  },
  {
    name: "stop-beat",
    title: "Stop beat",
    what: "The scheduler is killed and not started again.",
    expect: "Nothing is seen: commits wake the worker, and each worker has a timer of its own.",
    begin: "Stop beat",
    end: "Start it again",
  },
  {
    name: "freeze-redis",
    title: "Freeze Redis",
    what: "Redis keeps its connections and answers nothing (SIGSTOP).",
    expect: "Saves go on. The worker's timer records, and this page gets the events from the log, some seconds late.",
    begin: "Freeze Redis",
    end: "Thaw it",
  },
  {
    name: "kill-redis",
    title: "Kill Redis",
    what: "Redis is killed with all it holds and not started again.",
    expect: "As with a frozen one. What it held were hints, so nothing is missed.",
    begin: "Kill Redis",
    end: "Start it again",
  },
  {
    name: "cut-sockets",
    title: "Drop all sockets",
    what: "Every websocket of every user ends without a goodbye, as when a cable is cut.",
    expect: "Each page comes back by itself within a few seconds, and goes on after the last event that it has.",
    begin: "Drop all sockets",
    end: null,
  },
  {
    name: "kill-web",
    title: "Kill the web process",
    what: "It is killed and started again at once.",
    expect: "Nobody can save for some seconds by the site. Pages say that they are stale, come back, and miss nothing.",
    begin: "Kill the web process",
    end: null,
  },
];
/** @type {Record<string, string>} */
const STATES = { loading: "Loading", "catching-up": "Catching up", live: "Live", stale: "Stale", "signed-out": "Signed out", stopped: "Stopped" };
const SECONDS = 60; // that the strip shows
const SOON_MS = 250; // between looks while something is behind or broken
const CALM_MS = 1_000;

const http = new Http({ base: "/demo/" });
const feed = new Feed({ snapshotUrl: "/api/v1/noc/snapshot/", socketUrl: "/ws/noc/", accountUrl: "/api/v1/auth/me/" });
const everything = document.body.dataset.everything === "true";
const sequence = new Sequence();
const catchUp = new CatchUp();
const arrived = new PerSecond(SECONDS);
const seen = { gaps: 0, returns: 0, wasGone: false };
/** @type {Answer | null} */
let answer = null;
let trouble = "";
/** @type {Set<string>} faults whose button was pressed and not answered */
const asked = new Set();

// --- what the feed tells ----------------------------------------------------------------------------

feed.addEventListener("snapshot", (/** @type {CustomEvent<Snapshot>} */ { detail }) => sequence.begin(detail.seq));
feed.addEventListener("event", (/** @type {CustomEvent<EventDetail>} */ { detail }) => {
  sequence.take(detail.frame.seq);
  arrived.add(Date.now());
});
feed.addEventListener("state", (/** @type {CustomEvent<StateDetail>} */ { detail }) => {
  if (detail.state === "catching-up" && detail.reason === "gap") seen.gaps += 1;
  if (detail.state === "stale") seen.wasGone = true;
  if (detail.state === "live" && seen.wasGone) {
    seen.wasGone = false;
    seen.returns += 1;
  }
  show();
});

// --- what the server tells --------------------------------------------------------------------------

async function look() {
  try {
    take(/** @type {Answer} */ (await http.get("state")));
  } catch (error) {
    trouble = error instanceof HttpProblem ? error.message : "The answer could not be read.";
  }
  show();
  const busy = catchUp.behind > 0 || Object.values(answer?.faults ?? {}).some(({ on }) => on);
  setTimeout(look, busy ? SOON_MS : CALM_MS);
}

/** @param {Answer} found */
function take(found) {
  answer = found;
  trouble = "";
  const { pending, head } = found.figures;
  if (feed.state === "loading") return; // it has no place in the log yet
  // The numbers up to the feed's place are here, or not for this user to see.
  const caught = catchUp.see(pending + Math.max(0, head - feed.position.seq), Date.now());
  if (caught) part("said").textContent = `Caught up: ${caught.most} events in ${caught.seconds.toFixed(1)} seconds.`;
}

/**
 * @param {Fault} fault
 * @param {boolean} on
 */
async function change(fault, on) {
  asked.add(fault.name);
  show();
  try {
    // Not Http.write: it would send it again to the next web process when this one was killed.
    const sent = await http.fetch(`/demo/faults/${fault.name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ on }) });
    const body = await sent.json();
    if (sent.ok) take(body);
    else trouble = body.detail;
  } catch {
    if (fault.name !== "kill-web") trouble = "The server does not answer.";
  }
  asked.delete(fault.name);
  show();
}

// --- what is shown ----------------------------------------------------------------------------------

const number = new Intl.NumberFormat("en");
const count = (/** @type {number} */ n) => number.format(n);

function show() {
  render(liveBody(), part("live-body"));
  render(FAULTS.map(card), part("faults-body"));
}

function liveBody() {
  const { state, reason } = feed;
  const figures = answer?.figures;
  const why = state === "live" ? "" : reasonWord(reason);
  return html`
    <div class="state" data-state=${state}>
      <span class="lamp" aria-hidden="true"></span>
      <strong id="feed-state">${STATES[state]}</strong>
      <span class="muted">${why}</span>
    </div>
    <p class="behind" data-behind=${catchUp.behind}>
      <span class="large">${count(catchUp.behind)}</span> behind
      ${catchUp.last ? html`<span class="caught" id="caught">last time ${count(catchUp.last.most)} → 0 in ${catchUp.last.seconds.toFixed(1)} s</span>` : nothing}
    </p>
    ${strip(arrived.counts(Date.now()))}
    <p class="muted">Events that came to this page, per second, in the last minute.</p>
    <p id="contiguous" class=${sequence.count === 0 ? "muted" : sequence.holes ? "refusal" : "sound"}>${order()}</p>
    <p class="refusal" id="trouble" role="status">${trouble}</p>
    <dl>
      ${figure("pending", "Committed, not recorded yet", figures && count(figures.pending))}
      ${figure("oldest", "The oldest of them waits", figures && `${figures.oldest_seconds.toFixed(1)} s`)}
      ${figure("head", "Head of the log", figures && count(figures.head))}
      ${figure("published", "Handed to the channel layer, up to", figures && count(figures.published))}
      ${figure("position", "Applied here, up to", count(feed.position.seq))}
      ${figure("minute", "Recorded in the last minute", figures && count(figures.last_minute))}
      ${figure("sockets", "Websockets open", figures && count(figures.sockets))}
      ${figure("returns", "Connections that came back", count(seen.returns))}
      ${figure("gaps", "Gaps that were filled", count(seen.gaps))}
    </dl>
  `;
}

function order() {
  if (sequence.count === 0) return "No event yet.";
  const span = `${count(sequence.count)} events, numbers ${count(sequence.first)} to ${count(sequence.last)}`;
  if (!everything) return `${span}, of what you may see.`;
  return sequence.holes ? `${span}, with ${sequence.holes} holes.` : `${span}, no hole.`;
}

/**
 * @param {string} id
 * @param {string} label
 * @param {string | undefined} value
 */
function figure(id, label, value) {
  return html`<div><dt>${label}</dt><dd id=${id}>${value ?? "–"}</dd></div>`;
}

/** One bar per second; the tallest fills the height. @param {number[]} counts */
function strip(counts) {
  const most = Math.max(5, ...counts);
  return html`<svg class="strip" viewBox="0 0 ${SECONDS} 20" preserveAspectRatio="none" role="img" aria-label="Events per second, at most ${most}">
    ${counts.map((n, i) => {
      const height = (20 * n) / most;
      return n ? svg`<rect x=${i + 0.1} y=${20 - height} width="0.8" height=${height}></rect>` : nothing;
    })}
  </svg>`;
}

/** @param {Fault} fault */
function card(fault) {
  const state = answer?.faults[fault.name];
  const on = state?.on ?? false;
  const button = on && fault.end ? fault.end : fault.begin;
  return html`<article class="fault" data-fault=${fault.name} data-on=${on}>
    <h3>${fault.title}</h3>
    <p>${fault.what}</p>
    <p class="muted">${fault.expect}</p>
    <footer>
      <button class=${on ? "primary" : ""} ?disabled=${!state || asked.has(fault.name)} @click=${() => change(fault, !on)}>${button}</button>
      <span class="fault-state">${fault.name === "cut-sockets" ? `${count(answer?.figures.sockets ?? 0)} open` : stateWord(state)}</span>
    </footer>
  </article>`;
}

/** @param {FaultState | undefined} state */
function stateWord(state) {
  if (!state) return "";
  if (state.on) return `Broken, for ${Math.ceil(state.seconds_left)} s more`;
  return state.runs ? "Runs" : "Is away";
}

feed.start();
void look();
