import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Digest } from "../../apps/noc/static/noc/digest.js";
import { row } from "./tickets.js";

describe("the digest", () => {
  it("counts what happened, and begins anew once it was said", () => {
    const digest = new Digest();
    for (const priority of ["CRITICAL", "HIGH", "LOW"]) digest.ticket({ before: null, after: row({ priority }) });
    digest.ticket({ before: row(), after: row({ status: "RESOLVED" }) });
    digest.ticket({ before: row(), after: row({ acknowledged_at: "2026-01-01T10:00:00Z" }) });
    digest.ticket({ before: row(), after: null });
    digest.sighting("finding");
    digest.sighting("anomaly");
    digest.sighting("anomaly");

    assert.equal(digest.say(), "3 new tickets, 1 critical; 1 resolved; 1 acknowledged; 1 gone; 1 new finding; 2 new anomalies");
    assert.equal(digest.say(), "");
  });

  it("has nothing to say of an edit that changes neither", () => {
    const digest = new Digest();

    digest.ticket({ before: row(), after: row({ description: "Other" }) });

    assert.equal(digest.say(), "");
  });
});
