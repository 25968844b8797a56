import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tilesOf } from "../../apps/noc/static/noc/site-tiles.js";
import { row } from "./tickets.js";

const at = (site_id, priority, changes = {}) => row({ site_id, site_name: `S${site_id}`, priority, ...changes });

describe("the tile of a site", () => {
  it("counts what is open, unacknowledged and of each severity", () => {
    const [tile] = tilesOf([at(1, "HIGH"), at(1, "LOW", { acknowledged_at: "2026-01-01T10:00:00Z" }), at(1, "LOW", { status: "ON_HOLD" }), at(1, "CRITICAL", { status: "CLOSED" })], []);

    assert.deepEqual(tile, { id: 1, name: "S1", open: 3, unacknowledged: 1, levels: { HIGH: 1, LOW: 2 }, worst: "HIGH" });
  });

  it("is there for a site without tickets", () => {
    assert.deepEqual(tilesOf([], [{ id: 4, name: "Quiet" }]), [{ id: 4, name: "Quiet", open: 0, unacknowledged: 0, levels: {}, worst: null }]);
  });
});

describe("the sites", () => {
  it("are sorted by trouble", () => {
    const tickets = [at(1, "HIGH"), at(1, "HIGH"), at(2, "CRITICAL"), at(3, "HIGH"), at(3, "HIGH", { status: "ON_HOLD" }), at(5, "LOW")];

    assert.deepEqual(tilesOf(tickets, [{ id: 4, name: "A" }]).map(({ id }) => id), [2, 1, 3, 5, 4]);
  });
});
