import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Rig, turn } from "./rig.js";

describe("a half-open socket", () => {
  test("is let go of within one and a half pings and five seconds", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.freeze();
    rig.clock.advance(30_000);
    await rig.still("live");
    rig.clock.advance(5_000);
    await rig.state("stale", "silent");
    await rig.retry();
    const next = await server.client();
    next.send(server.hello(), { type: "synced", seq: 10 });
    await rig.state("live");
  });

  test("is judged by the interval that hello told", async (t) => {
    const { rig, client } = await Rig.live(t, { hello: { ping_s: 2 } });
    client.freeze();
    rig.clock.advance(3_000);
    await rig.still("live");
    rig.clock.advance(5_000);
    await rig.state("stale", "silent");
  });

  test("tells since when nothing was heard", async (t) => {
    const { rig, client } = await Rig.live(t);
    rig.clock.advance(7_000);
    await rig.settled(client);
    const heardAt = rig.clock.now();
    client.freeze();
    rig.clock.advance(60_000);
    await rig.state("stale");
    assert.equal(rig.feed.since, heardAt);
  });

  test("that is heard again after all concerns nobody", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    rig.clock.advance(35_000);
    await rig.state("stale", "silent");
    client.send(server.event(11));
    await client.closed();
    await turn();
    assert.deepEqual(rig.seqs, []);
  });
});

describe("a live socket", () => {
  test("with nothing but pings stays", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    for (let minutes = 0; minutes < 30; minutes += 1) {
      rig.clock.advance(20_000);
      await rig.settled(client);
    }
    await rig.still("live");
    assert.equal(server.unmet, 0);
  });

  test("outlives timers that fire once a minute", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    for (let minutes = 0; minutes < 10; minutes += 1) {
      await rig.clock.sleep(60_000); // pings were sent in that time, and are read after the timer
      await rig.settled(client);
    }
    await rig.clock.sleep(60_000);
    await rig.still("live");
    assert.equal(server.unmet, 0);
  });

  test("outlives a timer that is late, when what was sent is read after it", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    await rig.clock.sleep(45_000);
    await rig.still("live");
    client.send(server.event(11));
    await rig.event(11);
    rig.clock.advance(4_000);
    await rig.still("live");
  });

  test("outlives a grace that was slept through", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    await rig.clock.sleep(45_000);
    await rig.clock.sleep(45_000);
    client.send(server.event(11));
    await rig.event(11);
    rig.clock.advance(4_000);
    await rig.still("live");
  });

  test("outlives a clock that is set back, and is watched by it", async (t) => {
    const { rig, client } = await Rig.live(t);
    rig.clock.suspend(-3_600_000);
    rig.clock.advance(20_000);
    await rig.settled(client);
    rig.clock.suspend(-3_600_000);
    rig.clock.advance(20_000);
    await rig.still("live");
    rig.clock.advance(20_000);
    await rig.state("stale", "silent");
  });

  test("may catch up for minutes, as long as it gets on", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(30));
    await client.next();
    for (let seq = 11; seq <= 20; seq += 1) {
      rig.clock.advance(20_000);
      client.send(server.event(seq));
      await rig.event(seq);
    }
    await rig.still("catching-up");
  });
});

describe("a machine that slept", () => {
  test("finds out within seconds that its socket is dead", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.freeze();
    await rig.clock.sleep(3_600_000);
    await rig.still("live");
    rig.clock.advance(2_001);
    await rig.state("stale", "silent");
    await rig.retry();
    await server.client();
  });

  test("finds out when its timers did not count the sleep", async (t) => {
    const { rig, client } = await Rig.live(t);
    client.freeze();
    rig.clock.suspend(3_600_000);
    rig.clock.advance(7_001);
    await rig.state("stale", "silent");
  });

  test("under which a throttled tab had a dead socket finds out too", async (t) => {
    const { rig, client } = await Rig.live(t);
    client.freeze();
    for (let minutes = 0; minutes < 3; minutes += 1) await rig.clock.sleep(60_000);
    await rig.state("stale", "silent");
  });
});
