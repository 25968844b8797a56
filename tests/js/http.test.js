import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { Http } from "../../apps/noc/static/noc/http.js";

const LIMIT_MS = 200;
const LONG_MS = 20_000; // none of these tests waits for it

/** What the server does with each request, one after the other. @type {((answer: import("node:http").ServerResponse) => void)[]} */
let script = [];
let asked = [];
const holds = () => {};
const breaks = (answer) => answer.socket.destroy();
const stops = (answer) => answer.writeHead(200, { "Content-Type": "application/json" }).write('{"results": [');
const answers = (answer) => answer.writeHead(201, { "Content-Type": "application/json" }).end('{"id": 1}');

const server = createServer((request, answer) => {
  asked.push(request.headers["idempotency-key"]);
  script.shift()?.(answer);
});

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  globalThis.location = { href: `http://127.0.0.1:${server.address().port}/` };
});
after(() => {
  server.closeAllConnections();
  server.close();
  delete globalThis.location;
});

/** Requests to a server that does this. */
function http(steps, limitMs = LIMIT_MS) {
  script = steps;
  asked = [];
  return new Http({ token: "t", limitMs });
}

const noAnswer = { name: "HttpProblem", status: 0, message: "The server does not answer." };

describe("a request", () => {
  it("ends when no answer comes in time", { timeout: LONG_MS }, async () => {
    await assert.rejects(http([holds]).get("tickets/"), noAnswer);
  });

  it("ends when the answer stands still", { timeout: LONG_MS }, async () => {
    await assert.rejects(http([stops]).get("tickets/"), noAnswer);
  });

  it("passes on that its caller gave it up", { timeout: LONG_MS }, async () => {
    for (const step of [holds, stops]) {
      const giving = new AbortController();
      const asking = http([step], LONG_MS).get("tickets/", { signal: giving.signal });
      while (!asked.length) await new Promise(setImmediate);
      giving.abort();
      await assert.rejects(asking, { name: "AbortError" });
    }
  });
});

describe("a write", () => {
  it("is sent once more by the same key when the connection breaks", { timeout: LONG_MS }, async () => {
    assert.deepEqual(await http([breaks, answers], LONG_MS).write("POST", "tickets/", {}, "k"), { id: 1 });
    assert.deepEqual(asked, ["k", "k"]);
  });

  it("takes no longer for being sent twice", { timeout: LONG_MS }, async () => {
    const began = performance.now();
    const breaksLate = (answer) => setTimeout(breaks, 800, answer);

    await assert.rejects(http([breaksLate, holds], 1_000).write("POST", "tickets/", {}), noAnswer);

    assert.equal(asked.length, 2);
    assert.ok(performance.now() - began < 1_600);
  });

  it("is not sent again when the time is over", { timeout: LONG_MS }, async () => {
    await assert.rejects(http([holds, answers]).write("POST", "tickets/", {}), noAnswer);
    assert.equal(asked.length, 1);
  });
});
