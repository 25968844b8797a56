import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AlarmRules, COALESCE_MS, alarming, told } from "../../apps/noc/static/noc/alarm-rules.js";
import { isQuiet, settingsOf } from "../../apps/noc/static/noc/alarm-settings.js";

const START = Date.parse("2026-01-01T10:00:00Z");
const MINUTE = 60_000;
const LIVE = { live: true, muted: false, quiet: false };

const alarm = (id, severity = "CRITICAL", more = {}) => ({ key: `ticket:${id}`, ticket: id, severity, text: `${severity} ${id}`, ...more });
const sighting = (id, severity) => ({ key: `finding:${id}`, severity, text: `finding ${id}` });

/** The rules with a clock, which is moved by hand. */
class Desk {
  now = START;
  moment = LIVE;

  constructor({ settings = {}, ...options } = {}) {
    this.rules = new AlarmRules({ settings: settingsOf(settings), ...options });
  }

  rise(...alarms) {
    for (const each of alarms) this.rules.rise(each, this.now, this.moment.live);
    return this;
  }

  /** Take what a snapshot says. */
  find(...alarms) {
    for (const each of alarms) this.rules.found(each, this.now, this.moment);
    return this;
  }

  /** Let time pass and return what rang, second by second. */
  pass(ms) {
    const rings = [];
    for (const end = this.now + ms; this.now < end; ) {
      this.now = Math.min(end, this.now + 1000);
      const ring = this.rules.ring(this.now, this.moment);
      if (ring) rings.push(ring);
    }
    return rings;
  }

  sounds(ms) {
    return this.pass(ms).map(({ reason, sound }) => [reason, sound]);
  }

  /** The page is live again: return what rings of what came meanwhile. */
  caughtUp() {
    this.with({ live: true }).rules.caughtUp(this.now);
    return this.pass(2000);
  }

  with(changes) {
    this.moment = { ...this.moment, ...changes };
    return this;
  }
}

describe("a new ticket", () => {
  it("rings as its severity says: repeated, once, not at all", () => {
    assert.deepEqual(new Desk().rise(alarm(1)).sounds(5 * MINUTE), [["new", "CRITICAL"], ["again", "CRITICAL"], ["again", "CRITICAL"]]);
    assert.deepEqual(new Desk().rise(alarm(1, "HIGH")).sounds(60 * MINUTE), [["new", "HIGH"]]);
    assert.deepEqual(new Desk().rise(alarm(1, "MEDIUM"), alarm(2, "LOW")).sounds(60 * MINUTE), []);
  });

  it("of a severity that is not known does not ring", () => {
    assert.deepEqual(new Desk().rise(alarm(1, "ODD")).sounds(MINUTE), []);
  });

  it("rings together with the others of its burst, by the worst", () => {
    const desk = new Desk().rise(alarm(1, "HIGH"), alarm(2, "LOW"));
    desk.now += 1000;
    desk.rise(alarm(3), alarm(4, "HIGH"), alarm(5));

    const rings = desk.pass(MINUTE);

    assert.equal(rings.length, 1);
    assert.equal(rings[0].sound, "CRITICAL");
    assert.equal(told(rings[0]), "5 new tickets, 2 critical");
  });

  it("does not wait for a burst that never ends", () => {
    const desk = new Desk();
    let rings = 0;
    for (let each = 0; each < 10; each += 1) rings += desk.rise(alarm(each, "HIGH")).pass(1000).length;

    assert.equal(rings, 5);
    assert.equal(COALESCE_MS, 1500);
  });

  it("is one when it is reopened or more severe, not when it is edited or less severe", () => {
    const at = (severity, unacknowledged = true) => ({ severity, unacknowledged });
    assert.equal(alarming(null, at("LOW")), true);
    assert.equal(alarming(at("LOW", false), at("LOW")), true);
    assert.equal(alarming(at("LOW"), at("HIGH")), true);
    assert.equal(alarming(at("HIGH"), at("HIGH")), false);
    assert.equal(alarming(at("HIGH"), at("LOW")), false);
    assert.equal(alarming(at("LOW"), at("HIGH", false)), false);
    assert.equal(alarming(null, at("HIGH", false)), false);
  });
});

describe("an acknowledgement", () => {
  it("silences at once: before the first ring, and between repeats", () => {
    const early = new Desk().rise(alarm(1));
    early.rules.fall("ticket:1");
    assert.deepEqual(early.sounds(10 * MINUTE), []);

    const later = new Desk().rise(alarm(1));
    later.pass(MINUTE);
    later.rules.fall("ticket:1");
    assert.deepEqual(later.sounds(10 * MINUTE), []);
  });

  it("leaves the others", () => {
    const desk = new Desk().rise(alarm(1), alarm(2));
    desk.pass(MINUTE);
    desk.rules.fall("ticket:1");

    assert.deepEqual(desk.pass(2 * MINUTE).map(told), ["Not acknowledged: CRITICAL 2"]);
  });
});

describe("a repeat", () => {
  it("is one sound for all that stand", () => {
    const desk = new Desk();
    for (let id = 1; id <= 5; id += 1) {
      desk.rise(alarm(id));
      desk.pass(10_000);
    }
    desk.pass(MINUTE);

    const rings = desk.pass(2 * MINUTE);

    assert.equal(rings.length, 1);
    assert.equal(told(rings[0]), "5 unacknowledged tickets, 5 critical");
  });

  it("comes as often as the user says", () => {
    const levels = { HIGH: { sound: "repeat", minutes: 5, desktop: false } };
    assert.equal(new Desk({ settings: { levels } }).rise(alarm(1, "HIGH")).sounds(20 * MINUTE).length, 4);
  });

  it("follows a change of the settings", () => {
    const desk = new Desk().rise(alarm(1, "HIGH"));
    desk.pass(MINUTE);
    desk.rules.settle(settingsOf({ levels: { HIGH: { sound: "repeat", minutes: 1 } } }), desk.now);
    assert.deepEqual(desk.sounds(MINUTE), [["again", "HIGH"]]);

    desk.rules.settle(settingsOf({}), desk.now);
    assert.deepEqual(desk.sounds(10 * MINUTE), []);
  });

  it("waits while the page is not live: it may have been acknowledged", () => {
    const desk = new Desk().rise(alarm(1));
    desk.pass(MINUTE);
    assert.deepEqual(desk.with({ live: false }).sounds(60 * MINUTE), []);

    assert.deepEqual(desk.with({ live: true }).sounds(1000), [["again", "CRITICAL"]]);
  });
});

describe("what repeats", () => {
  it("is named, the worst first, without what is snoozed", () => {
    const levels = { HIGH: { sound: "repeat" } };
    const desk = new Desk({ settings: { levels } }).rise(alarm(1, "HIGH"), alarm(2), alarm(3, "LOW"), alarm(4));
    desk.rules.snooze("ticket:4", desk.now + MINUTE, desk.now);
    assert.deepEqual(desk.rules.repeating(desk.now, desk.moment).map(({ ticket }) => ticket), [2, 1]);
  });
});

describe("mute", () => {
  it("holds sounds back, and what still stands rings once when it is over", () => {
    const desk = new Desk().with({ muted: true }).rise(alarm(1), alarm(2, "HIGH"));
    const [ring, ...more] = desk.pass(15 * MINUTE);
    assert.deepEqual([ring.sound, ring.desktop, more.length], [null, true, 0]);

    assert.deepEqual(desk.with({ muted: false }).sounds(2000), [["again", "CRITICAL"]]);
  });

  it("leaves nothing to ring when all is acknowledged", () => {
    const desk = new Desk().with({ muted: true }).rise(alarm(1));
    desk.pass(MINUTE);
    desk.rules.fall("ticket:1");

    assert.deepEqual(desk.with({ muted: false }).sounds(MINUTE), []);
  });
});

describe("sound that the browser holds back", () => {
  it("is made up for by one ring, by the worst, when it may sound", () => {
    const desk = new Desk().with({ blocked: true }).rise(alarm(1, "HIGH"), alarm(2, "LOW"), sighting(3, "HIGH"));
    const [ring, ...more] = desk.pass(MINUTE);
    assert.deepEqual([ring, more], [undefined, []]);

    const rings = desk.with({ blocked: false }).pass(10 * MINUTE);
    assert.deepEqual(rings.map(({ sound }) => sound), ["HIGH"]);
    assert.equal(told(rings[0]), "1 unacknowledged ticket, 1 finding or anomaly");
  });

  it("is told of on the desktop, once", () => {
    const levels = { HIGH: { sound: "once", desktop: true } };
    const desk = new Desk({ settings: { levels } }).with({ blocked: true }).rise(alarm(1, "HIGH"));
    assert.deepEqual(desk.pass(MINUTE).map(({ sound, desktop }) => [sound, desktop]), [[null, true]]);

    assert.deepEqual(desk.with({ blocked: false }).pass(MINUTE).map(({ sound, desktop }) => [sound, desktop]), [["HIGH", false]]);
  });

  it("of a repeat does not wait for the next one", () => {
    const desk = new Desk().rise(alarm(1));
    desk.pass(MINUTE);
    desk.with({ blocked: true }).pass(MINUTE + 10_000);

    assert.deepEqual(desk.with({ blocked: false }).sounds(1000), [["again", "CRITICAL"]]);
    assert.deepEqual(desk.sounds(2 * MINUTE), [["again", "CRITICAL"]]);
  });

  it("is in the ring of what comes next", () => {
    const desk = new Desk().with({ blocked: true }).rise(alarm(1));
    desk.pass(MINUTE);
    desk.rise(alarm(2, "HIGH"));

    assert.deepEqual(desk.with({ blocked: false }).sounds(MINUTE), [["new", "CRITICAL"]]);
  });

  it("is not made up for what is acknowledged, snoozed or out of the view by then", () => {
    const desk = new Desk().with({ blocked: true }).rise(alarm(1), alarm(2, "HIGH"), alarm(3, "HIGH"));
    desk.pass(MINUTE);
    desk.rules.fall("ticket:1");
    desk.rules.snooze("ticket:2", desk.now + 30 * MINUTE, desk.now);

    assert.deepEqual(desk.with({ blocked: false, concerns: ({ ticket }) => ticket !== 3 }).pass(MINUTE), []);
    assert.deepEqual(desk.with({ concerns: undefined }).pass(MINUTE).map(told), ["Not acknowledged: HIGH 3"]);
  });

  it("waits on for the end of mute and of quiet hours; what comes during them is theirs", () => {
    for (const hush of ["muted", "quiet"]) {
      const desk = new Desk().with({ blocked: true }).rise(alarm(1, "HIGH"));
      desk.pass(MINUTE);
      assert.deepEqual(desk.with({ blocked: false, [hush]: true }).pass(MINUTE), []);
      assert.deepEqual(desk.with({ [hush]: false }).sounds(MINUTE), [["again", "HIGH"]]);

      desk.with({ blocked: true, [hush]: true }).rise(alarm(2, "HIGH")).pass(MINUTE);
      assert.deepEqual(desk.with({ blocked: false, [hush]: false }).pass(MINUTE), []);
    }
  });

  it("is owed by the next page of this browser too", () => {
    const desk = new Desk().with({ blocked: true }).rise(alarm(1));
    desk.pass(MINUTE);
    assert.deepEqual(desk.rules.known(), []);

    desk.with({ blocked: false }).pass(1000);
    assert.deepEqual(desk.rules.known(), ["ticket:1"]);
  });
});

describe("quiet hours", () => {
  const night = { on: true, from: "22:00", to: "06:00", zone: "Europe/Berlin" };
  const quietAt = (quiet, ...times) => times.map((time) => isQuiet(quiet, Date.parse(time)));

  it("go over midnight, in their zone", () => {
    const times = ["20:59", "21:00", "22:59", "23:00", "04:59", "05:00", "11:00"].map((time) => `2026-01-15T${time}Z`);
    assert.deepEqual(quietAt(night, ...times), [false, true, true, true, true, false, false]);
  });

  it("are those of the clock on the wall when that is put forward or back", () => {
    const springs = ["2026-03-28T20:59Z", "2026-03-28T21:00Z", "2026-03-29T03:59Z", "2026-03-29T04:00Z", "2026-03-29T19:59Z", "2026-03-29T20:00Z"];
    assert.deepEqual(quietAt(night, ...springs), [false, true, true, false, false, true]);
    const falls = ["2026-10-24T19:59Z", "2026-10-24T20:00Z", "2026-10-25T04:59Z", "2026-10-25T05:00Z", "2026-10-25T20:59Z", "2026-10-25T21:00Z"];
    assert.deepEqual(quietAt(night, ...falls), [false, true, true, false, false, true]);
    const skipped = { ...night, from: "02:30", to: "03:30" };
    assert.deepEqual(quietAt(skipped, "2026-03-29T00:59Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"), [false, true, false]);
  });

  it("lie within a day, or are off", () => {
    const noon = { on: true, from: "12:00", to: "13:00", zone: "UTC" };
    assert.deepEqual(quietAt(noon, "2026-01-15T11:59Z", "2026-01-15T12:00Z", "2026-01-15T13:00Z"), [false, true, false]);
    assert.deepEqual(quietAt({ ...noon, on: false }, "2026-01-15T12:00Z"), [false]);
    assert.deepEqual(quietAt({ ...noon, to: "12:00" }, "2026-01-15T12:00Z"), [false]);
  });

  it("without a zone are the browser's own", () => {
    const hour = new Date(START).getHours();
    const now = { on: true, from: `${String(hour).padStart(2, "0")}:00`, to: `${String((hour + 1) % 24).padStart(2, "0")}:00`, zone: "" };
    assert.deepEqual([isQuiet(now, START), isQuiet(now, START + 60 * MINUTE)], [true, false]);
    assert.deepEqual(settingsOf({ quiet: { on: true } }).quiet, { on: true, from: "22:00", to: "06:00", zone: "" });
  });

  it("hold back notifications too, and what stands rings when they end", () => {
    const desk = new Desk().with({ quiet: true }).rise(alarm(1));
    assert.deepEqual(desk.pass(8 * 60 * MINUTE), []);

    assert.deepEqual(desk.with({ quiet: false }).sounds(1000), [["again", "CRITICAL"]]);
  });
});

describe("a snooze", () => {
  it("ends by itself with a ring", () => {
    const desk = new Desk().rise(alarm(1));
    desk.pass(2000);
    desk.rules.snooze("ticket:1", desk.now + 15 * MINUTE, desk.now);
    assert.equal(desk.rules.snoozedUntil("ticket:1", desk.now), desk.now + 15 * MINUTE);

    assert.deepEqual(desk.sounds(15 * MINUTE - 1000), []);
    assert.deepEqual(desk.sounds(1000), [["again", "CRITICAL"]]);
    assert.equal(desk.rules.snoozedUntil("ticket:1", desk.now), null);
    assert.deepEqual(desk.sounds(2 * MINUTE), [["again", "CRITICAL"]]);
  });

  it("of what rings once rings once more; of what does not ring, not", () => {
    for (const [severity, rings] of [["HIGH", 1], ["LOW", 0]]) {
      const desk = new Desk().rise(alarm(1, severity));
      desk.pass(2000);
      desk.rules.snooze("ticket:1", desk.now + MINUTE, desk.now);
      assert.equal(desk.pass(60 * MINUTE).length, rings);
    }
  });

  it("is of one ticket, and ends when it is acknowledged, raised or called off", () => {
    const desk = new Desk().rise(alarm(1), alarm(2));
    desk.rules.snooze("ticket:1", desk.now + 60 * MINUTE, desk.now);
    assert.deepEqual(desk.pass(2 * MINUTE + 2000).map(told), ["CRITICAL 2", "Not acknowledged: CRITICAL 2"]);

    desk.rise(alarm(1));
    assert.equal(desk.rules.snoozedUntil("ticket:1", desk.now), null);
    desk.rules.snooze("ticket:1", desk.now + 60 * MINUTE, desk.now);
    desk.rules.snooze("ticket:1", null, desk.now);
    assert.equal(desk.rules.snoozedUntil("ticket:1", desk.now), null);
    desk.rules.snooze("ticket:1", desk.now + 60 * MINUTE, desk.now);
    desk.rules.fall("ticket:1");
    assert.deepEqual(desk.rules.snoozes, []);
  });

  it("lasts over a reload, and ends as it would have without", () => {
    for (const severity of ["CRITICAL", "HIGH"]) {
      const desk = new Desk({ known: ["ticket:1"], snoozes: [["ticket:1", START + 30 * MINUTE]] }).with({ live: false }).find(alarm(1, severity));
      assert.deepEqual(desk.caughtUp(), []);
      assert.deepEqual(desk.sounds(29 * MINUTE), []);
      assert.deepEqual(desk.sounds(MINUTE + 1000), [["again", severity]]);
    }
  });
});

describe("a later snapshot", () => {
  it("rings for what got worse meanwhile", () => {
    const desk = new Desk().rise(alarm(1, "LOW"), alarm(2));
    desk.pass(2000);

    const rings = desk.with({ live: false }).find(alarm(1), alarm(2)).caughtUp();

    assert.deepEqual(rings.map(({ reason, sound }) => [reason, sound]), [["away", "CRITICAL"]]);
    assert.equal(told(rings[0]), "CRITICAL 1");
  });

  it("does not ring for what stands as it stood, or is less severe", () => {
    const desk = new Desk().rise(alarm(1, "LOW"), alarm(2));
    desk.pass(2000);

    assert.deepEqual(desk.with({ live: false }).find(alarm(1, "LOW"), alarm(2, "HIGH")).caughtUp(), []);
    assert.deepEqual(desk.sounds(10 * MINUTE), []);
  });

  it("leaves a snooze, unless it got worse", () => {
    const desk = new Desk().rise(alarm(1, "LOW"), alarm(2));
    desk.pass(2000);
    for (const key of ["ticket:1", "ticket:2"]) desk.rules.snooze(key, desk.now + 30 * MINUTE, desk.now);

    const rings = desk.with({ live: false }).find(alarm(1), alarm(2)).caughtUp();

    assert.deepEqual(rings.map(told), ["CRITICAL 1"]);
    assert.deepEqual(desk.rules.snoozes.map(([key]) => key), ["ticket:2"]);
  });
});

describe("after an outage", () => {
  it("one ring is for all that came, by the worst", () => {
    const desk = new Desk().with({ live: false });
    for (let id = 1; id <= 500; id += 1) desk.rise(alarm(id, id % 100 ? "HIGH" : "CRITICAL"));
    assert.deepEqual(desk.pass(10 * MINUTE), []);

    const [ring, ...more] = desk.caughtUp();

    assert.deepEqual([ring.reason, ring.sound, told(ring), more], ["away", "CRITICAL", "500 new tickets, 5 critical", []]);
    assert.deepEqual(desk.caughtUp(), []);
    assert.deepEqual(desk.sounds(MINUTE), []);
    assert.deepEqual(desk.sounds(MINUTE), [["again", "CRITICAL"]]);
  });

  it("what is not critical rings too, if its severity sounds", () => {
    const desk = new Desk();
    desk.caughtUp();
    for (const [severity, sounds] of [["HIGH", [["away", "HIGH"]]], ["LOW", []]]) {
      const rings = desk.with({ live: false }).rise(alarm(severity, severity)).caughtUp();
      assert.deepEqual(rings.map(({ reason, sound }) => [reason, sound]), sounds);
    }
    assert.equal(desk.with({ live: false }).find(alarm("HIGH", "HIGH"), alarm(3, "HIGH")).caughtUp().map(told).join(), "HIGH 3");
    assert.deepEqual(desk.sounds(60 * MINUTE), []);
  });

  it("findings and anomalies ring too", () => {
    const rings = new Desk().with({ live: false }).rise(sighting(1, "HIGH"), sighting(2, "CRITICAL")).caughtUp();
    assert.deepEqual(rings.map(({ sound }) => sound), ["CRITICAL"]);
  });

  it("what is to ring again meanwhile, or has just come, is in the same ring", () => {
    const desk = new Desk().rise(alarm(1));
    desk.pass(MINUTE);
    desk.with({ live: false }).rise(alarm(2, "HIGH")).pass(10 * MINUTE);

    desk.with({ live: true }).rules.caughtUp(desk.now);
    desk.rise(alarm(3, "HIGH"));

    assert.deepEqual(desk.sounds(MINUTE), [["away", "CRITICAL"]]);
  });

  it("a flood that rang does not ring again", () => {
    const desk = new Desk();
    desk.rules.flooded(new Set(["berlin"]));
    desk.rise(alarm(1, "HIGH", { group: "berlin" })).pass(MINUTE);
    assert.deepEqual(desk.with({ live: false }).rise(alarm(2, "HIGH", { group: "berlin" })).caughtUp(), []);

    assert.deepEqual(desk.with({ live: false }).rise(alarm(3, "CRITICAL", { group: "berlin" })).caughtUp().length, 1);
    assert.deepEqual(desk.rise(alarm(4, "CRITICAL", { group: "berlin" })).pass(MINUTE), []);
  });

  it("nothing rings for what was acknowledged meanwhile", () => {
    const desk = new Desk().with({ live: false }).rise(alarm(1));
    desk.rules.fall("ticket:1");
    assert.deepEqual(desk.caughtUp(), []);
  });

  it("a page that was just opened rings for what is critical and was not known to the browser", () => {
    const rings = new Desk({ known: ["ticket:1"] }).with({ live: false }).find(alarm(1), alarm(2), alarm(3, "HIGH")).caughtUp();
    assert.deepEqual(rings.map(told), ["CRITICAL 2"]);
  });

  it("nothing rings for what the browser knew before the page was loaded; it repeats later", () => {
    const before = new Desk().rise(alarm(1), alarm(2, "HIGH"));
    assert.deepEqual(before.rules.known(), []);
    before.pass(2000);
    assert.deepEqual(before.rules.known(), ["ticket:1"]);

    const desk = new Desk({ known: before.rules.known() }).with({ live: false }).find(alarm(1), alarm(2, "HIGH"));

    assert.deepEqual(desk.caughtUp(), []);
    assert.deepEqual(desk.sounds(3 * MINUTE), [["again", "CRITICAL"]]);
  });

  it("what was known, acknowledged and opened again rings", () => {
    const desk = new Desk({ known: ["ticket:1"] }).with({ live: false }).rise(alarm(1));
    desk.rules.fall("ticket:1");
    desk.rise(alarm(1));
    assert.deepEqual(desk.caughtUp().map(({ reason }) => reason), ["away"]);
  });

  it("a ring is muted like any other", () => {
    const desk = new Desk().with({ live: false, quiet: true }).rise(alarm(1));
    assert.deepEqual(desk.caughtUp(), []);
    assert.deepEqual(desk.with({ quiet: false }).sounds(2 * MINUTE), [["again", "CRITICAL"]]);
  });
});

describe("a flood", () => {
  it("rings once, and again for something worse", () => {
    const desk = new Desk();
    desk.rules.flooded(new Set(["berlin"]));
    const rings = [];
    for (let id = 1; id <= 40; id += 1) rings.push(...desk.rise(alarm(id, "HIGH", { group: "berlin" })).pass(3000));
    assert.deepEqual(rings.map(({ sound }) => sound), ["HIGH"]);

    desk.rise(alarm(41, "CRITICAL", { group: "berlin" }), alarm(42, "CRITICAL", { group: "berlin" }));
    assert.deepEqual(desk.sounds(MINUTE), [["new", "CRITICAL"]]);
    assert.deepEqual(desk.sounds(MINUTE + 2000), [["again", "CRITICAL"]]);
  });

  it("leaves other groups, and rings anew after its end", () => {
    const desk = new Desk();
    desk.rules.flooded(new Set(["berlin"]));
    desk.rise(alarm(1, "HIGH", { group: "berlin" })).pass(MINUTE);
    assert.equal(desk.rise(alarm(2, "HIGH", { group: "bonn" })).pass(MINUTE).length, 1);
    assert.equal(desk.rise(alarm(3, "HIGH", { group: "berlin" })).pass(MINUTE).length, 0);

    desk.rules.flooded(new Set());
    assert.equal(desk.rise(alarm(4, "HIGH", { group: "berlin" })).pass(MINUTE).length, 1);
    desk.rules.flooded(new Set(["berlin"]));
    assert.equal(desk.rise(alarm(5, "HIGH", { group: "berlin" })).pass(MINUTE).length, 1);
  });
});

describe("findings and anomalies", () => {
  it("ring once and do not stand", () => {
    const desk = new Desk().rise(sighting(1, "CRITICAL"));
    assert.deepEqual(desk.sounds(60 * MINUTE), [["new", "CRITICAL"]]);
    assert.deepEqual(desk.rules.known(), []);
  });

  it("are told apart from tickets", () => {
    const desk = new Desk().rise(sighting(1, "HIGH"), sighting(2, "HIGH"), alarm(3));
    assert.equal(told(desk.pass(MINUTE)[0]), "1 new ticket, 2 findings or anomalies, 1 critical");
  });
});

describe("only what the view shows", () => {
  const showing = (...tickets) => ({ concerns: ({ ticket }) => tickets.includes(ticket) });

  it("is judged when it would ring", () => {
    const desk = new Desk().with(showing(2)).rise(alarm(1), alarm(2));
    assert.deepEqual(desk.pass(MINUTE).map(told), ["CRITICAL 2"]);
  });

  it("rings when it enters the view, and then as its severity says", () => {
    for (const [severity, later] of [["CRITICAL", [["again", "CRITICAL"]]], ["HIGH", []], ["LOW", []]]) {
      const desk = new Desk().with(showing()).rise(alarm(1, severity));
      assert.deepEqual(desk.sounds(10 * MINUTE), []);

      assert.deepEqual(desk.with(showing(1)).sounds(MINUTE), severity === "LOW" ? [] : [["new", severity]]);
      assert.deepEqual(desk.sounds(2 * MINUTE), later);
    }
  });

  it("rings but once for all that enter, by the worst, and not for what rang", () => {
    const desk = new Desk().with(showing(0)).rise(alarm(0, "HIGH"));
    for (let id = 1; id <= 300; id += 1) desk.rise(alarm(id, id % 100 ? "HIGH" : "CRITICAL"));
    assert.deepEqual(desk.pass(MINUTE).map(told), ["HIGH 0"]);

    const rings = desk.with({ concerns: () => true }).pass(MINUTE);
    assert.deepEqual(rings.map(({ sound }) => sound), ["CRITICAL"]);
    assert.equal(told(rings[0]), "300 new tickets, 3 critical");
    assert.deepEqual(desk.with(showing()).pass(MINUTE), []);
    assert.deepEqual(desk.with({ concerns: undefined }).sounds(MINUTE), [["again", "CRITICAL"]]);
  });

  it("leaves the repeats of what it does not show for when it does", () => {
    const desk = new Desk().rise(alarm(1), alarm(2));
    desk.pass(MINUTE);
    assert.deepEqual(desk.with(showing(2)).pass(10 * MINUTE).map(told), Array(5).fill("Not acknowledged: CRITICAL 2"));

    assert.deepEqual(desk.with(showing(1)).pass(1000).map(told), ["Not acknowledged: CRITICAL 1"]);
  });

  it("does not call what it hides repeating", () => {
    const desk = new Desk().with(showing(2)).rise(alarm(1), alarm(2));
    assert.deepEqual(desk.rules.repeating(desk.now, desk.moment).map(({ ticket }) => ticket), [2]);
  });

  it("rings for what stood before the page was opened, when it enters the view", () => {
    const desk = new Desk({ known: ["ticket:4"] }).with({ live: false, ...showing(1) }).find(alarm(1, "HIGH"), alarm(2, "HIGH"), alarm(3), alarm(4));
    assert.deepEqual(desk.caughtUp(), []);
    assert.deepEqual(desk.rules.known(), ["ticket:4"]);
    assert.deepEqual(desk.rules.known(["ticket:3", "ticket:5"]), ["ticket:3", "ticket:4"]);

    assert.deepEqual(desk.with(showing(1, 2)).pass(MINUTE).map(told), ["HIGH 2"]);
    assert.deepEqual(desk.with(showing(1, 2, 3)).pass(MINUTE).map(told), ["CRITICAL 3"]);
    assert.deepEqual(desk.with(showing(4)).pass(MINUTE).map(told), ["Not acknowledged: CRITICAL 4"]);
  });

  it("rings for what enters while the page is not live when it is", () => {
    const desk = new Desk().with(showing()).rise(alarm(1));
    desk.pass(MINUTE);
    assert.deepEqual(desk.with({ live: false, ...showing(1) }).pass(MINUTE), []);

    assert.deepEqual(desk.caughtUp().concat(desk.pass(2000)).map(told), ["CRITICAL 1"]);
  });

  it("leaves a flood's ring to what it shows", () => {
    const desk = new Desk().with(showing(2));
    desk.rules.flooded(new Set(["berlin"]));
    assert.deepEqual(desk.rise(alarm(1, "HIGH", { group: "berlin" })).pass(MINUTE), []);

    assert.deepEqual(desk.rise(alarm(2, "HIGH", { group: "berlin" })).pass(MINUTE).map(told), ["HIGH 2"]);
  });
});

describe("settings", () => {
  it("have defaults for all that is absent or odd", () => {
    const defaults = settingsOf(undefined);
    assert.deepEqual(defaults.levels.CRITICAL, { sound: "repeat", minutes: 2, desktop: true });
    assert.deepEqual(defaults.levels.LOW, { sound: "none", minutes: 5, desktop: false });
    for (const odd of [null, 7, "x", [], { levels: 1, quiet: "x", volume: 9 }, { levels: { CRITICAL: { sound: "loud", minutes: 0, desktop: 1 } }, quiet: { from: "25:00", zone: "Nowhere/Else" }, sightings: "ALL" }]) {
      assert.deepEqual(settingsOf(odd), defaults);
    }
  });

  it("are what was stored", () => {
    const stored = settingsOf({ sound: false, levels: { LOW: { sound: "once" } }, sightings: "HIGH", quiet: { on: true, from: "20:00", zone: "Asia/Tokyo" } });
    assert.deepEqual([stored.sound, stored.levels.LOW.sound, stored.sightings, stored.quiet], [false, "once", "HIGH", { on: true, from: "20:00", to: "06:00", zone: "Asia/Tokyo" }]);
    assert.deepEqual(settingsOf(JSON.parse(JSON.stringify(stored))), stored);
  });
});
