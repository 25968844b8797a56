import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Rig } from "./rig.js";

const OTHER_EPOCH = "99999999-9999-4999-8999-999999999999";

/** Live at 10, then cut; returns the socket of the next connect. */
async function reconnected(t, options) {
  const { rig, client, server } = await Rig.live(t, options);
  client.cut();
  await rig.state("stale");
  await rig.retry();
  const next = await server.client();
  assert.equal(next.query.get("after_seq"), "10");
  assert.equal(next.query.get("epoch"), rig.feed.position.epoch);
  return { rig, server, client: next };
}

/** What follows a reset on the same socket: a new snapshot at `seq`, and a resume from there. */
async function renewed({ rig, server, client }, { seq, epoch = server.epoch }) {
  const resume = await client.next();
  assert.deepEqual(resume, { type: "resume", after_seq: seq, epoch });
  assert.equal(server.snapshots, 2);
  client.send(server.event(seq + 1), { type: "synced", seq: seq + 1 });
  await rig.state("live");
  assert.deepEqual(rig.feed.position, { epoch, seq: seq + 1 });
}

describe("a connect goes on", () => {
  test("from a position with what came after it", async (t) => {
    const { rig, server, client } = await reconnected(t);
    client.send(server.hello({ head: 13 }), server.event(11), server.event(12), server.event(13), { type: "synced", seq: 13 });
    await rig.state("live");
    assert.deepEqual(rig.seqs, [11, 12, 13]);
    assert.equal(server.snapshots, 1);
  });

  test("from the same position with nothing", async (t) => {
    const { rig, server, client } = await reconnected(t);
    client.send(server.hello(), { type: "synced", seq: 10 });
    await rig.state("live");
    assert.deepEqual(rig.seqs, []);
  });

  test("on an empty log", async (t) => {
    const { rig, client, server } = await Rig.live(t, { seq: 0 });
    client.send(server.event(1, { prev: 0 }));
    await rig.event(1);
  });

  test("through many pages, acknowledging on the way", async (t) => {
    const { rig, server, client } = await reconnected(t);
    client.send(server.hello({ head: 1210 }));
    for (let seq = 11; seq <= 1210; seq += 1) client.send(server.event(seq));
    client.send({ type: "synced", seq: 1210 });
    await rig.state("live");
    assert.equal(rig.seqs.length, 1200);
    assert.equal(await rig.settled(client), 1210);
    assert.equal(rig.overheard.length, 1); // the clock stood still: one ack, not 24
  });

  test("in a filtered scope, where numbers are missing and nothing else is", async (t) => {
    const { rig, server, client } = await reconnected(t, { hello: { sites: [3] } });
    client.send(server.hello({ head: 30, sites: [3] }), server.event(14, { prev: 10 }), server.event(22, { prev: 14 }), { type: "synced", seq: 30 });
    await rig.state("live");
    assert.deepEqual(rig.seqs, [14, 22]);
    assert.equal(rig.feed.position.seq, 30);
    client.send(server.event(33, { prev: 22 }));
    await rig.event(33);
  });

  for (const reason of ["trimmed", "ahead", "too_far"]) {
    test(`with a snapshot when the answer is ${reason}`, async (t) => {
      const { rig, server, client } = await reconnected(t);
      server.seq = 500;
      client.send(server.hello(), server.reset(reason));
      await renewed({ rig, server, client }, { seq: 500 });
    });
  }

  test("with a snapshot when the log is another one, whose numbers are lower", async (t) => {
    const { rig, server, client } = await reconnected(t);
    server.seq = 3;
    server.epoch = OTHER_EPOCH;
    client.send(server.hello(), server.reset("epoch"), server.ping(10));
    assert.deepEqual(await client.next(), { type: "pong", seq: 10 });
    await renewed({ rig, server, client }, { seq: 3, epoch: OTHER_EPOCH });
  });

  test("with a snapshot when the scope was replaced and the server says so", async (t) => {
    const { rig, server, client } = await reconnected(t, { hello: { sites: [3] } });
    server.seq = 12;
    client.send(server.hello({ sites: [3] }), server.reset("scope"));
    await renewed({ rig, server, client }, { seq: 12 });
  });

  test("with a snapshot when hello tells another scope", async (t) => {
    const { rig, server, client } = await reconnected(t, { hello: { sites: [3] } });
    server.seq = 12;
    client.send(server.hello({ sites: [3, 4] }), server.event(11), server.event(12), { type: "synced", seq: 12 });
    await renewed({ rig, server, client }, { seq: 12 });
    assert.deepEqual(rig.seqs, [13]); // what came for the old state is not applied to the new one
  });
});

describe("an event", () => {
  test("that came before is dropped", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send(server.event(11), server.event(11), server.event(10), server.event(12));
    await rig.event(12);
    assert.deepEqual(rig.seqs, [11, 12]);
  });

  test("of a type that is not known is told and has its place", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(11, { type: "ticket_praised" })); // wrong today: of a newer server
    client.send(server.event(13, { prev: 11 }));
    await rig.event(13);
    assert.deepEqual(rig.seqs, [11, 13]);
  });

  test("that failed has its place", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    const { type, seq, prev, epoch, event_id } = server.event(11, { type: "event_failed" });
    client.send({ type, seq, prev, epoch, event_id, event_type: "ticket_updated" }, server.event(12));
    await rig.event(12);
    assert.deepEqual(rig.seqs, [11, 12]);
    assert.equal(rig.feed.state, "live");
  });

  test("of another log while live brings a snapshot", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    server.seq = 2;
    client.sendWrong(server.event(11, { epoch: OTHER_EPOCH }));
    server.epoch = OTHER_EPOCH;
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 2, epoch: OTHER_EPOCH });
    assert.deepEqual(rig.seqs, []);
  });
});

test("an event of another log is left to the answer that is under way", async (t) => {
  const { rig, server, client } = await reconnected(t);
  client.send(server.hello());
  client.sendWrong(server.event(11, { epoch: OTHER_EPOCH }));
  server.epoch = OTHER_EPOCH;
  server.seq = 4;
  await rig.settled(client);
  client.send(server.reset("epoch"));
  await renewed({ rig, server, client }, { seq: 4, epoch: OTHER_EPOCH });
});

test("an event of another log before a synced that should have been a reset brings a snapshot", async (t) => {
  const { rig, server, client } = await reconnected(t);
  client.send(server.hello());
  client.sendWrong(server.event(11, { epoch: OTHER_EPOCH }), { type: "synced", seq: 11 });
  server.epoch = OTHER_EPOCH;
  server.seq = 4;
  await renewed({ rig, server, client }, { seq: 4, epoch: OTHER_EPOCH });
});

describe("a gap", () => {
  test("is asked for once, and what does not fit is ignored until it is filled", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(13), server.event(14));
    await rig.state("catching-up", "gap");
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 10, epoch: server.epoch });
    client.sendWrong(server.event(15));
    assert.equal(await rig.settled(client), 10);

    for (let seq = 11; seq <= 16; seq += 1) client.send(server.event(seq));
    client.send({ type: "synced", seq: 16 });

    await rig.state("live");
    assert.deepEqual(rig.seqs, [11, 12, 13, 14, 15, 16]);
    await rig.settled(client);
    assert.deepEqual(rig.overheard, []);
  });

  test("is not closed by the answer to an older question", async (t) => {
    const { rig, client, server } = await reconnected(t);
    client.send(server.hello());
    client.sendWrong(server.event(12));
    assert.equal((await client.next()).type, "resume");
    client.send({ type: "synced", seq: 12 }, server.ping(12)); // of the connect
    assert.deepEqual(await client.next(), { type: "pong", seq: 10 });
    assert.equal(rig.feed.state, "catching-up");

    client.send(server.event(11), server.event(12), { type: "synced", seq: 12 });

    await rig.state("live");
    assert.deepEqual(rig.seqs, [11, 12]);
  });

  test("in the answer itself is asked for again when that ends", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(13));
    assert.equal((await client.next()).after_seq, 10);
    client.send(server.event(11));
    client.sendWrong(server.event(13));
    client.send({ type: "synced", seq: 13 });
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 11, epoch: server.epoch });
    client.send(server.event(12), server.event(13), { type: "synced", seq: 13 });
    await rig.state("live");
    assert.deepEqual(rig.seqs, [11, 12, 13]);
  });

  test("after one that was filled is asked for anew", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    for (const seq of [12, 14]) {
      client.sendWrong(server.event(seq));
      assert.equal((await client.next()).after_seq, seq - 2);
      client.send(server.event(seq - 1), server.event(seq), { type: "synced", seq });
      await rig.state("live");
    }
    assert.deepEqual(rig.seqs, [11, 12, 13, 14]);
  });

  test("that is never filled ends in a new connect and a new snapshot", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(12));
    await client.next();
    server.seq = 12;
    for (let seconds = 0; seconds < 24; seconds += 8) {
      rig.clock.advance(8_000);
      assert.equal(await rig.settled(client), 10); // the server lives, and does not answer
    }
    rig.clock.advance(8_000);
    await rig.state("stale", "unanswered");
    await rig.retry();
    assert.equal((await server.client()).query.get("after_seq"), "12");
    assert.equal(server.snapshots, 2);
  });

  test("shown by reordered events is filled in order", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(12), server.event(11));
    await rig.event(11); // it fits
    assert.equal((await client.next()).type, "resume");
    client.send(server.event(11), server.event(12), { type: "synced", seq: 12 });
    await rig.state("live");
    assert.deepEqual(rig.seqs, [11, 12]);
  });
});

describe("a reset", () => {
  test("brings a snapshot to which nothing older is applied", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    let answer;
    server.snapshot = () => new Promise((resolve) => (answer = resolve));
    client.send(server.reset("trimmed"));
    await rig.state("catching-up", "reset");
    while (!answer) await rig.settled(client);
    client.sendWrong(server.event(11), server.event(12)); // only pings may come now
    await rig.settled(client);
    answer({ status: 200, body: { epoch: server.epoch, seq: 11, tickets: [] } });
    assert.equal((await client.next()).after_seq, 11);
    client.send({ type: "synced", seq: 12 }); // of an older question: 12 was seen and is missing
    await rig.settled(client);
    assert.equal(rig.feed.state, "catching-up");

    client.send(server.event(12), { type: "synced", seq: 12 });

    await rig.state("live");
    assert.deepEqual(rig.seqs, [12]);
  });

  test("while a snapshot is under way replaces that one", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    const answers = [];
    server.snapshot = () => new Promise((resolve) => answers.push(resolve));
    client.send(server.reset("trimmed"));
    while (answers.length < 1) await rig.settled(client);
    client.send(server.reset("epoch"));
    while (answers.length < 2) await rig.settled(client);
    for (const [index, answer] of answers.entries()) {
      answer({ status: 200, body: { epoch: index ? OTHER_EPOCH : server.epoch, seq: 20 + index, tickets: [] } });
    }
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 21, epoch: OTHER_EPOCH });
    assert.equal(rig.count("snapshot"), 2);
  });

  test("and then bye 4001 brings one snapshot and a connect at once", async (t) => {
    const { rig, client, server } = await Rig.live(t, { hello: { sites: [3] } });
    server.seq = 20;
    client.send(server.reset("scope"));
    client.bye(4001, { reason: "scope" });
    const next = await server.client();
    assert.equal(next.query.get("after_seq"), "20");
    next.send(server.hello({ sites: [3, 4] }), { type: "synced", seq: 20 });
    await rig.state("live");
    assert.equal(server.snapshots, 2);
    assert.ok(!rig.states.some((state) => state.startsWith("stale")));
  });

  test("whose snapshot fails lets go of the socket and tries again", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    server.snapshot = async () => ({ status: 500 });
    client.send(server.reset("trimmed"));
    await rig.state("stale", "snapshot");
    assert.equal(await client.closed(), 1000);
  });

  test("that follows its own snapshot in short time waits", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send(server.reset("ahead"));
    await client.next();
    client.send(server.reset("ahead"));
    await rig.state("stale", "reset");
    assert.equal(server.snapshots, 2);
    await rig.retry();
    await server.client();
    assert.equal(server.snapshots, 3);
  });

  test("whose snapshot is refused ends the feed", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    server.snapshot = async () => ({ status: 403 });
    client.send(server.reset("scope"));
    await rig.state("signed-out", "revoked");
    assert.equal(await client.closed(), 1000);
  });
});

describe("the place in the log", () => {
  test("moves with pings, so that a quiet site stays near the end", async (t) => {
    const { rig, client, server } = await Rig.live(t, { hello: { sites: [3] } });
    client.send(server.ping(900, 905));
    assert.deepEqual(await client.next(), { type: "pong", seq: 900 });
    client.cut();
    await rig.state("stale");
    await rig.retry();
    assert.equal((await server.client()).query.get("after_seq"), "900");
  });

  test("never moves back with a ping or with synced", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send(server.ping(4, 10), { type: "synced", seq: 5 });
    assert.equal(await rig.settled(client), 10);
  });

  test("moves with no ping while a question is under way", async (t) => {
    const { rig, client, server } = await reconnected(t);
    client.send(server.hello(), server.ping(50));
    assert.deepEqual(await client.next(), { type: "pong", seq: 10 });
    client.send(server.event(11), { type: "synced", seq: 50 });
    await rig.state("live");
    assert.deepEqual(rig.seqs, [11]);
    assert.equal(rig.feed.position.seq, 50);
  });
});
