// A session that ends may be followed by another of the same user: a change of the password gives this browser a new
// one and ends the websockets of the old one. Then the page goes on by itself.

/** @typedef {import("./page.js").PageState} PageState */

const WAIT_MS = 2_000; // the new cookie may come after the end of the websocket
const APART_MS = 60_000; // sessions that end one after the other are not followed over and over

/** @param {Pick<PageState, "feed" | "http" | "me">} page */
export function startSameUser(page) {
  const { feed, http } = page;
  let askedAt = -APART_MS;

  feed.addEventListener("state", () => {
    if (feed.state !== "signed-out" || feed.reason !== "expired" || performance.now() - askedAt < APART_MS) return;
    askedAt = performance.now();
    setTimeout(ask, WAIT_MS);
  });

  async function ask() {
    try {
      const me = await http.get("auth/me/");
      if (me.user.id === page.me?.user.id) feed.start(); // what is shown is not for another one's eyes
    } catch {
      // signed out indeed
    }
  }
}
