import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Counting } from "../../apps/noc/static/noc/counting.js";
import { Filter } from "../../apps/noc/static/noc/filter.js";
import { row } from "./tickets.js";

const filtered = (query) => Filter.fromQuery(new URLSearchParams(query));
const move = (seq, before, after) => ({ before, after, frame: seq === null ? null : { seq } });
const answer = (seq, tally) => ({ epoch: "e", seq, ...tally });

describe("the counters", () => {
  it("count by status without the filter's status, by priority without its priority, the rest by all of it", () => {
    const tickets = [row({ id: 1 }), row({ id: 2, priority: "LOW" }), row({ id: 3, status: "ON_HOLD" }), row({ id: 4, site_id: 8 }), row({ id: 5, acknowledged_at: "x" })];

    const { tally } = new Counting(filtered("status=NEW&priority=HIGH&site=7"), tickets, 10);

    assert.deepEqual(tally, { total: 2, unacknowledged: 1, by_status: { NEW: 2, ON_HOLD: 1 }, by_priority: { HIGH: 2, LOW: 1 } });
  });

  it("count the unacknowledged whatever the filter says of acknowledgements", () => {
    const tickets = [row({ id: 1 }), row({ id: 2, acknowledged_at: "x" })];

    const { tally } = new Counting(filtered("acknowledged=true"), tickets, 10);

    assert.equal(tally.total, 1);
    assert.equal(tally.unacknowledged, 1);
  });

  it("move with every change, and not with what is closed", () => {
    const before = row();
    const counting = new Counting(filtered(""), [before], 10);
    const resolved = { ...before, status: "RESOLVED" };
    counting.take(move(11, before, resolved));
    assert.deepEqual(counting.tally.by_status, { RESOLVED: 1 });

    const closed = { ...before, status: "CLOSED" };
    counting.take(move(12, resolved, closed));
    counting.take(move(null, closed, null)); // and then it leaves the page

    assert.deepEqual(counting.tally, { total: 0, unacknowledged: 0, by_status: {}, by_priority: {} });
  });

  it("compare an answer with what they were at its place in the log", () => {
    const before = row();
    const counting = new Counting(filtered(""), [before], 10);
    counting.take(move(11, before, { ...before, status: "RESOLVED" }));
    counting.take(move(12, null, row({ id: 2 })));

    assert.ok(counting.compare(answer(11, { total: 1, unacknowledged: 0, by_status: { RESOLVED: 1 }, by_priority: { HIGH: 1 } })));

    assert.equal(counting.tally.total, 2);
    assert.equal(counting.missing, 0);
  });

  it("do not believe a difference at once: a write may be on its way", () => {
    const before = row();
    const counting = new Counting(filtered(""), [before], 10);
    const early = { total: 2, unacknowledged: 2, by_status: { NEW: 2 }, by_priority: { HIGH: 2 } };

    assert.ok(!counting.compare(answer(10, early)));
    assert.equal(counting.tally.total, 1);
    counting.take(move(11, null, row({ id: 2 })));
    assert.ok(counting.compare(answer(11, early)));

    assert.equal(counting.tally.total, 2);
  });

  it("say so when the server keeps counting more than the page holds, and go on from there", () => {
    const counting = new Counting(filtered(""), [row()], 10);
    const more = { total: 3, unacknowledged: 3, by_status: { NEW: 3, RESOLVED: 0 }, by_priority: { HIGH: 3 } };
    counting.compare(answer(10, more));

    assert.ok(counting.compare(answer(10, more)));
    counting.take(move(11, null, row({ id: 2, priority: "LOW" })));

    assert.equal(counting.missing, 2);
    assert.deepEqual(counting.tally, { total: 4, unacknowledged: 4, by_status: { NEW: 4 }, by_priority: { HIGH: 3, LOW: 1 } });
  });

  it("cannot compare an answer of before their first place", () => {
    const counting = new Counting(filtered(""), [], 10);

    assert.ok(!counting.compare(answer(9, { total: 0, unacknowledged: 0, by_status: {}, by_priority: {} })));
  });
});
