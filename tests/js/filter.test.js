import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Filter, isUnacknowledged } from "../../apps/noc/static/noc/filter.js";
import { row } from "./tickets.js";

const of = (query) => Filter.fromQuery(new URLSearchParams(query));

describe("a filter", () => {
  it("is in the address what it was made from", () => {
    const query = "status=NEW&status=ON_HOLD&priority=HIGH&site=7&assignee=Ada+L&acknowledged=false&q=no+carrier&kind=finding&sort=changed";

    assert.equal(of(query).toQuery().toString(), query);
  });

  it("leaves out what it does not understand", () => {
    assert.equal(of("site=x&site=-1&kind=alarm&sort=up&acknowledged=maybe&other=1").toQuery().toString(), "");
  });

  it("lets through what all of its parts let through", () => {
    assert.ok(of("status=NEW&priority=HIGH&site=7&assignee=-&q=berlin+CARRIER").matches(row()));
    for (const query of ["status=RESOLVED", "priority=LOW", "site=8", "assignee=Ada", "q=berlin+link", "acknowledged=true"]) assert.ok(!of(query).matches(row()), query);
  });

  it("lets through findings and anomalies by site, severity and words alone", () => {
    const finding = { site_id: 7, site_name: "Berlin", severity: "HIGH", title: "No backup" };
    const anomaly = { site_id: null, site_name: null, severity: "LOW", metric: "backup age" };
    assert.ok(of("status=RESOLVED&assignee=Ada&acknowledged=true&priority=HIGH&site=7&q=berlin+BACKUP").matchesSighting(finding));
    for (const query of ["priority=LOW", "site=8", "q=berlin+link"]) assert.ok(!of(query).matchesSighting(finding), query);
    assert.ok(of("q=backup").matchesSighting(anomaly));
    assert.ok(!of("site=7").matchesSighting(anomaly));
  });

  it("passes over one dimension for the figures of that dimension", () => {
    assert.ok(of("status=RESOLVED&site=7").matches(row(), "status"));
    assert.ok(!of("status=RESOLVED&site=8").matches(row(), "status"));
  });

  it("counts as unacknowledged what is new and nobody has taken notice of", () => {
    assert.ok(isUnacknowledged(row()));
    assert.ok(!isUnacknowledged(row({ status: "ON_HOLD" })));
    assert.ok(!isUnacknowledged(row({ acknowledged_at: "2026-01-01T10:00:00Z" })));
  });
});
