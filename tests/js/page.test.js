import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Rig } from "./rig.js";

/** A page around the feed, with what a browser has and Node has not. */
async function inPage(t, options) {
  const page = { window: new EventTarget(), document: Object.assign(new EventTarget(), { hidden: false }), listeners: 0 };
  for (const target of [page.window, page.document]) {
    const { addEventListener } = target;
    target.addEventListener = (type, listener, { signal }) => {
      page.listeners += 1;
      signal.addEventListener("abort", () => (page.listeners -= 1));
      addEventListener.call(target, type, listener, { signal });
    };
  }
  globalThis.document = page.document;
  globalThis.addEventListener = page.window.addEventListener;
  t.after(() => {
    delete globalThis.document;
    delete globalThis.addEventListener;
  });
  return { page, ...(await Rig.live(t, options)) };
}

const WAKING = {
  "is seen again": ({ document }) => document.dispatchEvent(new Event("visibilitychange")),
  "is thawed": ({ document }) => document.dispatchEvent(new Event("resume")),
  "is online again": ({ window }) => window.dispatchEvent(new Event("online")),
  "comes back from the cache": ({ window }) => window.dispatchEvent(new Event("pageshow")),
};

for (const [moment, wake] of Object.entries(WAKING)) {
  describe(`a page that ${moment}`, () => {
    test("looks at once whether its socket is dead, and gives it a grace", async (t) => {
      const { rig, client, server, page } = await inPage(t);
      await rig.clock.sleep(100_000, () => wake(page)); // before any timer
      await rig.still("live");
      wake(page);
      rig.clock.advance(1_999);
      await rig.still("live");
      rig.clock.advance(1);
      await rig.state("stale", "silent");
      await rig.retry();
      await server.client();
      assert.equal(await client.closed(), 1000);
    });

    test("leaves a socket that is heard", async (t) => {
      const { rig, client, server, page } = await inPage(t);
      await rig.clock.sleep(100_000, () => wake(page));
      await rig.settled(client);
      rig.clock.advance(20_000);
      await rig.still("live");
      assert.equal(server.unmet, 0);
    });

    test("does not wait out its back-off, but for what the server asked", async (t) => {
      const { rig, client, page } = await inPage(t);
      rig.random = 1;
      client.bye(4102, { retry_after_ms: 1_000 });
      assert.equal(await rig.pause(), 5_000);
      wake(page);
      assert.equal(rig.clock.next, 2_000);
      rig.random = 0.1;
      wake(page);
      assert.equal(rig.clock.next, 1_100);
      rig.random = 1;
      wake(page); // never later than it was
      assert.equal(rig.clock.next, 1_100);
      assert.equal(rig.clock.pending, 1);
    });
  });
}

describe("a page", () => {
  test("that is hidden is not awake", async (t) => {
    const { rig, client, page } = await inPage(t);
    rig.random = 1;
    client.cut();
    assert.equal(await rig.pause(), 1_000);
    page.document.hidden = true;
    rig.random = 0;
    page.document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(rig.clock.next, 1_000);
  });

  test("that is left lets go of its socket, with a last acknowledgement", async (t) => {
    const { rig, client, server, page } = await inPage(t);
    client.send(server.event(11));
    await rig.event(11);
    page.window.dispatchEvent(new Event("pagehide"));
    assert.deepEqual(await client.next(), { type: "ack", seq: 11 });
    assert.equal(await client.closed(), 1000);
    assert.equal(rig.feed.reason, "hidden");
    await rig.retry();
    assert.equal((await server.client()).query.get("after_seq"), "11");
  });

  test("hears nothing of a feed that ended", async (t) => {
    const { feed, page } = await inPage(t);
    assert.equal(page.listeners, 5);
    feed.stop();
    assert.equal(page.listeners, 0);
  });
});
