import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HttpProblem } from "../../apps/noc/static/noc/http.js";
import { Mending } from "../../apps/noc/static/noc/mending.js";
import { Store } from "../../apps/noc/static/noc/store.js";
import { Clock } from "./clock.js";
import { Rig, turn } from "./rig.js";
import { frame, row } from "./tickets.js";

/** A page that is live with these tickets, and a server that has those of `server`: id to row, null: not there. */
function page(...tickets) {
  const clock = new Clock();
  const store = new Store({ later: clock.timers.setTimeout, now: clock.now });
  const feed = Object.assign(new EventTarget(), { state: "live", refreshes: 0, refresh: () => (feed.refreshes += 1) > 0 });
  const server = new Map(tickets.map((each) => [each.id, each]));
  const asked = [];
  /** Answers that the test gives when it likes; null: at once. */
  let waiting = null;
  const http = {
    async get(path) {
      const id = Number(/^tickets\/(\d+)\/\?include=acknowledgement$/.exec(path)[1]);
      asked.push(id);
      const found = server.get(id);
      if (waiting) await new Promise((resolve) => waiting.push(resolve));
      if (found === undefined) throw new HttpProblem({ status: 503, detail: "No." });
      if (found === null) throw new HttpProblem({ status: 404, detail: "No." });
      return found;
    },
  };
  const snapshot = (seq, rows) => {
    store.replace({ seq, tickets: rows });
    feed.dispatchEvent(new Event("snapshot"));
  };
  snapshot(0, tickets);
  new Mending({ feed, store, http }, { later: clock.timers.setTimeout, now: clock.now, random: () => 0 }).start();
  const changes = [];
  store.addEventListener("change", ({ detail }) => changes.push(detail));
  return {
    store,
    feed,
    server,
    asked,
    changes,
    snapshot,
    slow: () => (waiting = []),
    answer: () => (waiting.shift()(), turn()),
    hear(event) {
      store.apply(event);
      feed.dispatchEvent(new CustomEvent("event", { detail: { frame: event, live: true } }));
    },
    enters(state) {
      feed.state = state;
      feed.dispatchEvent(new Event("state"));
    },
    pass: (ms) => (clock.advance(ms), turn()),
  };
}
const failed = (event_type = "ticket_created") => ({ type: "event_failed", seq: 1, prev: 0, epoch: "e", event_id: "1", event_type });
const replayed = (changes, type = "ticket_created") => frame(type, { replay_of: 1, ...changes });

describe("an event of a ticket that failed", () => {
  test("has all tickets asked for, once for those that come together", async () => {
    const { feed, hear, pass } = page();
    for (let n = 0; n < 10; n += 1) hear(failed());
    assert.equal(feed.refreshes, 0);

    await pass(1_000);

    assert.equal(feed.refreshes, 1);
  });

  test("is over with the next snapshot", async () => {
    const { feed, hear, pass, snapshot } = page();
    hear(failed());
    snapshot(5, []);

    await pass(60_000);

    assert.equal(feed.refreshes, 0);
  });

  test("has them asked for twice a minute at most, however many follow", async () => {
    const { feed, hear, pass, snapshot } = page();
    for (let second = 0; second < 60; second += 1) {
      hear(failed("ticket_updated"));
      const { refreshes } = feed;
      await pass(1_000);
      if (feed.refreshes > refreshes) snapshot(second, []);
    }

    assert.equal(feed.refreshes, 2);
  });

  test("is looked after when the page is live again", async () => {
    const { feed, hear, pass, enters } = page();
    enters("catching-up");
    hear(failed());
    await pass(60_000);
    assert.equal(feed.refreshes, 0);

    enters("live");
    await pass(1_000);

    assert.equal(feed.refreshes, 1);
  });

  for (const type of ["ticket_commented", "finding_created", "anomaly_detected", "nobody_knows"]) {
    test(`does not matter as ${type}, which is in no row`, async () => {
      const { feed, hear, pass } = page();
      hear(failed(type));

      await pass(60_000);

      assert.equal(feed.refreshes, 0);
    });
  }
});

describe("a replay of a ticket that is not on the page", () => {
  test("brings it as it is now, without a frame that would ring for it", async () => {
    const { store, server, changes, hear, pass } = page();
    server.set(4, row({ id: 4, status: "ON_HOLD", version: 3 }));
    hear(replayed({ id: 4 }));
    assert.equal(store.items.size, 0);

    await pass(1_000);

    assert.equal(store.items.get(4).shown.status, "ON_HOLD");
    assert.deepEqual(changes.map(({ before, after, frame }) => [before, after.version, frame]), [[null, 3, null]]);
  });

  for (const [now, why] of [[row({ id: 4, status: "CLOSED" }), "closed since"], [null, "not ours to see any more"]]) {
    test(`brings nothing when it is ${why}`, async () => {
      const { store, server, asked, hear, pass } = page();
      server.set(4, now);
      hear(replayed({ id: 4 }));

      await pass(60_000);

      assert.deepEqual(asked, [4]);
      assert.equal(store.items.size, 0);
    });
  }

  test("asks nothing when it tells of an end, or is of one that is here", async () => {
    const { asked, hear, pass } = page(row({ id: 1, version: 5 }));
    hear(replayed({ id: 4, status: "CLOSED" }, "ticket_updated"));
    hear({ ...replayed({ id: 5 }, "ticket_deleted"), status: undefined });
    hear(replayed({ id: 1 }));

    await pass(60_000);

    assert.deepEqual(asked, []);
  });

  test("that changed while it was asked for is asked for again", async () => {
    const { store, server, asked, hear, pass, slow, answer } = page();
    server.set(4, row({ id: 4 }));
    slow();
    hear(replayed({ id: 4 }));
    await pass(1_000);
    server.set(4, row({ id: 4, version: 2, status: "CLOSED" }));
    hear(frame("ticket_updated", { id: 4, version: 2, status: "CLOSED" }));

    await answer();
    await pass(1_000);
    await answer();

    assert.deepEqual(asked, [4, 4]);
    assert.equal(store.items.size, 0);
  });

  test("says nothing when a snapshot was quicker", async () => {
    const { store, server, hear, pass, slow, answer, snapshot } = page();
    server.set(4, row({ id: 4 }));
    slow();
    hear(replayed({ id: 4 }));
    await pass(1_000);
    snapshot(9, []);

    await answer();
    await pass(60_000);

    assert.equal(store.items.size, 0);
  });

  test("is asked for again later when there is no answer", async () => {
    const { store, server, asked, hear, pass } = page();
    hear(replayed({ id: 4 }));
    await pass(1_000);
    server.set(4, row({ id: 4 }));

    await pass(10_000);

    assert.deepEqual(asked, [4, 4]);
    assert.ok(store.items.has(4));
  });

  test("is one of many: then all are asked for", async () => {
    const { feed, asked, hear, pass } = page();
    for (let id = 1; id <= 21; id += 1) hear(replayed({ id }));

    await pass(1_000);

    assert.equal(feed.refreshes, 1);
    assert.deepEqual(asked, []);
  });
});

test("all tickets are asked for again later when they cannot be asked for now", async () => {
  const { feed, hear, pass } = page();
  const { refresh } = feed;
  feed.refresh = () => false;
  hear(failed());
  await pass(1_000);
  feed.refresh = refresh;

  await pass(29_000);
  assert.equal(feed.refreshes, 0);
  await pass(1_000);

  assert.equal(feed.refreshes, 1);
});

describe("a replay of a move out of sight", () => {
  const away = { type: "ticket_moved", seq: 50, replay_of: 3, ticket_id: 1, site_id: 7 };

  test("takes nothing away that has come back", async () => {
    const { store, asked, changes, hear, pass } = page(row());

    hear(away);
    await pass(1_000);

    assert.deepEqual(asked, [1]);
    assert.deepEqual(changes, []);
    assert.ok(store.items.has(1));
  });

  test("takes away what is out of sight", async () => {
    const { store, server, hear, pass } = page(row());
    server.set(1, null);

    hear(away);
    await pass(1_000);

    assert.equal(store.items.size, 0);
  });
});

describe("a feed that is refreshed", () => {
  test("takes a new snapshot on the same socket and goes on from there", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    server.seq = 12;

    feed.refresh();

    assert.deepEqual([feed.state, feed.reason], ["catching-up", "doubted"]);
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 12, epoch: server.epoch });
    client.send({ type: "synced", seq: 12 });
    await rig.state("live");
    assert.equal(server.snapshots, 2);
    assert.equal(server.unmet, 0);
  });

  test("goes on as before when there is no snapshot to be had", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    server.snapshot = async () => ({ status: 503, headers: { "Retry-After": "7" } });

    assert.equal(feed.refresh(), true);

    assert.deepEqual(await client.next(), { type: "resume", after_seq: 10, epoch: server.epoch });
    client.send({ type: "synced", seq: 10 });
    await rig.state("live");
    assert.deepEqual([feed.staleSince, rig.count("snapshot")], [null, 1]);
    assert.ok(!rig.states.some((state) => state.startsWith("stale")));
    client.send(server.event(11));
    await rig.until(() => rig.seqs.includes(11));
  });

  test("does nothing just after another snapshot, and asks again", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    feed.refresh();
    await client.next();
    client.send({ type: "synced", seq: 10 });
    await rig.state("live");

    assert.equal(feed.refresh(), false);

    await rig.still("live");
    assert.equal(server.snapshots, 2);
  });

  test("does nothing while it is not live", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    client.cut();
    await rig.state("stale");

    assert.equal(feed.refresh(), false);

    await rig.still("stale");
    assert.equal(server.snapshots, 1);
  });
});
