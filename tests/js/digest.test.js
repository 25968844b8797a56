import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Digest, startDigest } from "../../apps/noc/static/noc/digest.js";
import { Filter } from "../../apps/noc/static/noc/filter.js";
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

describe("the digest of a page", () => {
  const seen = (type, site_id, more = {}) => ({ live: true, frame: { type, site_id, site_name: "Berlin", severity: "HIGH", title: "No backup", finding_id: 1, ...more } });

  /** What it says of the events under the filter. */
  function said(t, query, ...events) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const element = { textContent: "" };
    globalThis.document = { getElementById: () => element };
    t.after(() => delete globalThis.document);
    const page = { store: new EventTarget(), feed: new EventTarget(), filter: Filter.fromQuery(new URLSearchParams(query)) };
    startDigest(page);
    for (const detail of events) page.feed.dispatchEvent(new CustomEvent("event", { detail }));
    t.mock.timers.tick(10_000);
    return element.textContent;
  }

  it("tells of the findings and anomalies that the filter lets through", (t) => {
    const events = [seen("finding_created", 3), seen("finding_created", 4), seen("anomaly_detected", 3), seen("anomaly_detected", null)];

    assert.equal(said(t, "site=3", ...events), "1 new finding; 1 new anomaly");
  });

  it("tells of no anomalies while findings are shown", (t) => {
    assert.equal(said(t, "kind=finding", seen("finding_created", 3), seen("anomaly_detected", 3)), "1 new finding");
  });

  it("says nothing of a replay, nor of what is long ago", (t) => {
    assert.equal(said(t, "", seen("finding_created", 3, { replay_of: 1 }), { ...seen("finding_created", 3), live: false }), "");
  });
});
