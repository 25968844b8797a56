import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startSameUser } from "../../apps/noc/static/noc/same-user.js";

const ME = { user: { id: 1 } };

/** A page whose session has ended, and what it does then; `answers` are those to its questions who it is. */
function page(t, ...answers) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 100_000;
  t.mock.method(performance, "now", () => now);
  const feed = Object.assign(new EventTarget(), { starts: 0, start: () => (feed.starts += 1) });
  const http = {
    asked: 0,
    async get() {
      const answer = answers[http.asked++];
      if (answer === undefined) throw new Error("401");
      return answer;
    },
  };
  startSameUser({ feed, http, me: ME });
  return {
    feed,
    http,
    later: (ms) => (now += ms),
    async end(reason = "expired", state = "signed-out") {
      Object.assign(feed, { state, reason });
      feed.dispatchEvent(new Event("state"));
      t.mock.timers.tick(10_000);
      await new Promise(setImmediate);
    },
  };
}

describe("a page whose session has ended", () => {
  test("goes on when the browser has another one of the same user", async (t) => {
    const { feed, end } = page(t, ME);
    await end();
    assert.equal(feed.starts, 1);
  });

  test("asks once when it has none", async (t) => {
    const { feed, http, end } = page(t);
    await end();
    assert.deepEqual([feed.starts, http.asked], [0, 1]);
  });

  test("shows nothing to another user", async (t) => {
    const { feed, end } = page(t, { user: { id: 2 } });
    await end();
    assert.equal(feed.starts, 0);
  });

  test("does not go on over and over", async (t) => {
    const { feed, http, later, end } = page(t, ME, ME);
    await end();
    await end();
    assert.deepEqual([feed.starts, http.asked], [1, 1]);
    later(60_000);
    await end();
    assert.deepEqual([feed.starts, http.asked], [2, 2]);
  });

  test("does not ask when its rights were taken, or when it was stopped", async (t) => {
    const { http, end } = page(t, ME);
    await end("revoked");
    await end("asked", "stopped");
    assert.equal(http.asked, 0);
  });
});
