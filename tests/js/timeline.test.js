import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delay, keyOf, withNewest, withOlder } from "../../apps/noc/static/noc/timeline.js";

const event = (seq) => ({ kind: "event", seq });
const comment = (id) => ({ kind: "comment", id });
const page = (entries, before = null) => ({ entries, before });
const keys = ({ entries }) => entries.map(keyOf);

describe("a timeline", () => {
  it("gets what is new on top and keeps what was loaded below", () => {
    const known = page([event(5), comment(1), event(4), event(3)], "older than 3");

    const next = withNewest(known, page([event(6), comment(2), event(5), comment(1)], "older than comment 1"));

    assert.deepEqual(keys(next), ["event 6", "comment 2", "event 5", "comment 1", "event 4", "event 3"]);
    assert.equal(next.before, "older than 3");
  });

  it("lets go of what was loaded when there would be a hole", () => {
    const next = withNewest(page([event(3), event(2)], "older than 2"), page([event(9), event(8)], "older than 8"));

    assert.deepEqual(keys(next), ["event 9", "event 8"]);
    assert.equal(next.before, "older than 8");
  });

  it("is what the server says when that is all of it", () => {
    assert.deepEqual(keys(withNewest(page([event(2), event(1)]), page([event(3), event(2)]))), ["event 3", "event 2"]);
  });

  it("goes on below, without repeating", () => {
    const next = withOlder(page([event(3), event(2)], "older than 2"), page([event(2), event(1)]));

    assert.deepEqual(keys(next), ["event 3", "event 2", "event 1"]);
    assert.equal(next.before, null);
  });

  it("says how long an event took into the log", () => {
    const at = "2026-01-01T10:00:00.000Z";
    assert.equal(delay({ at, recorded_at: "2026-01-01T10:00:00.040Z" }), "40 ms");
    assert.equal(delay({ at, recorded_at: "2026-01-01T10:00:02.500Z" }), "2.5 s");
    assert.equal(delay({ at, recorded_at: "2026-01-01T09:59:59.999Z" }), "0 ms"); // two clocks
  });
});
