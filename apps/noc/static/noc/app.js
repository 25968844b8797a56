// The wiring of the page: feed to board, board to controls, state to the state line.

import { Activity } from "./activity.js";
import { Board } from "./board.js";
import { Feed } from "./noc-feed.js";
import { age, clock, reasonWord } from "./words.js";

const by = (id) => document.getElementById(id);
const counters = [...document.querySelectorAll(".counter")];
const title = document.title;

const board = new Board({
  rows: by("rows"),
  held: by("held"),
  empty: by("empty"),
  more: by("more"),
  counts: Object.fromEntries(counters.map((node) => [node.dataset.status || "all", by(`count-${node.dataset.status || "all"}`)])),
});
const activity = new Activity({ list: by("activity"), empty: by("activity-empty") });
const { snapshot: snapshotUrl, socket: socketUrl, account: accountUrl } = document.body.dataset;
const feed = new Feed({ snapshotUrl, socketUrl, accountUrl });

const WORDS = {
  loading: () => "Loading",
  "catching-up": () => "Catching up",
  live: () => "Live",
  stale: (since) => `Stale since ${clock(since)}`,
  "signed-out": () => "Signed out",
  stopped: () => "Stopped",
};
const FROZEN = "What you see does not change any more.";
const NOTICES = {
  expired: [`Your session has ended. ${FROZEN}`, "Sign in again"],
  revoked: [`You may no longer watch these tickets. ${FROZEN}`, "Sign in again"],
  limit: [`You have too many of these pages open; close one. ${FROZEN}`, "Start again"],
  stopped: [`The server ended this connection. ${FROZEN}`, "Start again"],
  snapshot: ["The tickets could not be loaded. Trying again."],
};

function showState({ state, since, reason }) {
  by("state").dataset.state = state;
  by("state").dataset.reason = reason ?? "";
  by("state-word").textContent = WORDS[state](since);
  document.title = state === "live" || state === "loading" || state === "catching-up" ? title : `${WORDS[state](since)} · ${title}`;
  notice(...(NOTICES[reason] ?? NOTICES[state] ?? [""]));
  showAge();
}

function notice(text, action = "") {
  const node = by("notice");
  node.hidden = !text;
  node.replaceChildren(text);
  if (!action) return;
  const again = document.createElement("a");
  again.href = location.href;
  again.textContent = action;
  node.append(" ", again);
}

function showAge() {
  const event = feed.eventAt ? `last event ${age(Date.now() - feed.eventAt)} ago` : feed.state === "live" ? "no event yet" : "";
  by("state-age").textContent = [reasonWord(feed.reason), event].filter(Boolean).join(" · ");
}

feed.addEventListener("snapshot", ({ detail }) => board.replace(detail.tickets));
feed.addEventListener("event", ({ detail }) => {
  board.apply(detail.frame);
  activity.add(detail.frame);
  if (!by("state-age").textContent.includes("last")) showAge(); // from then on the clock does it
});
feed.addEventListener("state", ({ detail }) => showState(detail));
feed.addEventListener("problem", ({ detail }) => console.warn(detail.text, detail.cause));
setInterval(showAge, 1000);

for (const node of counters) {
  node.addEventListener("click", () => {
    for (const other of counters) other.setAttribute("aria-pressed", String(other === node));
    board.filter({ status: node.dataset.status });
  });
}
by("find").addEventListener("input", ({ target }) => board.filter({ text: target.value }));

feed.start();
