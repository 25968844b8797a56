import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Absence, DRAWN, summary, total } from "../../apps/noc/static/noc/absence.js";
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
    const absent = ended(change(null, row({ id: 1 })), change(row({ id: 2 }), null), change(row({ id: 3 }), null));

    assert.equal(summary(absent), "1 opened, 2 gone");
    assert.deepEqual([absent.since, absent.until], [1_000, 9_000]);
  });
});

describe("what was seen while the page was not current", () => {
  const second = (n) => new Date(n * 1000).toISOString();
  const finding = (id, severity = "HIGH", created_at = second(id)) => ({ id, severity, site_id: 1, site_name: "Berlin", title: `finding ${id}`, created_at });
  const anomaly = (id, severity) => ({ id, severity, site_id: null, site_name: null, metric: "load", observed: 9, expected: 1, detected_at: second(id) });

  it("stands among the tickets, by severity and then by when it came, once", () => {
    const absence = new Absence(0);
    absence.see("finding", finding(1), 101);
    absence.take({ ...change(null, row({ id: 1 })), frame: { type: "ticket_created", seq: 102 } });
    absence.see("anomaly", anomaly(1, "CRITICAL"), 103);
    absence.see("finding", finding(2), 104);
    absence.see("finding", finding(2), 105);

    const absent = absence.end(9_000);

    assert.deepEqual(absent.entries.map(({ kind, id }) => `${kind} ${id}`), ["anomaly 1", "finding 2", "opened 1", "finding 1"]);
    assert.equal(summary(absent), "1 opened, 2 findings, 1 anomaly");
    assert.equal(absent.entries[1].at, 2_000);
  });

  it("is read from the server too, from when the page was current last", () => {
    const absence = new Absence(3_000);
    absence.see("finding", finding(5), 101);

    absence.found("finding", { results: [finding(5), finding(4), finding(2)], next: "?cursor=2" });

    const absent = absence.end(9_000);
    assert.deepEqual(absent.entries.map(({ id }) => id), [5, 4]);
    assert.equal(summary(absent), "2 findings");
  });

  it("is not told again when the page is away once more", () => {
    const absence = new Absence(1_000); // nobody has dismissed it since

    absence.found("finding", { results: [finding(5), finding(4), finding(2)], next: "?cursor=2" }, 5_000);

    assert.equal(summary(absence.end(9_000)), "1 finding");
  });

  it("may be more than the server told", () => {
    const absence = new Absence(0);

    absence.found("anomaly", { results: [anomaly(2, "LOW"), anomaly(1, "LOW")], next: "?cursor=1" });

    assert.equal(summary(absence.end(9_000)), "2 anomalies, or more");
  });

  it("is counted when it is too much to be kept, and the severe is kept", () => {
    const absence = new Absence(0);
    absence.see("finding", finding(1, "CRITICAL"), 1);
    for (let id = 2; id <= 5_000; id += 1) absence.see("finding", finding(id, "LOW"), id);

    const absent = absence.end(9_000_000);

    assert.equal(absent.entries.length, DRAWN + 1);
    assert.deepEqual(absent.entries.slice(0, 2).map(({ id }) => id), [1, 5_000]);
    assert.equal(summary(absent), "5,000 findings");
    assert.equal(total(absent), 5_000);
  });
});
