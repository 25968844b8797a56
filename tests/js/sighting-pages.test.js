import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PAGE, SightingPages } from "../../apps/noc/static/noc/sighting-pages.js";

const sighting = (id) => ({ id, severity: "HIGH", site_id: 1, site_name: "Berlin", title: `finding ${id}` });
/** A page of the server that begins with this id. */
const from = (id, n = PAGE) => ({ results: Array.from({ length: n }, (_, at) => sighting(id - at)), next: `?cursor=${id - n}` });
const started = (id = 1000) => {
  const pages = new SightingPages();
  pages.restart(from(id));
  return pages;
};
const ids = ({ rows }) => rows.map(({ id }) => id);

describe("the rows of findings", () => {
  it("have what comes live on top, once", () => {
    const pages = started();

    pages.take(sighting(1001), false);
    pages.take(sighting(1001), false);
    pages.take(sighting(999), false); // the first page had it

    assert.deepEqual(ids(pages).slice(0, 3), [1001, 1000, 999]);
    assert.equal(ids(pages).length, PAGE + 1);
  });

  it("stay in their places while what comes waits", () => {
    const pages = started();

    pages.take(sighting(1001), true);
    pages.take(sighting(1002), true);

    assert.equal(ids(pages)[0], 1000);
    assert.equal(pages.waiting, 2);
    pages.letIn();
    assert.deepEqual(ids(pages).slice(0, 3), [1002, 1001, 1000]);
    assert.equal(pages.waiting, 0);
  });

  it("keep what came while the newest page was on its way, whether it has it or not", () => {
    const pages = started();
    pages.take(sighting(1001), true);

    pages.asks();
    pages.take(sighting(1002), true);
    pages.take(sighting(1003), false);
    pages.restart(from(1002));

    assert.deepEqual(ids(pages).slice(0, 3), [1003, 1002, 1001]);
    assert.equal(pages.waiting, 0);
    pages.take(sighting(1003), false);
    assert.equal(ids(pages).length, PAGE + 1);
    pages.restart(from(1003)); // nothing of the request before
    assert.equal(ids(pages).length, PAGE);
  });

  it("are never more than 300, whatever comes and is loaded", () => {
    const pages = started();
    for (let id = 1001; id <= 1040; id += 1) pages.take(sighting(id), false);

    for (let id = 1000 - PAGE; id > 1000 - 8 * PAGE; id -= PAGE) {
      pages.older(from(id));
      assert.ok(ids(pages).length <= 300, String(ids(pages).length));
    }

    assert.ok(pages.past);
    assert.equal(ids(pages).at(-1), 1000 - 8 * PAGE + 1);
    pages.take(sighting(1041), false); // the top is gone, so it has no place
    assert.equal(pages.waiting, 1);
  });

  it("that wait are only counted when more of them came than can be shown, and then the server is asked", () => {
    const pages = started();
    for (let id = 1001; id <= 1300; id += 1) pages.take(sighting(id), true);
    assert.ok(!pages.behind);
    pages.take(sighting(1300), true); // it is known
    assert.equal(pages.waiting, 300);

    for (let id = 1301; id <= 9000; id += 1) pages.take(sighting(id), true);
    pages.take(sighting(9001), false); // between it and the rows are those that were not kept

    assert.equal(pages.waiting, 8001);
    assert.ok(pages.behind);
    pages.letIn();
    assert.equal(pages.waiting, 8001);
    assert.equal(ids(pages)[0], 1000);
    pages.restart(from(9001));
    assert.deepEqual([pages.waiting, pages.behind, ids(pages)[0]], [0, false, 9001]);
    pages.take(sighting(9002), false);
    assert.equal(ids(pages)[0], 9002);
  });

  it("are let in up to what can be shown", () => {
    const pages = started();
    for (let id = 1001; id <= 1300; id += 1) pages.take(sighting(id), true);

    pages.letIn();

    assert.deepEqual([ids(pages)[0], ids(pages).at(-1), pages.waiting], [1300, 1001, 0]);
  });

  it("are spent when more came live than are on a page", () => {
    const pages = started();
    for (let id = 1001; id <= 1000 + PAGE; id += 1) pages.take(sighting(id), false);
    assert.ok(!pages.spent);

    pages.take(sighting(2000), false);

    assert.ok(pages.spent);
    pages.restart(from(2000));
    assert.ok(!pages.spent);
  });

  it("do not repeat what a later page has again", () => {
    const pages = started();

    pages.older(from(1000 - PAGE + 1));

    assert.equal(new Set(ids(pages)).size, ids(pages).length);
  });

  it("have what is told late in its place, and once", () => {
    const pages = new SightingPages();
    pages.restart({ results: [1000, 998, 997].map(sighting), next: null });
    pages.take(sighting(1003), false);

    for (const id of [999, 1002, 1001, 5, 999, 998]) pages.take(sighting(id), false);

    assert.deepEqual(ids(pages), [1003, 1002, 1001, 1000, 999, 998, 997, 5]);
  });

  it("leave what is told late to the page that has it", () => {
    const pages = started();

    pages.take(sighting(10), false);
    pages.take(sighting(10), true);

    assert.equal(ids(pages).length, PAGE);
    assert.equal(pages.waiting, 0);
  });

  it("have what waited in its place too", () => {
    const pages = new SightingPages();
    pages.restart({ results: [1000, 998].map(sighting), next: null });
    for (const id of [1002, 999, 1001]) pages.take(sighting(id), true);

    pages.letIn();

    assert.deepEqual(ids(pages), [1002, 1001, 1000, 999, 998]);
  });
});

describe("the newest page, asked for again", () => {
  it("adds what came unseen, and leaves the older pages", () => {
    const pages = started();
    pages.older(from(1000 - PAGE));

    pages.renew(from(1003), false);

    assert.deepEqual(ids(pages).slice(0, 4), [1003, 1002, 1001, 1000]);
    assert.equal(ids(pages).length, 2 * PAGE + 3);
    assert.ok(pages.deep);
  });

  it("moves nothing that is held", () => {
    const pages = started();
    const before = ids(pages);

    pages.renew(from(1003), true);

    assert.deepEqual(ids(pages), before);
    assert.equal(pages.waiting, 3);
    pages.take(sighting(1003), true);
    assert.equal(pages.waiting, 3);
    pages.letIn();
    assert.deepEqual(ids(pages).slice(0, 4), [1003, 1002, 1001, 1000]);
  });

  it("only counts when it does not reach to what is here, and then the server is asked", () => {
    const pages = started();
    pages.older(from(1000 - PAGE));
    const before = ids(pages);

    pages.renew(from(2000), false);
    pages.take(sighting(2001), false);
    pages.renew(from(2000), false); // the same ones, counted once

    assert.deepEqual(ids(pages), before);
    assert.deepEqual([pages.waiting, pages.uncounted, pages.behind], [PAGE + 1, true, true]);
    pages.restart(from(2001));
    assert.deepEqual([pages.waiting, pages.uncounted, ids(pages)[0]], [0, false, 2001]);
  });

  it("is all there is for a list that was empty", () => {
    const pages = new SightingPages();
    pages.restart({ results: [], next: null });

    pages.renew({ results: [sighting(2), sighting(1)], next: null }, false);

    assert.deepEqual(ids(pages), [2, 1]);
  });

  it("tells what is another now, where it stands", () => {
    const pages = started();

    pages.renew({ results: [{ ...sighting(1000), status: "CLOSED" }], next: null }, true);

    assert.equal(pages.rows[0].status, "CLOSED");
  });
});
