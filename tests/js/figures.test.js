import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CHARTS, amount, dataOf, duration, newest, summary } from "../../apps/noc/static/noc/figures.js";

const [EVENTS, DELIVERY, OPEN] = CHARTS;
const figures = {
  from: "2026-01-01T10:00:00.000000Z",
  to: "2026-01-01T10:15:00.000000Z",
  step_s: 300,
  events: { ticket: [10, 0, 7], finding: [0, 0, 0], anomaly: [5, 1, 0] },
  delivery: { p50_s: [0.012, null, null], p95_s: [1.5, null, null] },
  open: { NEW: [3, null, 4], IN_PROGRESS: [0, null, 1], ON_HOLD: [0, null, 0], RESOLVED: [9, null, 2] },
};
const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);

describe("a chart", () => {
  it("has the rate of each step but of the one that still runs", () => {
    assert.deepEqual(dataOf(figures, EVENTS).values, [[2, 0, null], [0, 0, null], [1, 0.2, null]]);
  });

  it("has the beginnings of the steps as its times", () => {
    assert.deepEqual(dataOf(figures, OPEN).times.map(clock), ["10:00", "10:05", "10:10"]);
  });

  it("keeps a hole where nothing is known", () => {
    assert.deepEqual(dataOf(figures, OPEN).values[0], [3, null, 4]);
  });

  it("tells its newest step and the highest of all", () => {
    assert.equal(newest(dataOf(figures, DELIVERY)), 0);
    assert.equal(summary(EVENTS, dataOf(figures, EVENTS), clock), "Events per minute at 10:05: Tickets 0, at most 2; Findings 0, at most 0; Anomalies 0.2, at most 1.");
  });

  it("says so when nothing is known", () => {
    const nothing = { ...figures, delivery: { p50_s: [null], p95_s: [null] } };

    assert.equal(summary(DELIVERY, dataOf(nothing, DELIVERY), clock), "From a change to the screen: nothing is known.");
  });

  it("does without a line that the server does not know", () => {
    assert.deepEqual(dataOf({ ...figures, open: {} }, OPEN), { times: [], values: [[], [], [], []] });
  });
});

describe("a figure", () => {
  it("is a duration in the unit that reads best", () => {
    assert.deepEqual([0.0004, 0.0123, 0.25, 0.9996, 1.46, 42, 99.9, 100].map(duration), ["0.4 ms", "12 ms", "250 ms", "1 s", "1.5 s", "42 s", "100 s", "1.7 min"]);
  });

  it("is an amount without more digits than it needs", () => {
    assert.deepEqual([0, 0.2, 2, 9.96, 1234.5].map(amount), ["0", "0.2", "2", "10", "1,235"]);
  });
});
