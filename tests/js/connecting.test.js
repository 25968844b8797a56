import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Rig, turn } from "./rig.js";

describe("connecting", () => {
  test("takes the snapshot first and connects after its place", async (t) => {
    const rig = await Rig.make(t);
    rig.server.seq = 41;
    rig.server.tickets = [{ id: 7 }];

    rig.feed.start();
    const client = await rig.server.client();

    assert.equal(client.query.get("after_seq"), "41");
    assert.equal(client.query.get("epoch"), rig.server.epoch);
    assert.deepEqual(rig.told[1], ["snapshot", { epoch: rig.server.epoch, seq: 41, tickets: [{ id: 7 }] }]);
    client.send(rig.server.hello({ head: 42 }), rig.server.event(42), { type: "synced", seq: 42 });
    await rig.state("live");
    assert.deepEqual(rig.states, ["loading", "catching-up", "live"]);
    assert.deepEqual(rig.feed.position, { epoch: rig.server.epoch, seq: 42 });
  });

  test("tells events on the way as history and those after it as live", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send(server.event(11));
    await rig.event(11);
    client.cut();
    await rig.state("stale");
    await rig.retry();
    const again = await server.client();
    again.send(server.hello(), server.event(12));
    await rig.event(12);

    const live = rig.told.filter(([type]) => type === "event").map(([, detail]) => detail.live);
    assert.deepEqual(live, [true, false]);
  });

  test("does nothing when it is started twice", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);

    feed.start();

    await rig.settled(client);
    assert.equal(server.snapshots, 1);
    assert.equal(server.unmet, 0);
  });

  test("ends a connect that is accepted and then silent", async (t) => {
    const rig = await Rig.make(t);
    rig.feed.start();
    await rig.server.client();

    rig.clock.advance(22_001);

    await rig.state("stale", "silent");
    await rig.retry();
    await rig.server.client();
  });

  test("keeps trying when there is no server at all", async (t) => {
    const { rig, server } = await Rig.live(t);
    await server.stop();
    await rig.state("stale", "lost");
    for (let attempt = 0; attempt < 3; attempt += 1) await rig.retry();
    assert.equal(rig.feed.state, "stale");
  });

  test("reports an address that cannot be one and keeps trying", async (t) => {
    const rig = await Rig.make(t, { socketUrl: "ftp://nowhere/" });
    rig.feed.start();
    await rig.problem("A socket could not be made");
    await rig.state("stale", "lost");
  });
});

describe("a snapshot", () => {
  test("that fails is tried again, and there is nothing to show until then", async (t) => {
    const rig = await Rig.make(t);
    const answer = rig.server.snapshot;
    rig.server.snapshot = async () => ({ status: 500 });
    rig.feed.start();
    await rig.state("loading", "snapshot");
    assert.deepEqual(rig.problems, ["The snapshot could not be taken"]);

    rig.server.snapshot = answer;
    await rig.retry();

    await rig.server.client();
    assert.equal(rig.server.snapshots, 2);
  });

  test("that asks for time gets it", async (t) => {
    const rig = await Rig.make(t);
    rig.server.snapshot = async () => ({ status: 503, headers: { "Retry-After": "7" } });
    rig.feed.start();
    await rig.state("loading", "snapshot");
    assert.equal(await rig.pause(), 7_500);
  });

  test("that is never answered is given up after 20 s", async (t) => {
    const rig = await Rig.make(t);
    let asked;
    const arrived = new Promise((resolve) => (asked = resolve));
    rig.server.snapshot = () => new Promise(asked);
    rig.feed.start();
    await arrived;
    rig.clock.advance(19_999);
    assert.equal(rig.feed.reason, undefined);
    rig.clock.advance(1);
    await rig.state("loading", "snapshot");
  });

  test("that is given up counts no more when it comes after all", async (t) => {
    const answers = [];
    const fetch = () => new Promise((resolve) => answers.push(resolve)); // deaf to being given up
    const rig = await Rig.make(t, { fetch });
    const answer = (seq) => Response.json({ epoch: rig.server.epoch, seq, tickets: [] });
    rig.feed.start();
    rig.clock.advance(20_000);
    await rig.state("loading", "snapshot");
    await rig.retry();
    await rig.until(() => answers.length === 2);

    answers[0](answer(5));
    answers[1](answer(9));

    const client = await rig.server.client();
    assert.equal(client.query.get("after_seq"), "9");
    assert.equal(rig.count("snapshot"), 1);
  });

  for (const [status, reason] of [
    [401, "expired"],
    [403, "revoked"],
  ]) {
    test(`that is refused by ${status} ends the feed`, async (t) => {
      const rig = await Rig.make(t);
      rig.server.snapshot = async () => ({ status });
      rig.feed.start();
      await rig.state("signed-out", reason);
      assert.equal(rig.clock.pending, 0);
    });
  }

  for (const body of [null, [], { epoch: "e", seq: "7", tickets: [] }, { epoch: "e", seq: 7 }, { seq: 7, tickets: [] }]) {
    test(`that is ${JSON.stringify(body)} is none`, async (t) => {
      const rig = await Rig.make(t);
      rig.server.snapshot = async () => ({ status: 200, body });
      rig.feed.start();
      await rig.state("loading", "snapshot");
      assert.equal(rig.count("snapshot"), 0);
    });
  }
});

describe("a refused connect", () => {
  async function refused(t, account, options) {
    const rig = await Rig.make(t, options);
    rig.server.refuses = true;
    rig.server.account = async () => account;
    rig.feed.start();
    await rig.state("stale", "lost");
    await rig.retry();
    return rig;
  }

  for (const [account, reason] of [
    [{ status: 401 }, "expired"],
    [{ status: 403 }, "revoked"],
    [{ status: 200, body: { refused: "no_membership" } }, "revoked"],
  ]) {
    test(`is signed out when the account says ${JSON.stringify(account)}`, async (t) => {
      const rig = await refused(t, account);
      await rig.state("signed-out", reason);
      assert.equal(rig.clock.pending, 0);
    });
  }

  for (const account of [{ status: 200, body: { refused: null } }, { status: 500 }]) {
    test(`is tried again when the account says ${JSON.stringify(account)}`, async (t) => {
      const rig = await refused(t, account);
      const ms = await rig.pause();
      rig.server.refuses = false;
      rig.clock.advance(ms);
      await rig.server.client();
      assert.equal(rig.server.snapshots, 1); // what is shown still counts
    });
  }

  test("asks nobody when there is no account to ask", async (t) => {
    const rig = await refused(t, { status: 401 }, { accountUrl: undefined });
    await rig.pause();
    assert.equal(rig.server.accounts, 0);
    assert.equal(rig.feed.state, "stale");
  });

  test("that had been accepted asks for no account", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.cut();
    await rig.state("stale", "lost");
    await rig.retry();
    await server.client();
    assert.equal(server.accounts, 0);
  });
});

describe("a client without the session's cookie", () => {
  test("brings a new ticket to each connect, in the subprotocol", async (t) => {
    let issued = 0;
    const ticket = async () => `t${(issued += 1)}`;
    const { rig, client, server } = await Rig.live(t, { ticket });
    assert.equal(client.protocol, "noc.ticket.t1");
    client.cut();
    await rig.state("stale");
    await rig.retry();
    assert.equal((await server.client()).protocol, "noc.ticket.t2");
  });

  test("that gets no ticket asks the account why", async (t) => {
    const ticket = async () => {
      throw new Error("401");
    };
    const rig = await Rig.make(t, { ticket });
    rig.server.account = async () => ({ status: 401 });
    rig.feed.start();
    await rig.state("stale", "ticket");
    await rig.retry();
    await rig.state("signed-out", "expired");
  });

  test("that waits too long for a ticket tries again", async (t) => {
    const rig = await Rig.make(t, { ticket: () => new Promise(() => {}) });
    rig.feed.start();
    await rig.until(() => rig.count("snapshot") === 1);
    await turn();
    rig.clock.advance(20_000);
    await rig.state("stale", "ticket");
  });

  test("adds its own headers by its own fetch", async (t) => {
    const urls = [];
    const own = (url, init) => {
      urls.push(url);
      return fetch(url, { ...init, headers: { ...init.headers, Authorization: "Token secret" } });
    };
    const { server } = await Rig.live(t, { fetch: own });
    assert.deepEqual(urls, [server.addresses.snapshotUrl]);
  });
});
