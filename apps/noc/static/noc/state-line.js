// One honest line: how far what is shown can be trusted. The page turns grey when it cannot.

import { happenedAt } from "./event-time.js";
import { age } from "./times.js";
import { part } from "./page.js";
import { reasonWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./noc-feed.js").Feed} Feed */

const FROZEN = "What you see does not change any more.";
/** @type {Record<string, [string, string]>} what is said, and the word of the link that begins anew */
const NOTICES = {
  expired: [`Your session has ended. ${FROZEN}`, "Sign in again"],
  revoked: [`You may no longer watch these tickets. ${FROZEN}`, "Sign in again"],
  limit: [`You have too many of these pages open; close one. ${FROZEN}`, "Start again"],
  stopped: [`The server ended this connection. ${FROZEN}`, "Start again"],
  snapshot: ["The tickets could not be loaded. Trying again.", ""],
};

/** Whether what the page shows is current, or about to be after no more than a moment. @param {Pick<Feed, "staleSince">} feed */
export const isTrusted = ({ staleSince }) => staleSince === null;

/**
 * "Live", "Stale since 09:41:07 UTC", "Catching up, stale since 09:41:07 UTC".
 * @param {Pick<Feed, "state" | "since" | "staleSince">} feed
 * @param {Pick<import("./times.js").Times, "clockWithZone">} times
 */
export function stateWord({ state, since, staleSince }, times) {
  const stale = staleSince === null ? "" : `, stale since ${times.clockWithZone(staleSince)}`;
  switch (state) {
    case "loading":
      return `Loading${stale}`;
    case "catching-up":
      return `Catching up${stale}`;
    case "live":
      return "Live";
    case "stale":
      return `Stale since ${times.clockWithZone(since)}`;
    case "signed-out":
      return "Signed out";
    case "stopped":
      return "Stopped";
  }
}

/** @param {PageState} page */
export function startStateLine(page) {
  const { feed, times } = page;
  const line = part("state");
  let lastAt = 0; // when the newest of the events happened, as far as they say

  function show() {
    const { state, since, reason } = feed;
    line.dataset.state = state;
    line.dataset.reason = reason ?? "";
    document.body.dataset.feed = isTrusted(feed) ? "trusted" : "stale";
    part("state-word").textContent = stateWord(feed, times);
    notice(...(NOTICES[reason ?? ""] ?? NOTICES[state] ?? ["", ""]));
    showAge();
  }

  function showAge() {
    const event = lastAt ? `last event ${age(Date.now() - lastAt)} ago` : feed.state === "live" ? "no event yet" : "";
    const ended = feed.state === "signed-out" || feed.state === "stopped" ? `as of ${times.clockWithZone(feed.since)}` : "";
    const text = [reasonWord(feed.reason), ended, event].filter(Boolean).join(" · ");
    if (part("state-age").textContent !== text) part("state-age").textContent = text;
  }

  feed.addEventListener("state", show);
  feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail: { frame, live } }) => {
    const now = Date.now();
    lastAt = Math.max(lastAt, Math.min(now, happenedAt(frame) ?? (live ? now : 0))); // an old one may come late, by a replay
    if (lastAt && !part("state-age").textContent?.includes("last")) showAge(); // from then on the clock does it
  });
  page.times.watch(show);
  setInterval(showAge, 1000);
  show();
}

/**
 * @param {string} text
 * @param {string} action
 */
function notice(text, action) {
  const node = part("notice");
  node.hidden = !text;
  node.replaceChildren(text);
  if (!action) return;
  const again = document.createElement("a");
  again.href = location.href;
  again.textContent = action;
  node.append(" ", again);
}
