import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { CatchUp, PerSecond, Sequence } from "../../apps/noc/static/noc/break-figures.js";

describe("Sequence", () => {
  test("counts what follows a snapshot, and no hole in it", () => {
    const sequence = new Sequence();
    sequence.begin(40);
    for (const seq of [41, 42, 43]) sequence.take(seq);
    assert.deepEqual({ ...sequence }, { first: 41, last: 43, count: 3, holes: 0, repeats: 0 });
  });

  test("tells a number that is missing from one that came twice", () => {
    const sequence = new Sequence();
    sequence.begin(0);
    for (const seq of [1, 3, 3]) sequence.take(seq);
    assert.deepEqual([sequence.count, sequence.holes, sequence.repeats], [2, 1, 1]);
  });

  test("begins anew with a snapshot from elsewhere, and goes on after one of its own place", () => {
    const sequence = new Sequence();
    sequence.begin(0);
    sequence.take(1);
    sequence.begin(1);
    assert.equal(sequence.count, 1);
    sequence.begin(9);
    assert.deepEqual([sequence.first, sequence.count], [10, 0]);
  });
});

describe("CatchUp", () => {
  test("times the way from the most to nothing", () => {
    const catchUp = new CatchUp();
    for (const [behind, now] of [[10, 0], [42, 5_000], [42, 6_000], [20, 6_500]]) assert.equal(catchUp.see(behind, now), null);
    assert.deepEqual(catchUp.see(0, 7_300), { most: 42, seconds: 1.3 });
    assert.equal(catchUp.see(0, 8_000), null);
    assert.deepEqual(catchUp.last, { most: 42, seconds: 1.3 });
  });

  test("says nothing of the one or two that are on their way", () => {
    const catchUp = new CatchUp();
    catchUp.see(2, 0);
    assert.equal(catchUp.see(0, 100), null);
    assert.equal(catchUp.last, null);
  });
});

describe("PerSecond", () => {
  test("moves on with the clock, and forgets what is older", () => {
    const arrived = new PerSecond(3);
    arrived.add(1_000);
    arrived.add(1_900);
    arrived.add(2_000);
    assert.deepEqual(arrived.counts(3_500), [2, 1, 0]);
    assert.deepEqual(arrived.counts(60_000), [0, 0, 0]);
  });
});
