import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { arrange } from "../../apps/noc/static/noc/order.js";
import { row } from "./tickets.js";

const item = (id, changes = {}, order = 0) => ({ id, order, changed: id, shown: row({ id, ...changes }) });
const keys = (lines) => lines.map((line) => line.key);

describe("the order of the list", () => {
  it("has the unacknowledged first, then the severe, then the last change", () => {
    const items = [
      item(1, { status: "IN_PROGRESS", priority: "CRITICAL" }),
      item(2, { priority: "LOW" }),
      item(3, { priority: "HIGH" }),
      item(4, { priority: "HIGH" }, 9),
      item(5, { priority: "CRITICAL", acknowledged_at: "2026-01-01T10:00:00Z" }),
    ];

    assert.deepEqual(keys(arrange(items, { sort: "urgent" })), [4, 3, 2, 5, 1]);
  });

  it("has the last change first when asked to", () => {
    assert.deepEqual(keys(arrange([item(1), item(2), item(3, {}, 9)], { sort: "changed" })), [3, 2, 1]);
  });

  it("puts the new tickets of a flooded group into one line, and drops none", () => {
    const items = [item(1, { site_id: 1 }), item(2, { site_id: 2 }), item(3, { site_id: 1 }), item(4, { site_id: 1, status: "ON_HOLD" })];
    const flood = { groupOf: ({ shown }) => String(shown.site_id), groups: new Map([["1", "Berlin"]]), opened: new Set() };

    const closed = arrange([...items], { sort: "urgent", flood });
    const opened = arrange([...items], { sort: "urgent", flood: { ...flood, opened: new Set(["1"]) } });

    assert.deepEqual(keys(closed), ["group:1", 2, 4]);
    assert.deepEqual(closed[0].items.map(({ id }) => id), [3, 1]);
    assert.deepEqual(keys(opened), ["group:1", 3, 1, 2, 4]);
  });
});
