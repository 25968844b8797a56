import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PanelSource } from "../../apps/noc/static/noc/panel-source.js";
import { Store } from "../../apps/noc/static/noc/store.js";
import { turn } from "./rig.js";
import { frame, row } from "./tickets.js";

/** The panel of ticket 1, at site 7, once it was read; `reads` counts how often it was. */
async function opened(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const store = new Store();
  store.replace({ seq: 0, tickets: [row()] });
  const feed = new EventTarget();
  const related = { findings: [], anomalies: [] };
  const panel = { store, feed, related, reads: 0 };
  const http = {
    async get(path) {
      if (!path.includes("timeline")) return row();
      panel.reads += 1;
      return { entries: [], before: null, related: structuredClone(related) };
    },
  };
  panel.source = new PanelSource({ store, feed, http }, 1);
  t.after(() => panel.source.end());
  panel.source.start();
  await turn();
  panel.hear = (frame) => feed.dispatchEvent(new CustomEvent("event", { detail: { frame, live: true } }));
  panel.pass = (ms) => ((now += ms), t.mock.timers.tick(ms), turn());
  return panel;
}
const seen = (site_id, type = "finding_created") => ({ type, seq: 1, site_id, severity: "HIGH" });

describe("an open panel", () => {
  for (const type of ["finding_created", "anomaly_detected"]) {
    it(`shows what comes to its site while it is open: ${type}`, async (t) => {
      const panel = await opened(t);
      panel.related.findings.push({ id: 3, title: "No backup" });

      panel.hear(seen(7, type));
      await panel.pass(2_000);

      assert.deepEqual(panel.source.related.findings, [{ id: 3, title: "No backup" }]);
    });
  }

  it("does not read for another site, and once for many", async (t) => {
    const panel = await opened(t);
    panel.hear(seen(8));
    panel.hear(seen(null));
    await panel.pass(10_000);
    assert.equal(panel.reads, 1);

    for (let n = 0; n < 100; n += 1) panel.hear(seen(7));
    await panel.pass(2_000);

    assert.equal(panel.reads, 2);
  });

  it("does not wait as long for what happens to its ticket", async (t) => {
    const panel = await opened(t);
    panel.hear(seen(7));

    panel.hear(frame("ticket_edited", { version: 2 }));
    await panel.pass(500);
    assert.equal(panel.reads, 2);
    await panel.pass(10_000);

    assert.equal(panel.reads, 2);
  });

  it("takes no replay for the end of its ticket", async (t) => {
    const panel = await opened(t);

    panel.hear({ type: "ticket_moved", seq: 9, replay_of: 3, ticket_id: 1, site_id: 7 });

    assert.equal(panel.source.gone, "");
  });
});
