// Who looks, and what they may. It is asked at the beginning, whenever the page becomes live and when a write is
// forbidden: an answer may not have come, and rights change. And a session that ends may be followed by another of the same user: a change of the
// password gives this browser a new one and ends the websockets of the old one. Then the page goes on by itself.

import { HttpProblem } from "./http.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./page.js").Me} Me */

const AGAIN_MS = 10_000; // after no answer; up to twice as long, so that not all pages ask in one moment
const WAIT_MS = 2_000; // the new cookie may come after the end of the websocket
const APART_MS = 60_000; // sessions that end one after the other are not followed over and over

/** @param {Pick<PageState, "feed" | "http" | "me" | "actions" | "dispatchEvent">} page */
export function startWho(page) {
  const { feed, http } = page;
  let asked = 0; // questions; only the answer to the last one counts
  let followedAt = -APART_MS;
  /** @type {any} */
  let timer = 0;

  /** @returns {Promise<Me>} */
  const ask = () => http.get("auth/me/");

  feed.addEventListener("state", () => {
    if (feed.state === "live") return void know();
    if (feed.state !== "signed-out") return;
    clearTimeout(timer);
    asked += 1; // what is answered from here on may be of another one
    if (feed.reason !== "expired" || performance.now() - followedAt < APART_MS) return;
    followedAt = performance.now();
    setTimeout(follow, WAIT_MS);
  });
  page.actions?.addEventListener("forbidden", know); // a right that was taken ends no websocket
  void know();

  /** Until there is an answer, what was known stays. */
  async function know() {
    clearTimeout(timer);
    const mine = (asked += 1);
    try {
      const me = await ask();
      if (mine !== asked || JSON.stringify(me) === JSON.stringify(page.me)) return;
      page.me = me;
      page.dispatchEvent(new Event("me"));
    } catch (error) {
      if (mine !== asked) return;
      console.warn("who looks is not known:", error);
      const { status, members } = error instanceof HttpProblem ? error : { status: 0, members: null };
      if (status === 401 || status === 403) return; // the feed finds out what became of the session
      timer = setTimeout(know, Math.max(AGAIN_MS, (members?.retry_after ?? 0) * 1000) * (1 + Math.random()));
    }
  }

  async function follow() {
    try {
      const me = await ask();
      if (me.user.id === page.me?.user.id) feed.start(); // what is shown is not for another one's eyes
    } catch {
      // signed out indeed
    }
  }
}
