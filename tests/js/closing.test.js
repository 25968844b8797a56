import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Rig } from "./rig.js";

describe("a close", () => {
  for (const code of [1000, 1001, 1011, 1012, 4002, 4999]) {
    test(`with ${code} is followed by a new connect`, async (t) => {
      const { rig, client, server } = await Rig.live(t);
      client.close(code);
      await rig.state("stale", "lost");
      assert.equal(await rig.retry(), 500);
      assert.equal((await server.client()).query.get("after_seq"), "10");
    });
  }

  test("without a word is followed by a new connect", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.cut();
    await rig.state("stale", "lost");
    await rig.retry();
    await server.client();
  });

  for (const [code, state, reason] of [
    [4400, "stopped", "protocol"],
    [4409, "stopped", "limit"],
    [4444, "stopped", "refused"],
    [4401, "signed-out", "expired"],
    [4403, "signed-out", "revoked"],
  ]) {
    test(`with ${code} ends the feed`, async (t) => {
      const { rig, client, server } = await Rig.live(t);
      client.bye(code, { wrong: code === 4444 }); // that one is of a newer server
      await rig.state(state, reason);
      assert.equal(rig.clock.pending, 0);
      assert.equal(server.unmet, 0);
    });
  }

  test("with 4000 waits as long as the server asks, and a little more", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.bye(4000, { retry_after_ms: 3_700 });
    await rig.state("stale", "draining");
    assert.equal(await rig.retry(), 4_200);
    await server.client();
  });

  for (const [code, reason] of [
    [4100, "slow"],
    [4101, "rate"],
    [4102, "overloaded"],
  ]) {
    test(`with ${code} waits longer than after a lost connection`, async (t) => {
      const { rig, client } = await Rig.live(t);
      client.bye(code, { retry_after_ms: 1_000 });
      await rig.state("stale", reason);
      assert.equal(await rig.pause(), 1_000 + 0.5 * 4_000);
    });
  }

  test("that lost its code on the way has that of bye", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send({ type: "bye", code: 4403, reason: "scripted", retry_after_ms: 0 });
    await rig.settled(client);
    client.cut();
    await rig.state("signed-out", "revoked");
    assert.equal(server.unmet, 0);
  });

  test("of a newcomer over the limit never looks connected", async (t) => {
    const rig = await Rig.make(t);
    rig.feed.start();
    const client = await rig.server.client();
    client.bye(4409);
    await rig.state("stopped", "limit");
    assert.deepEqual(rig.states, ["loading", "stopped limit"]);
  });

  test("with 4001 is followed by a connect at once, whatever time bye tells", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.bye(4001, { retry_after_ms: 5_000 });
    await server.client();
    assert.equal(rig.feed.state, "catching-up");
    assert.equal(rig.feed.reason, "moved");
  });

  test("with 4001 twice within 5 s waits the second time", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.bye(4001);
    const second = await server.client();
    rig.clock.advance(4_000);
    second.send(server.hello());
    second.bye(4001, { retry_after_ms: 300 });
    await rig.state("stale", "moved");
    assert.equal(await rig.retry(), 800);
    const third = await server.client();
    rig.clock.advance(5_000);
    third.send(server.hello());
    third.bye(4001);
    await server.client();
  });
});

describe("the back-off", () => {
  /** The waits before each of `count` attempts that fail, with this draw. */
  async function waits(t, random, count) {
    const { rig, client, server } = await Rig.live(t);
    rig.random = random;
    server.refuses = true;
    client.cut();
    const found = [];
    while (found.length < count) found.push(await rig.retry());
    return found;
  }

  test("grows to 20 s and is drawn from the whole range", async (t) => {
    assert.deepEqual(await waits(t, 1, 8), [1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
    assert.deepEqual(await waits(t, 0.25, 4), [250, 250, 500, 1_000]);
  });

  test("never comes down to a loop without any wait", async (t) => {
    assert.deepEqual(await waits(t, 0, 3), [1, 1, 1]);
  });

  /** The wait after a connection that was heard for this long, at the third loss. */
  async function afterLife(t, ms) {
    const { rig, client, server } = await Rig.live(t);
    client.cut();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await rig.retry();
      const next = await server.client();
      next.send(server.hello());
      await rig.settled(next);
      if (attempt === 1) {
        for (let passed = 0; passed < ms; passed += ms / 3) {
          rig.clock.advance(ms / 3);
          await rig.settled(next);
        }
      }
      next.cut();
    }
    return rig.pause();
  }

  test("begins anew after 30 s of health", async (t) => {
    assert.equal(await afterLife(t, 30_000), 500);
    assert.equal(await afterLife(t, 29_700), 1_000);
  });

  test("takes the silence before a death for no health", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.cut();
    await rig.retry();
    const next = await server.client();
    next.send(server.hello(), { type: "synced", seq: 10 });
    await rig.settled(next);
    next.freeze();
    rig.clock.advance(32_000);
    await rig.state("stale", "silent");
    assert.equal(await rig.retry(), 500);
    (await server.client()).cut();
    assert.equal(await rig.pause(), 1_000);
  });

  test("honours the time that an error told", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send({ type: "error", code: "rate_limited", message: "slowly", temporary: true, retry_after_ms: 6_000 });
    await rig.settled(client);
    rig.clock.advance(1_000);
    client.cut();
    await rig.state("stale");
    assert.equal(await rig.pause(), 5_500);
    assert.equal(server.unmet, 0);
  });

  test("waits ten minutes at most, whatever the server asks", async (t) => {
    const { rig, client } = await Rig.live(t);
    client.bye(4000, { retry_after_ms: 1e15, wrong: true });
    await rig.state("stale");
    assert.equal(await rig.pause(), 600_500);
  });
});
