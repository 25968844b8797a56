import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startStateLine } from "../../apps/noc/static/noc/state-line.js";
import { frame } from "./tickets.js";

const NOW = Date.UTC(2026, 0, 1, 12);
const ago = (seconds) => new Date(NOW - seconds * 1000).toISOString();

/** The line of a page on which these events came, each as `[frame, live]`. */
function age(t, ...events) {
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: NOW });
  const nodes = {};
  const node = () => ({ dataset: {}, replaceChildren() {} });
  globalThis.document = { body: node(), getElementById: (id) => (nodes[id] ??= node()) };
  t.after(() => delete globalThis.document);
  const feed = Object.assign(new EventTarget(), { state: "live", since: NOW, staleSince: null, reason: undefined });
  startStateLine({ feed, times: { watch() {}, clockWithZone: String } });
  for (const [frame, live] of events) feed.dispatchEvent(new CustomEvent("event", { detail: { frame, live } }));
  t.mock.timers.tick(1_000);
  return nodes["state-age"].textContent;
}

describe("the age of the last event", () => {
  it("is how long ago it happened, though it came just now", (t) => {
    assert.equal(age(t, [frame("ticket_edited", { updated_at: ago(7_199) }), false]), "last event 2 h ago");
  });

  it("is that of the newest, whatever is sent again after it", (t) => {
    assert.equal(age(t, [frame("ticket_edited", { updated_at: ago(9) }), true], [frame("ticket_edited", { updated_at: ago(7_199), replay_of: 1 }), true]), "last event 10 s ago");
  });

  it("is none when the server's clock is ahead", (t) => {
    assert.equal(age(t, [frame("ticket_edited", { updated_at: ago(-500) }), true]), "last event 1 s ago");
  });

  it("is when it came, for one that does not say when it happened and came live", (t) => {
    const deleted = { type: "ticket_deleted", seq: 2, ticket_id: 1 };

    assert.equal(age(t, [deleted, true]), "last event 1 s ago");
    t.mock.timers.reset();
    assert.equal(age(t, [deleted, false]), "no event yet");
  });
});
