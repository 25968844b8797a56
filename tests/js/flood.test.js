import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Floods, WINDOW_MS } from "../../apps/noc/static/noc/flood.js";

const START = Date.parse("2026-01-01T10:00:00Z");
const MINUTE = 60_000;

/** @param {number} count @param {number} at @param {number} [apart] */
function arrive(floods, group, count, at, apart = 0) {
  for (let each = 0; each < count; each += 1) floods.arrived(group, at + each * apart);
}

describe("a flood", () => {
  it("begins above 10 new in 10 minutes, and is told once", () => {
    const floods = new Floods();
    arrive(floods, "berlin", 10, START);
    assert.deepEqual(floods.look(START), { began: [], ended: [] });

    floods.arrived("berlin", START);

    assert.deepEqual(floods.look(START), { began: ["berlin"], ended: [] });
    assert.deepEqual(floods.look(START), { began: [], ended: [] });
    assert.equal(floods.rate("berlin"), 11);
  });

  it("is of its group alone", () => {
    const floods = new Floods();
    arrive(floods, "berlin", 8, START);
    arrive(floods, "bonn", 8, START);

    assert.deepEqual(floods.look(START).began, []);
  });

  it("does not begin when they come slowly", () => {
    const floods = new Floods();
    for (let at = START; at < START + 100 * MINUTE; at += MINUTE) {
      floods.arrived("berlin", at);
      assert.deepEqual(floods.look(at).began, []);
    }
    assert.equal(floods.rate("berlin"), 10);
  });

  it("ends when the rate has fallen to half, not when it is below the limit", () => {
    const floods = new Floods();
    arrive(floods, "berlin", 12, START, MINUTE / 2);
    assert.deepEqual(floods.look(START + 6 * MINUTE).began, ["berlin"]);

    assert.deepEqual(floods.look(START + WINDOW_MS + 2.6 * MINUTE).ended, []);
    assert.equal(floods.rate("berlin"), 6);
    assert.deepEqual(floods.look(START + WINDOW_MS + 3 * MINUTE).ended, ["berlin"]);
    assert.equal(floods.groups.size, 0);
  });

  it("does not come and go while the rate stays about the limit", () => {
    const floods = new Floods();
    const told = [];
    for (let at = START; at < START + 120 * MINUTE; at += 55_000) {
      floods.arrived("berlin", at);
      const { began, ended } = floods.look(at);
      told.push(...began, ...ended);
    }
    assert.deepEqual(told, ["berlin"]);
  });

  it("ends also when nothing came for long, and may begin anew", () => {
    const floods = new Floods();
    arrive(floods, "berlin", 30, START);
    floods.look(START);

    assert.deepEqual(floods.look(START + 60 * MINUTE).ended, ["berlin"]);
    arrive(floods, "berlin", 11, START + 61 * MINUTE);
    assert.deepEqual(floods.look(START + 61 * MINUTE).began, ["berlin"]);
  });

  it("is known at once from times in any order, of which old ones do not count", () => {
    const floods = new Floods();
    for (const minutes of [3, 1, 2, 9, 5, 4, 8, 7, 6, 0, 9.5, 30, 400]) floods.arrived("berlin", START - minutes * MINUTE);

    assert.deepEqual(floods.look(START).began, ["berlin"]);
    assert.equal(floods.rate("berlin"), 11);
  });

  it("begins where the user says", () => {
    const floods = new Floods({ above: 3 });
    arrive(floods, "berlin", 4, START);

    assert.deepEqual(floods.look(START).began, ["berlin"]);
  });
});
