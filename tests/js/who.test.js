import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HttpProblem } from "../../apps/noc/static/noc/http.js";
import { startWho } from "../../apps/noc/static/noc/who.js";

const ME = { user: { id: 1 }, capabilities: ["noc:view", "ticket:write"] };
const settled = () => new Promise(setImmediate);

/** A page and what it does; `answers` are those to its questions who looks, errors among them. Without one: 401. */
async function page(t, ...answers) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(console, "warn", () => {});
  let now = 100_000;
  t.mock.method(performance, "now", () => now);
  const feed = Object.assign(new EventTarget(), { starts: 0, start: () => (feed.starts += 1) });
  const http = {
    asked: 0,
    async get() {
      const answer = await answers[http.asked++];
      if (answer === undefined) throw new HttpProblem({ status: 401, detail: "No." });
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const made = Object.assign(new EventTarget(), { feed, http, actions: new EventTarget(), me: null, told: 0 });
  made.addEventListener("me", () => (made.told += 1));
  startWho(made);
  await settled();
  const enters = (state, reason) => {
    Object.assign(feed, { state, reason });
    feed.dispatchEvent(new Event("state"));
    return settled();
  };
  return {
    page: made,
    feed,
    http,
    enters,
    later: (ms) => (now += ms),
    async tick(ms) {
      t.mock.timers.tick(ms);
      await settled();
    },
    async end(reason = "expired", state = "signed-out") {
      await enters(state, reason);
      t.mock.timers.tick(10_000);
      await settled();
    },
  };
}

describe("who looks", () => {
  const away = new HttpProblem({ status: 503, detail: "No." });

  test("is asked again when the page becomes live", async (t) => {
    const { page: { told }, page: made, enters } = await page(t, away, ME);
    assert.deepEqual([made.me, told], [null, 0]);
    await enters("catching-up");
    assert.equal(made.me, null);
    await enters("live");
    assert.deepEqual([made.me, made.told], [ME, 1]);
  });

  test("is told only when something changed, as when a right was taken", async (t) => {
    const less = { ...ME, capabilities: ["noc:view"] };
    const { page: made, enters } = await page(t, ME, structuredClone(ME), less);
    await enters("live");
    assert.equal(made.told, 1);
    await enters("live");
    assert.deepEqual([made.me, made.told], [less, 2]);
  });

  test("is asked again when a write was forbidden", async (t) => {
    const less = { ...ME, capabilities: ["noc:view"] };
    const { page: made } = await page(t, ME, less);
    made.actions.dispatchEvent(new Event("forbidden"));
    await settled();
    assert.deepEqual(made.me, less);
  });

  test("stays as it was known until there is an answer, which is asked for again", async (t) => {
    const { page: made, http, enters, tick } = await page(t, ME, new HttpProblem({ status: 429, detail: "No.", retry_after: 60 }), away, ME);
    await enters("live");
    await tick(59_999);
    assert.deepEqual([made.me, http.asked], [ME, 2]);
    await tick(60_001);
    assert.equal(http.asked, 3);
    await tick(20_000);
    assert.equal(http.asked, 4);
    await tick(120_000);
    assert.equal(http.asked, 4);
  });

  test("is what was asked last, whichever answer comes first", async (t) => {
    let late;
    const less = { ...ME, capabilities: [] };
    const { page: made, enters } = await page(t, new Promise((resolve) => (late = resolve)), less);
    await enters("live");
    late(ME);
    await settled();
    assert.deepEqual(made.me, less);
  });

  test("is not asked again by a page that is signed out", async (t) => {
    const { http, enters, tick } = await page(t, away, ME);
    await enters("signed-out", "revoked");
    await tick(120_000);
    assert.equal(http.asked, 1);
  });
});

describe("a page whose session has ended", () => {
  test("goes on when the browser has another one of the same user", async (t) => {
    const { feed, end } = await page(t, ME, ME);
    await end();
    assert.equal(feed.starts, 1);
  });

  test("asks once when it has none", async (t) => {
    const { feed, http, end } = await page(t, ME);
    await end();
    assert.deepEqual([feed.starts, http.asked], [0, 2]);
  });

  test("shows nothing to another user, and takes nothing over from them", async (t) => {
    const { page: made, feed, end } = await page(t, ME, { user: { id: 2 } });
    await end();
    assert.deepEqual([feed.starts, made.me], [0, ME]);
  });

  test("does not go on over and over", async (t) => {
    const { feed, http, later, end } = await page(t, ME, ME, ME);
    await end();
    await end();
    assert.deepEqual([feed.starts, http.asked], [1, 2]);
    later(60_000);
    await end();
    assert.deepEqual([feed.starts, http.asked], [2, 3]);
  });

  test("does not ask when its rights were taken, or when it was stopped", async (t) => {
    const { http, end } = await page(t, ME, ME);
    await end("revoked");
    await end("asked", "stopped");
    assert.equal(http.asked, 1);
  });
});
