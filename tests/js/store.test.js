import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Store } from "../../apps/noc/static/noc/store.js";
import { frame, row } from "./tickets.js";

function loaded(...tickets) {
  const due = [];
  const store = new Store({ later: (run) => due.push(run) });
  store.replace({ seq: 0, tickets });
  return { store, due };
}

describe("a store of tickets", () => {
  it("adds what is created, and changes it in place", () => {
    const { store } = loaded();
    store.apply(frame("ticket_created", { id: 5, version: 1 }));
    const item = store.items.get(5);

    const change = store.apply(frame("ticket_updated", { id: 5, status: "IN_PROGRESS", version: 2 }));

    assert.equal(store.items.get(5), item);
    assert.equal(change.before.status, "NEW");
    assert.equal(item.shown.status, "IN_PROGRESS");
    assert.deepEqual([...item.flashed], ["status", "version"]);
  });

  it("knows when a ticket came or changed last, and no time of what a snapshot brought", () => {
    let now = 1_000;
    const store = new Store({ now: () => now });
    store.replace({ seq: 0, tickets: [row()] });
    assert.equal(store.items.get(1).flashedAt, -Infinity);

    store.apply(frame("ticket_created", { id: 5 }));
    now = 2_000;
    store.apply(frame("ticket_updated", { id: 1, status: "IN_PROGRESS", version: 2 }));
    now = 3_000;
    store.overlay(1, { priority: "LOW" })(null);

    assert.equal(store.items.get(5).flashedAt, 1_000);
    assert.equal(store.items.get(1).flashedAt, 3_000);
  });

  it("passes over a frame that is not later than the row", () => {
    const { store } = loaded(row({ version: 3, status: "ON_HOLD" }));

    assert.equal(store.apply(frame("ticket_updated", { version: 3, status: "RESOLVED" })), null);
    assert.equal(store.items.get(1).shown.status, "ON_HOLD");
  });

  it("keeps a closed ticket for a while, then lets it go", () => {
    const { store, due } = loaded(row());
    const changes = [];
    store.addEventListener("change", ({ detail }) => changes.push(detail.after));
    store.apply(frame("ticket_updated", { version: 2, status: "CLOSED" }));
    assert.equal(store.items.size, 1);

    due.forEach((run) => run());

    assert.equal(store.items.size, 0);
    assert.equal(changes.at(-1), null);
  });

  it("brings nothing back by a replay", () => {
    const { store } = loaded();

    assert.equal(store.apply(frame("ticket_created", { id: 9, replay_of: 3 })), null);
    assert.equal(store.items.size, 0);
  });

  it("drops what is deleted, and what moved out of sight", () => {
    const { store } = loaded(row(), row({ id: 2 }));
    store.apply({ type: "ticket_deleted", seq: 50, ticket_id: 1, site_id: 7 });
    store.apply({ type: "ticket_moved", seq: 51, ticket_id: 2, site_id: 7 });

    assert.equal(store.items.size, 0);
  });

  it("acknowledges without touching the version, and a later replay of an older one changes nothing", () => {
    const { store } = loaded(row());
    const acknowledged = { type: "ticket_acknowledged", ticket_id: 1, acknowledged_by: "Ada", acknowledged_at: "2026-01-01T10:01:00Z" };
    store.apply({ ...acknowledged, seq: 60 });
    assert.equal(store.items.get(1).shown.acknowledged_by, "Ada");
    assert.equal(store.items.get(1).shown.version, 1);
    store.apply({ type: "ticket_unacknowledged", seq: 61, ticket_id: 1 });

    store.apply({ ...acknowledged, seq: 62, replay_of: 60 });

    assert.equal(store.items.get(1).shown.acknowledged_at, null);
  });

  it("keeps the objects of its rows over a snapshot, and tells what differs", () => {
    const { store } = loaded(row(), row({ id: 2 }), row({ id: 3 }));
    const kept = store.items.get(1);
    let told = [];
    store.addEventListener("replace", ({ detail }) => (told = detail.changes));

    store.replace({ seq: 9, tickets: [row(), row({ id: 2, version: 2, status: "RESOLVED" }), row({ id: 4 })] });

    assert.equal(store.items.get(1), kept);
    assert.equal(kept.revision, 0);
    assert.deepEqual(told.map(({ item, before, after }) => [item.id, before?.status, after?.status]), [[2, "NEW", "RESOLVED"], [4, undefined, "NEW"], [3, "NEW", undefined]]);
  });
});

describe("a change that is not answered yet", () => {
  it("is shown at once, and is gone when the server refuses", () => {
    const { store } = loaded(row());
    const settle = store.overlay(1, { status: "RESOLVED" });
    assert.equal(store.items.get(1).shown.status, "RESOLVED");
    assert.equal(store.items.get(1).ticket.status, "NEW");

    settle(null);

    assert.equal(store.items.get(1).shown.status, "NEW");
  });

  it("stays over a frame of another change, and gives way to its own", () => {
    const { store } = loaded(row());
    const settle = store.overlay(1, { status: "RESOLVED" });
    store.apply(frame("ticket_edited", { version: 2, assigned_to: "Bo" }));
    assert.equal(store.items.get(1).shown.status, "RESOLVED");
    assert.equal(store.items.get(1).shown.assigned_to, "Bo");

    settle(row({ version: 3, status: "RESOLVED", assigned_to: "Bo" }));

    assert.equal(store.items.get(1).ticket.version, 3);
    assert.equal(store.apply(frame("ticket_updated", { version: 3, status: "RESOLVED" })), null);
  });

  it("never takes a row back to an older one", () => {
    const { store } = loaded(row());
    const settle = store.overlay(1, { status: "IN_PROGRESS" });
    store.apply(frame("ticket_updated", { version: 4, status: "ON_HOLD" }));

    settle(row({ version: 2, status: "IN_PROGRESS" }));

    assert.equal(store.items.get(1).shown.status, "ON_HOLD");
  });

  it("lets a ticket go that it closed, though its frame brings nothing new", () => {
    const { store, due } = loaded(row());
    store.overlay(1, { status: "CLOSED" })(row({ version: 2, status: "CLOSED" }));
    store.apply(frame("ticket_updated", { version: 2, status: "CLOSED" }));
    assert.equal(store.items.size, 1);

    due.forEach((run) => run());

    assert.equal(store.items.size, 0);
  });

  it("cuts the answer's description as the server does, between signs", () => {
    const { store } = loaded(row());
    const description = `${"x".repeat(199)}😀😀`;

    store.overlay(1, { status: "RESOLVED" })(row({ version: 2, status: "RESOLVED", description }));

    assert.equal(store.items.get(1).shown.description, `${"x".repeat(199)}😀`);
  });

  it("says nothing of a ticket that left before the answer", () => {
    const { store } = loaded(row());
    const settle = store.overlay(1, { status: "RESOLVED" });
    store.apply({ type: "ticket_deleted", seq: 90, ticket_id: 1, site_id: 7 });
    const told = [];
    store.addEventListener("change", (event) => told.push(event));

    settle(row({ version: 2, status: "RESOLVED" }));

    assert.deepEqual(told, []);
  });
});
