import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { arrange } from "../../apps/noc/static/noc/order.js";
import { Store } from "../../apps/noc/static/noc/store.js";
import { frame, row } from "./tickets.js";

const item = (id, changes = {}, changed = id) => ({ id, changed, shown: row({ id, ...changes }) });
const keys = (lines) => lines.map((line) => line.key);

describe("the order of the list", () => {
  it("has the unacknowledged first, then the severe, then the last change", () => {
    const items = [
      item(1, { status: "IN_PROGRESS", priority: "CRITICAL" }),
      item(2, { priority: "LOW" }),
      item(3, { priority: "HIGH" }),
      item(4, { priority: "HIGH" }, 3),
      item(5, { priority: "CRITICAL", acknowledged_at: "2026-01-01T10:00:00Z" }),
    ];

    assert.deepEqual(keys(arrange(items, { sort: "urgent" })), [4, 3, 2, 5, 1]);
  });

  it("has the last change first when asked to", () => {
    assert.deepEqual(keys(arrange([item(1), item(2), item(3, {}, 0)], { sort: "changed" })), [2, 1, 3]);
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

/** Numbers from 0 to 1 that are the same for the same seed. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const at = (second) => new Date(Date.UTC(2026, 0, 1, 10, 0, second)).toISOString();
const shown = (store, sort) => keys(arrange([...store.items.values()], { sort }));
function opened(tickets) {
  const store = new Store({ later: () => 0 });
  store.replace({ seq: 0, tickets });
  return store;
}

describe("the order of two pages over the same tickets", () => {
  it("is one after a snapshot that comes to a page with a past", () => {
    const store = opened([1, 2, 3].map((id) => row({ id })));
    store.apply(frame("ticket_edited", { id: 1, version: 2, updated_at: at(1) }));
    const now = [row({ id: 1, version: 2, updated_at: at(1) }), row({ id: 2, version: 2, updated_at: at(2) }), row({ id: 3, version: 2, updated_at: at(3) })];

    store.replace({ seq: 9, tickets: now });

    assert.deepEqual(shown(store, "changed"), [3, 2, 1]);
  });

  it("is one for who wrote and who saw it", () => {
    const tickets = [row({ id: 1 }), row({ id: 2 })];
    const [writer, watcher] = [opened(tickets), opened(tickets)];
    const before = frame("ticket_edited", { id: 1, version: 2, updated_at: at(1) });
    const written = { id: 2, version: 2, status: "RESOLVED", updated_at: at(2) };
    for (const store of [writer, watcher]) store.apply(before);

    writer.overlay(2, { status: "RESOLVED" })(row(written));
    for (const store of [writer, watcher]) store.apply(frame("ticket_updated", written));

    assert.deepEqual(shown(watcher, "changed"), [2, 1]);
    assert.deepEqual(shown(writer, "changed"), [2, 1]);
  });

  for (let seed = 1; seed <= 50; seed += 1) {
    it(`is one whatever they lived through: ${seed}`, () => {
      const random = numbers(seed);
      const below = (n) => Math.floor(random() * n);
      const rows = new Map([1, 2, 3, 4, 5, 6].map((id) => [id, row({ id, updated_at: at(below(3)) })]));
      const page = opened([...rows.values()]);
      /** Answers to writes of the page's own, which come before or after their frames. */
      const answers = [];
      for (let step = 1; step <= 30; step += 1) {
        const id = 1 + below(rows.size);
        const before = rows.get(id);
        const [status, priority] = [["NEW", "IN_PROGRESS", "ON_HOLD"][below(3)], ["CRITICAL", "LOW"][below(2)]];
        const after = { ...before, status, priority, version: before.version + 1, updated_at: at(below(step)) }; // commits are not in the order of their clocks
        rows.set(id, after);
        const own = below(4) === 0;
        if (own) answers.push([page.overlay(id, { status }), after]);
        if (own && below(2)) answers.pop()[0](after);
        page.apply(frame(status === before.status ? "ticket_edited" : "ticket_updated", after));
        if (below(6) === 0) page.replace({ seq: step, tickets: [...rows.values()] });
      }
      for (const [settle, answer] of answers) settle(answer);

      const fresh = opened([...rows.values()]);
      for (const sort of ["urgent", "changed"]) assert.deepEqual(shown(page, sort), shown(fresh, sort));
    });
  }
});
