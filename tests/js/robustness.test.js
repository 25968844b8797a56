import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";

import { supersedes } from "../../apps/noc/static/noc/noc-feed.js";
import { Rig, turn } from "./rig.js";
import { ScriptedServer } from "./scripted_server.js";

const JUNK = ["", "{", "null", "[]", "7", '{"seq":11}', '{"type":7}', '{"type":"synced"}', '{"type":"ping","pos":"x"}', '{"type":"hello"}'];

describe("a frame that cannot be read", () => {
  for (const junk of [...JUNK, '{"type":"ticket_updated","seq":"11","prev":10,"epoch":"e"}', '{"type":"ticket_updated","seq":11,"prev":null}']) {
    test(`is reported, and asked for again: ${junk}`, async (t) => {
      const { rig, client, server } = await Rig.live(t);
      client.sendWrong(junk);
      await rig.problem("A frame could not be read");
      assert.deepEqual(await client.next(), { type: "resume", after_seq: 10, epoch: server.epoch });
      client.send(server.event(11), { type: "synced", seq: 11 });
      await rig.state("live");
      assert.deepEqual(rig.seqs, [11]);
    });
  }

  test("and comes again the same way ends in a snapshot", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong('{"type":"ticket_updated","seq":11,"prev":');
    await client.next();
    client.sendWrong('{"type":"ticket_updated","seq":11,"prev":');
    server.seq = 11;
    client.send(server.ping(11), { type: "synced", seq: 11 });
    assert.deepEqual(await client.next(), { type: "pong", seq: 10 });
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 11, epoch: server.epoch });
    assert.equal(rig.count("snapshot"), 2);
  });

  test("of a type without a place is left alone", async (t) => {
    const { rig, client } = await Rig.live(t);
    client.sendWrong({ type: "weather", text: "rain" }, { type: "constructor" });
    await rig.settled(client);
    assert.deepEqual(rig.overheard, []);
    assert.deepEqual(rig.problems, []);
  });
});

describe("an error of the server", () => {
  const error = (code, retry_after_ms) => ({ type: "error", code, message: "scripted", temporary: retry_after_ms !== undefined, ...(retry_after_ms !== undefined && { retry_after_ms }) });

  test("is told", async (t) => {
    const { rig, client } = await Rig.live(t);
    client.send(error("bad_message"));
    await rig.problem("The server sent an error");
    assert.equal(rig.feed.state, "live");
  });

  test("that its log cannot be read makes the page stale until it answers", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.send(error("unavailable", 2_000), error("unavailable", 2_000));
    await rig.state("stale", "unavailable");
    client.send(server.event(11)); // from memory: it fits, and proves nothing of what comes after
    await rig.event(11);
    assert.equal(rig.feed.state, "stale");
    rig.clock.advance(2_500);
    assert.deepEqual(await client.next(), { type: "resume", after_seq: 11, epoch: server.epoch });
    client.send({ type: "synced", seq: 11 });
    await rig.state("live");
    await rig.settled(client);
    assert.deepEqual(rig.overheard, []); // asked once
  });

  test("that drops our question is asked again", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    client.sendWrong(server.event(12));
    await client.next();
    client.send(error("rate_limited", 1_000));
    await rig.settled(client);
    rig.clock.advance(1_500);
    assert.equal((await client.next()).type, "resume");
  });

  test("about our place brings a snapshot", async (t) => {
    const { rig, client, server } = await Rig.live(t);
    server.seq = 30;
    client.send(error("bad_cursor"));
    assert.equal((await client.next()).after_seq, 30);
    assert.equal(rig.count("snapshot"), 2);
  });
});

describe("a listener that throws", () => {
  test("is reported and stops nothing", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    const reported = t.mock.method(console, "error", () => {});
    feed.addEventListener("event", () => {
      throw new Error("first");
    });
    feed.addEventListener("event", async () => {
      throw new Error("second");
    });
    feed.addEventListener("event", {
      handleEvent() {
        throw new Error("third");
      },
    });
    client.send(server.event(11), server.event(12));
    await rig.event(12);
    await turn();
    const messages = reported.mock.calls.map(({ arguments: [error] }) => error.message);
    assert.deepEqual(messages.sort(), ["first", "first", "second", "second", "third", "third"]);
    assert.equal(await rig.settled(client), 12);
  });

  test("can be removed like any other", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    let calls = 0;
    const listener = () => (calls += 1);
    feed.addEventListener("event", listener);
    client.send(server.event(11));
    await rig.event(11);
    feed.removeEventListener("event", listener);
    client.send(server.event(12));
    await rig.event(12);
    assert.equal(calls, 1);
  });

  test("may stop the feed", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    feed.addEventListener("event", () => feed.stop());
    client.send(server.event(11), server.event(12));
    await rig.state("stopped", "asked");
    assert.equal(await client.closed(), 1000);
    assert.deepEqual(rig.seqs, [11]);
    assert.equal(rig.clock.pending, 0);
  });
});

describe("stop", () => {
  test("leaves no timer and no connection, whenever it comes", async (t) => {
    const moments = {
      "before anything": async () => {},
      "while the snapshot is under way": async (rig) => rig.feed.start(),
      "while connecting": async (rig) => {
        rig.feed.start();
        await rig.until(() => rig.count("snapshot"));
      },
      "while catching up": async (rig) => {
        rig.feed.start();
        (await rig.server.client()).send(rig.server.hello(), rig.server.event(1));
        await rig.event(1);
      },
      "while waiting to try again": async (rig) => {
        rig.server.refuses = true;
        rig.feed.start();
        await rig.state("stale");
        await rig.pause();
      },
      "while a reset brings a snapshot": async (rig) => {
        rig.feed.start();
        (await rig.server.client()).send(rig.server.hello(), rig.server.reset("trimmed"));
        await rig.state("catching-up", "reset");
      },
    };
    for (const [moment, reach] of Object.entries(moments)) {
      const rig = await Rig.make(t);
      await reach(rig);
      rig.feed.stop();
      rig.feed.stop();
      const told = rig.told.length;
      for (let turns = 0; turns < 10; turns += 1) await turn();
      assert.equal(rig.clock.pending, 0, moment);
      assert.equal(rig.told.length, told, moment);
    }
  });

  test("can be followed by another start", async (t) => {
    const { rig, client, server, feed } = await Rig.live(t);
    feed.stop();
    feed.start();
    await client.closed();
    const next = await server.client();
    next.send(server.hello({ sites: [3] }), { type: "synced", seq: 10 });
    await rig.state("live");
    assert.equal(server.snapshots, 2);
    assert.deepEqual(rig.states.slice(3), ["stopped asked", "loading", "catching-up", "live"]);
    await rig.settled(next);
  });

  test("lets a program end, with the clock and timers of every day", async (t) => {
    const server = await ScriptedServer.start();
    t.after(() => server.stop());
    const program = `
      import { Feed } from ${JSON.stringify(new URL("../../apps/noc/static/noc/noc-feed.js", import.meta.url).href)};
      const feed = new Feed(${JSON.stringify(server.addresses)});
      feed.addEventListener("event", () => feed.stop());
      feed.start();
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "inherit", "pipe"] });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    const client = await server.client();
    client.send(server.hello(), { type: "synced", seq: 0 }, server.event(1));
    assert.equal(await ended, 0);
  });
});

describe("the rule for rows", () => {
  test("takes later versions only, and what has no row", () => {
    assert.equal(supersedes({ version: 3 }, { version: 2 }), true);
    assert.equal(supersedes({ version: 2 }, { version: 2 }), false);
    assert.equal(supersedes({ version: 1 }, undefined), true);
  });
});
