import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Absence, summary } from "../../apps/noc/static/noc/absence.js";
import { row } from "./tickets.js";

let seq = 0;
const change = (before, after, type = "ticket_updated") => ({ item: { id: (after ?? before).id }, before, after, frame: { type, seq: ++seq } });

function ended(...changes) {
  const absence = new Absence(1_000);
  for (const each of changes) absence.take(each);
  return absence.end(9_000);
}
const words = (...changes) => ended(...changes).entries.map(({ what }) => what);

describe("what happened while the page was not current", () => {
  it("is one line for each ticket, from what it was first to what it is now", () => {
    const first = row();
    const second = { ...first, status: "IN_PROGRESS", version: 2 };
    const third = { ...second, status: "RESOLVED", assigned_to: "Bo", version: 3 };

    assert.deepEqual(words(change(first, second), change(second, third)), ["New → Resolved, assigned to Bo"]);
  });

  it("tells what was opened, acknowledged, raised, moved, closed, deleted", () => {
    const ticket = (id, changes) => row({ id, ...changes });

    assert.deepEqual(
      words(
        change(null, ticket(1), "ticket_created"),
        change(ticket(2), ticket(2, { acknowledged_at: "x", acknowledged_by: "Ada" })),
        change(ticket(3, { priority: "LOW" }), ticket(3, { priority: "CRITICAL" })),
        change(ticket(4), ticket(4, { site_id: 8, site_name: "Bonn" })),
        change(ticket(5), ticket(5, { status: "CLOSED" })),
        change(ticket(6), null, "ticket_deleted"),
      ),
      ["Low → Critical", "deleted", "New → Closed", "moved to Bonn", "acknowledged by Ada", "opened"],
    );
  });

  it("has the most severe first, then the last that changed", () => {
    const { entries } = ended(change(null, row({ id: 1 })), change(null, row({ id: 2, priority: "CRITICAL" })), change(null, row({ id: 3 })), change(null, row({ id: 4, priority: "ODD" })));

    assert.deepEqual(entries.map(({ id }) => id), [2, 3, 1, 4]);
  });

  it("leaves out what came and went, what is as it was, and what the user asked for and has no answer yet", () => {
    const ticket = row();

    assert.deepEqual(words(change(null, row({ id: 2 })), change(row({ id: 2 }), row({ id: 2, status: "CLOSED" })), change(ticket, { ...ticket, version: 2 }), change(ticket, ticket)), []);
  });

  it("is read from a snapshot too, which says only what is", () => {
    const absence = new Absence(0);
    absence.take({ item: { id: 1 }, before: row(), after: null, frame: null });

    assert.deepEqual(absence.end(1).entries.map(({ kind, what }) => [kind, what]), [["gone", "closed, or moved away"]]);
  });

  it("is summed up", () => {
    const { entries, since, until } = ended(change(null, row({ id: 1 })), change(row({ id: 2 }), null), change(row({ id: 3 }), null));

    assert.equal(summary(entries), "1 opened, 2 gone");
    assert.deepEqual([since, until], [1_000, 9_000]);
  });
});
