import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { isTrusted, stateWord } from "../../apps/noc/static/noc/state-line.js";
import { Rig } from "./rig.js";

const times = { clockWithZone: (ms) => `T${ms}` };

/** Live until a moment that is returned, then cut off for an hour, and connected again. */
async function back(t) {
  const { rig, client, server, feed } = await Rig.live(t);
  rig.clock.advance(5_000);
  await rig.settled(client);
  const currentAt = rig.clock.now();
  client.cut();
  await rig.state("stale");
  await rig.clock.sleep(3_600_000);
  await rig.retry();
  return { rig, server, feed, client: await server.client(), currentAt };
}

describe("what is shown", () => {
  test("stays stale while it catches up after an outage, until all has come", async (t) => {
    const { rig, server, feed, client, currentAt } = await back(t);
    assert.equal(feed.staleSince, currentAt);

    client.send(server.hello({ head: 12 }), server.event(11));
    await rig.event(11);

    assert.equal(feed.state, "catching-up");
    assert.equal(feed.staleSince, currentAt);
    assert.ok(!isTrusted(feed));
    assert.equal(stateWord(feed, times), `Catching up, stale since T${currentAt}`);
    client.send(server.event(12), { type: "synced", seq: 12 });
    await rig.state("live");
    assert.equal(feed.staleSince, null);
    assert.ok(isTrusted(feed));
  });

  test("is as old as the snapshot that it begins anew with", async (t) => {
    const { rig, server, feed, client } = await back(t);
    client.send(server.hello(), server.reset("too_far"));
    await rig.until(() => rig.count("snapshot") === 2);

    assert.equal(feed.staleSince, rig.clock.now());
    assert.ok(!isTrusted(feed));
  });

  test("is not stale for a gap that is closed in a moment, nor at the beginning", async (t) => {
    const { rig, server, feed, client } = await Rig.live(t);
    client.send(server.event(12));
    await rig.state("catching-up", "gap");

    assert.equal(feed.staleSince, null);
    assert.equal(stateWord(feed, times), "Catching up");
    assert.deepEqual(rig.states.slice(0, 2), ["loading", "catching-up"]);
  });

  test("stays stale when the feed is started again after its end", async (t) => {
    const { rig, server, feed, client } = await Rig.live(t);
    const currentAt = rig.clock.now();
    client.bye(4401);
    await rig.state("signed-out");
    rig.clock.advance(60_000);

    feed.start();

    assert.equal(feed.state, "loading");
    assert.equal(feed.staleSince, currentAt);
    assert.equal(stateWord(feed, times), `Loading, stale since T${currentAt}`);
    const next = await server.client();
    next.send(server.hello(), { type: "synced", seq: 10 });
    await rig.state("live");
    assert.equal(feed.staleSince, null);
  });
});
