import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prefs } from "../../apps/noc/static/noc/prefs.js";
import { Times } from "../../apps/noc/static/noc/times.js";

describe("preferences", () => {
  it("tell who watches one of them of that one alone", () => {
    const prefs = new Prefs(null);
    let told = 0;
    prefs.watch("sound", () => (told += 1));

    prefs.set("known", ["a"]);
    prefs.set("sound", "loud");

    assert.equal(told, 1);
    assert.equal(prefs.get("sound", ""), "loud");
  });

  it("redraw the times when the zone was turned, and at nothing else", () => {
    const prefs = new Prefs(null);
    const times = new Times(prefs);
    const zones = [];
    times.watch(() => zones.push(times.zone));

    prefs.set("known", ["a"]);
    times.zone = "utc";

    assert.deepEqual(zones, ["utc"]);
  });
});
