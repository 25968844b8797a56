import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Rig } from "./rig.js";

/** Live at 10 and at rest for a second, as the first event finds it. */
async function rested(t, options) {
  const made = await Rig.live(t, options);
  made.clock.advance(1_000);
  return made;
}

describe("events are acknowledged", () => {
  test("after as many as hello told", async (t) => {
    const { rig, client, server } = await rested(t, { hello: { ack_every: 3 } });
    for (let seq = 11; seq <= 14; seq += 1) client.send(server.event(seq));
    assert.deepEqual(await client.next(), { type: "ack", seq: 13 });
    await rig.event(14);
    assert.equal(client.unread, 0);
  });

  test("after five seconds when they are fewer", async (t) => {
    const { rig, client, server } = await rested(t);
    client.send(server.event(11));
    await rig.event(11);
    rig.clock.advance(3_000);
    client.send(server.event(12));
    await rig.event(12);
    rig.clock.advance(1_999);
    assert.equal(client.unread, 0);
    rig.clock.advance(1);
    assert.deepEqual(await client.next(), { type: "ack", seq: 12 });
  });

  test("by the answer to a ping", async (t) => {
    const { rig, client, server } = await rested(t);
    client.send(server.event(11), server.ping(11));
    assert.deepEqual(await client.next(), { type: "pong", seq: 11 });
    rig.clock.advance(6_000);
    await rig.settled(client);
    assert.deepEqual(rig.overheard, []);
  });

  test("at most four times a second, however many come", async (t) => {
    const { rig, client, server } = await rested(t, { hello: { ack_every: 2 } });
    for (let seq = 11; seq <= 30; seq += 1) client.send(server.event(seq));
    await rig.event(30);
    assert.deepEqual(await client.next(), { type: "ack", seq: 12 });
    assert.equal(client.unread, 0);
    rig.clock.advance(250);
    assert.deepEqual(await client.next(), { type: "ack", seq: 30 });
  });

  test("when their listeners have run, not before", async (t) => {
    const { rig, client, server } = await rested(t, { hello: { ack_every: 1 } });
    const during = [];
    rig.feed.addEventListener("event", () => during.push(rig.feed.position.seq));
    client.send(server.event(11));
    assert.deepEqual(await client.next(), { type: "ack", seq: 11 });
    assert.deepEqual(during, [10]);
  });

  test("for the last time when the feed is stopped", async (t) => {
    const { rig, client, server, feed } = await rested(t);
    client.send(server.event(11));
    await rig.event(11);
    feed.stop();
    assert.deepEqual(await client.next(), { type: "ack", seq: 11 });
    assert.equal(await client.closed(), 1000);
  });

  test("not at all when there were none", async (t) => {
    const { rig, client } = await rested(t);
    rig.clock.advance(10_000);
    await rig.settled(client);
    assert.deepEqual(rig.overheard, []);
  });
});
