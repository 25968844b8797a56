import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CLEARED, chipsOf, toggled } from "../../apps/noc/static/noc/chips.js";
import { Filter } from "../../apps/noc/static/noc/filter.js";

const of = (query) => Filter.fromQuery(new URLSearchParams(query));
const chips = (query) => chipsOf(of(query), (id) => `site ${id}`);

describe("the chips of a filter", () => {
  it("name each part that is in force", () => {
    assert.deepEqual(
      chips("q=+no+carrier&status=ON_HOLD&priority=HIGH&site=7&assignee=-&acknowledged=false").map(({ name, value }) => `${name}: ${value}`),
      ["Text: no carrier", "Status: On hold", "Priority: High", "Site: site 7", "Assigned to: nobody", "Acknowledged: no"],
    );
    assert.deepEqual(chips("sort=changed"), []);
  });

  it("take away their own part only", () => {
    const filter = of("status=NEW&status=ON_HOLD&site=7&assignee=Ada");

    const without = chipsOf(filter, String).map((chip) => filter.with(chip.without).toQuery().toString());

    assert.deepEqual(without, ["status=ON_HOLD&site=7&assignee=Ada", "status=NEW&site=7&assignee=Ada", "status=NEW&status=ON_HOLD&assignee=Ada", "status=NEW&status=ON_HOLD&site=7"]);
  });

  it("leave out what does not count for findings and anomalies, where the level is a severity", () => {
    assert.deepEqual(chips("kind=finding&status=NEW&assignee=Ada&acknowledged=true&priority=LOW").map(({ name }) => name), ["Severity"]);
  });

  it("are gone once all is cleared, and the kind and the order stay", () => {
    assert.equal(of("kind=anomaly&sort=changed&status=NEW&q=x&site=1&priority=LOW&assignee=-&acknowledged=true").with(CLEARED).toQuery().toString(), "kind=anomaly&sort=changed");
  });

  it("are turned on and off by their menus", () => {
    assert.deepEqual(toggled(["a"], "b"), ["a", "b"]);
    assert.deepEqual(toggled(["a", "b"], "a"), ["b"]);
  });
});
