import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { happenedAt } from "../../apps/noc/static/noc/event-time.js";

const AT = "2026-01-01T10:00:00.123456Z";
const { $defs } = JSON.parse(readFileSync(new URL("../../docs/schemas/server.json", import.meta.url), "utf8"));
const TIMELESS = ["ticket_deleted", "ticket_unacknowledged", "event_failed"];

describe("the time of an event", () => {
  for (const type of ["ticket_updated", "ticket_created", "ticket_edited", "ticket_moved", "ticket_acknowledged", "ticket_commented", "finding_created", "anomaly_detected", ...TIMELESS]) {
    it(`of ${type} is what its frame says`, () => {
      const times = Object.entries($defs[type].properties).filter(([, { $ref }]) => $ref === "#/$defs/time");

      const at = happenedAt({ type, ...Object.fromEntries(times.map(([name]) => [name, AT])) });

      assert.equal(at, TIMELESS.includes(type) ? null : Date.parse(AT));
    });
  }

  it("is not known of a frame without one that can be read", () => {
    assert.equal(happenedAt({ type: "ticket_moved", ticket_id: 1 }), null);
    assert.equal(happenedAt({ type: "ticket_edited", updated_at: "yesterday" }), null);
    assert.equal(happenedAt({ type: "ticket_edited", updated_at: null }), null);
  });
});
