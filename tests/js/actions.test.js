import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Actions } from "../../apps/noc/static/noc/actions.js";
import { HttpProblem } from "../../apps/noc/static/noc/http.js";
import { refusalWords } from "../../apps/noc/static/noc/refusals.js";
import { Store } from "../../apps/noc/static/noc/store.js";
import { frame, row } from "./tickets.js";

const NOW = Date.parse("2026-01-01T10:00:10Z");

/** Actions on two tickets, against a server that answers as `serve(body)` says. */
function acting(serve, tickets = [row(), row({ id: 2, ticket_no: "A#2" })]) {
  const store = new Store({ later: () => 0 });
  store.replace({ seq: 0, tickets });
  const asked = [];
  const toasts = [];
  const write = async (method, path, body, key) => {
    asked.push({ method, path, body, key });
    return serve(body, store);
  };
  const actions = new Actions({ store, http: { write }, toast: (text, more = {}) => toasts.push({ text, ...more }), name: () => "Ada", now: () => NOW });
  return { actions, store, asked, toasts, shown: (id) => store.items.get(id).shown };
}

const all = (change) => ({ tickets }) => ({ results: tickets.map(({ id, version = 1 }) => ({ id, status: 200, ticket: row({ id, ticket_no: `A#${id}`, version: version + 1, ...change }) })) });
const refusing = (status, problem) => ({ tickets }) => ({ results: tickets.map(({ id }) => ({ id, status, problem: { detail: "No.", ...problem } })) });
const stale = refusing(412, { present_version: 5, changed_by: "Bo", changed_at: "2026-01-01T10:00:07Z", ticket: row({ version: 5, status: "ON_HOLD" }) });

describe("an action", () => {
  it("is shown before it is answered, and asked with the versions that were seen", async () => {
    let seen;
    const { actions, asked, toasts, shown } = acting((body, store) => {
      seen = store.items.get(1).shown.status;
      return all({ status: "RESOLVED" })(body);
    });

    await actions.setStatus([1, 2], "RESOLVED", "done");

    assert.equal(seen, "RESOLVED");
    assert.deepEqual(asked[0].body, { action: "status", status: "RESOLVED", note: "done", tickets: [{ id: 1, version: 1 }, { id: 2, version: 1 }] });
    assert.equal(shown(2).version, 2);
    assert.equal(toasts[0].text, "2 tickets set to Resolved");
  });

  it("leaves out what it would not change", async () => {
    const { actions, asked, toasts } = acting(all({}), [row(), row({ id: 2, status: "IN_PROGRESS" })]);

    await actions.acknowledge([1, 2]);
    await actions.acknowledge([2]);

    assert.deepEqual(asked.map(({ body }) => body.tickets), [[{ id: 1, version: 1 }]]);
    assert.equal(toasts[0].text, "A#1 acknowledged; 1 left as it was");
    assert.match(toasts[1].text, /^Nothing to do/);
  });

  it("goes in parts of 200, and each part is one request", async () => {
    const { actions, asked } = acting(all({ status: "IN_PROGRESS" }), Array.from({ length: 450 }, (_, at) => row({ id: at + 1 })));

    await actions.setStatus(Array.from({ length: 450 }, (_, at) => at + 1), "IN_PROGRESS");

    assert.deepEqual(asked.map(({ body }) => body.tickets.length), [200, 200, 50]);
    assert.equal(new Set(asked.map(({ key }) => key)).size, 3);
  });

  it("adds a note whatever the version is", async () => {
    const { actions, asked } = acting(all({}));

    await actions.comment([1], "called them");

    assert.deepEqual(asked[0].body, { action: "comment", text: "called them", tickets: [{ id: 1 }] });
  });

  it("can be undone where that is honest", async () => {
    const { actions, asked, toasts } = acting(({ action, tickets }) => ({
      results: tickets.map(({ id }) => ({ id, status: 200, ticket: row({ id, ...(action === "acknowledge" && { acknowledged_at: "2026-01-01T10:00:10Z", acknowledged_by: id === 1 ? "Ada" : "Bo" }) }) })),
    }));
    await actions.acknowledge([1, 2]);

    toasts[0].burst.undo([1, 2]); // of the second one somebody else was first

    assert.deepEqual(asked.map(({ body }) => [body.action, ...body.tickets.map(({ id }) => id)]), [["acknowledge", 1, 2], ["unacknowledge", 1]]);
    assert.equal(toasts[1].text, "A#2 left as acknowledged by others.");
    await new Promise(setImmediate);
    toasts[0].burst.undo([1]); // somebody has taken it back
    assert.equal(toasts.at(-1).text, "Nothing to undo: A#1 is not acknowledged any more.");
  });

  it("that somebody else has done says who", async () => {
    const { actions, asked, toasts } = acting(all({}), [row({ acknowledged_at: "2026-01-01T10:00:00Z", acknowledged_by: "Bo" })]);

    await actions.acknowledge([1]);

    assert.deepEqual([asked.length, toasts[0].text], [0, "Nothing to do: A#1 is acknowledged by Bo."]);
  });

  it("assigns to a namesake, and not twice to one who is alone", async () => {
    const { actions, asked } = acting(all({ assigned_to: "Alex" }), [row({ assigned_to: "Alex" })]);
    const alex = { id: 7, name: "Alex", username: "alex" };

    await actions.assignTo([1], alex);
    await actions.assignTo([1], { ...alex, id: 8, namesake: true });

    assert.deepEqual(asked.map(({ body }) => body.assigned_to_id), [8]);
  });
});

/** A server that answers when it is told to, each version after the one that it has, which others may raise. */
function slow() {
  const versions = new Map();
  const waiting = [];
  const serve = (body) => new Promise((resolve, reject) => waiting.push({ answer: () => resolve(judged(body)), fail: reject }));
  const judged = ({ action, tickets }) => ({
    results: tickets.map(({ id, version }) => {
      const present = versions.get(id) ?? 1;
      const ticket = (change) => row({ id, ticket_no: `A#${id}`, version: versions.get(id) ?? 1, ...change });
      if (version !== undefined && version !== present) return { id, status: 412, problem: { detail: "No.", changed_by: "Bo", changed_at: null, ticket: ticket() } };
      if (!["acknowledge", "unacknowledge", "comment"].includes(action)) versions.set(id, present + 1);
      return { id, status: 200, ticket: ticket() };
    }),
  });
  const settled = () => new Promise(setImmediate);
  return {
    serve,
    waiting,
    settled,
    others: (id) => versions.set(id, (versions.get(id) ?? 1) + 1),
    async answer() {
      waiting.shift().answer();
      await settled();
    },
    async fail(error) {
      waiting.shift().fail(error);
      await settled();
    },
  };
}

describe("an action on a ticket that is being written to", () => {
  const sent = (asked) => asked.map(({ body }) => [body.action, ...body.tickets.map(({ id, version }) => `${id}@${version}`)]);

  it("is shown at once, waits for the answer, and is asked with the version that the first one made", async () => {
    const server = slow();
    const { actions, asked, shown } = acting(server.serve);

    void actions.setPriority([1, 2], "CRITICAL");
    void actions.setStatus([1, 2], "IN_PROGRESS");
    void actions.assignTo([2], { id: 9, name: "Bo", username: "bo" });

    assert.deepEqual([shown(1).status, shown(1).priority, shown(2).assigned_to], ["IN_PROGRESS", "CRITICAL", "Bo"]);
    await server.settled();
    assert.equal(asked.length, 1);
    for (let n = 0; n < 3; n += 1) await server.answer();
    assert.deepEqual(sent(asked), [["priority", "1@1", "2@1"], ["status", "1@2", "2@2"], ["assign", "2@3"]]);
    assert.equal(actions.refusals.size, 0);
  });

  it("keeps none of other tickets waiting", async () => {
    const server = slow();
    const { actions, asked } = acting(server.serve);

    void actions.setPriority([1], "CRITICAL");
    void actions.acknowledge([2]);

    assert.deepEqual(sent(asked), [["priority", "1@1"], ["acknowledge", "2@1"]]);
  });

  it("that was decided before one's own write was answered is no conflict", async () => {
    const server = slow();
    const { actions, asked } = acting(server.serve);
    const versions = actions.versions([1]); // a sheet is open
    void actions.setPriority([1], "CRITICAL");
    await server.answer();

    void actions.perform({ action: "status", status: "RESOLVED", note: "" }, [1], versions);
    await server.answer();

    assert.deepEqual(sent(asked), [["priority", "1@1"], ["status", "1@2"]]);
    assert.equal(actions.refusals.size, 0);
  });

  it("is a conflict when another one's change comes between", async () => {
    for (const between of ["before", "after", "acknowledge"]) {
      const server = slow();
      const { actions } = acting(server.serve);
      if (between === "before") server.others(1);
      void (between === "acknowledge" ? actions.acknowledge([1]) : actions.setPriority([1], "CRITICAL"));
      void actions.setStatus([1], "RESOLVED", "replaced the fan");
      await server.answer();
      if (between !== "before") server.others(1);

      await server.answer();

      assert.equal(actions.refusals.of(1).at(-1)?.deed.note, "replaced the fan", between);
    }
  });

  it("is a conflict when the answer to one's own write has another one's change in it", async () => {
    for (const [action, version] of [["priority", 3], ["acknowledge", 2]]) {
      const answers = [all({ version }), stale];
      const { actions, asked } = acting((body) => answers.shift()(body));
      const versions = actions.versions([1]);
      await actions.perform(action === "priority" ? { action, priority: "LOW" } : { action }, [1], versions);

      await actions.perform({ action: "status", status: "RESOLVED", note: "" }, [1], versions);

      assert.deepEqual(asked[1].body.tickets, [{ id: 1, version: version - 1 }]);
      assert.equal(actions.refusals.of(1).length, 1);
    }
  });

  it("is asked for when the first one failed", async () => {
    const server = slow();
    const { actions, asked, shown } = acting(server.serve);
    void actions.setPriority([1], "CRITICAL");
    void actions.acknowledge([1]);

    await server.fail(new HttpProblem({ status: 503, detail: "Wrong." }));
    await server.answer();

    assert.deepEqual(sent(asked), [["priority", "1@1"], ["acknowledge", "1@1"]]);
    assert.equal(shown(1).priority, "HIGH");
  });

  it("that is tried again is another request when it is asked with another version", async () => {
    const server = slow();
    const { actions, asked, toasts } = acting(server.serve);
    void actions.acknowledge([1]);
    await server.fail(new HttpProblem({ status: 503, detail: "Wrong." }));
    void actions.setPriority([1], "CRITICAL");
    await server.answer();

    toasts[0].action.run();
    await server.answer();

    assert.deepEqual(sent(asked), [["acknowledge", "1@1"], ["priority", "1@1"], ["acknowledge", "1@2"]]);
    assert.notEqual(asked[2].key, asked[0].key);
  });
});

describe("a refused action", () => {
  it("on a ticket that was closed while it was decided is judged by the server, so that its note is kept", async () => {
    const closed = row({ version: 2, status: "CLOSED" });
    const { actions, store, asked, shown } = acting(refusing(412, { ticket: closed, changed_by: "Bo", changed_at: null }));
    const versions = actions.versions([1]);
    store.apply(frame("ticket_updated", { version: 2, status: "CLOSED" }));

    await actions.perform({ action: "status", status: "RESOLVED", note: "replaced the fan" }, [1], versions);

    assert.deepEqual(asked[0].body.tickets, [{ id: 1, version: 1 }]);
    assert.equal(shown(1).status, "CLOSED");
    assert.equal(actions.refusals.of(1)[0].possible, false);
    assert.equal(actions.refusals.of(1)[0].deed.note, "replaced the fan");
  });

  it("shows who was first, the ticket as it is, and what was typed", async () => {
    const { actions, shown, toasts } = acting(stale);

    await actions.setStatus([1], "RESOLVED", "replaced the fan");

    assert.equal(shown(1).status, "ON_HOLD");
    const refusal = actions.refusals.of(1)[0];
    assert.equal(refusal.deed.note, "replaced the fan");
    assert.equal(refusalWords(refusal, "3 s ago"), "Changed by Bo 3 s ago: now On hold, High, assigned to nobody. You wanted to set it to Resolved.");
    assert.deepEqual(toasts, []);
  });

  it("can be done anyway, on what the ticket is now, or left", async () => {
    let first = true;
    const { actions, asked } = acting((body) => {
      const answer = (first ? stale : all({ status: "RESOLVED" }))(body);
      first = false;
      return answer;
    });
    await actions.setStatus([1], "RESOLVED", "replaced the fan");

    actions.doAnyway(actions.refusals.of(1));
    await new Promise(setImmediate);

    assert.deepEqual(asked[1].body, { ...asked[0].body, tickets: [{ id: 1, version: 5 }] });
    assert.equal(actions.refusals.size, 0);
  });

  it("cannot be done anyway when nothing leads there any more, but its note can be kept", async () => {
    const closed = row({ version: 5, status: "CLOSED" });
    const { actions, asked } = acting((body) => (body.action === "comment" ? all({})(body) : refusing(409, { ticket: closed, changed_by: "Bo", changed_at: null })(body)));
    await actions.setStatus([1], "RESOLVED", "replaced the fan");
    assert.equal(actions.refusals.of(1)[0].possible, false);
    assert.match(refusalWords(actions.refusals.of(1)[0], ""), /^Changed by Bo: now Closed, .* It cannot be set to Resolved any more\.$/);

    actions.keepNote(actions.refusals.of(1)[0]);
    await new Promise(setImmediate);

    assert.equal(asked[1].body.text, "replaced the fan");
    assert.equal(actions.refusals.size, 0);
  });

  it("stays beside the other one that was refused, each with its own way on", async () => {
    const { actions, asked } = acting(stale);

    await Promise.all([actions.setStatus([1], "RESOLVED"), actions.setPriority([1], "LOW")]);

    assert.deepEqual(actions.refusals.of(1).map(({ deed }) => deed.action), ["status", "priority"]);
    actions.doAnyway([actions.refusals.of(1)[1]]);
    actions.leave(actions.refusals.of(1)[0]);
    assert.deepEqual(actions.refusals.all(), []);
    assert.equal(asked.at(-1).body.action, "priority");
  });

  it("is replaced by the next one of its kind, but never with another text than it holds", async () => {
    const { actions } = acting(stale);
    const texts = () => actions.refusals.of(1).map(({ deed }) => deed.note ?? deed.priority);

    for (const priority of ["LOW", "CRITICAL"]) await actions.setPriority([1], priority);
    assert.deepEqual(texts(), ["CRITICAL"]);
    for (const note of ["replaced the fan", "replaced the fan", "", "no fan left"]) await actions.setStatus([1], "RESOLVED", note);

    assert.deepEqual(texts(), ["CRITICAL", "replaced the fan", "no fan left"]);
  });

  it("because somebody holds the ticket can be tried again, with the versions that were seen", async () => {
    const { actions, asked, toasts, shown } = acting(refusing(409, { detail: "The ticket is being changed by somebody: try again." }));

    await actions.acknowledge([1, 2]);

    assert.equal(shown(1).acknowledged_at, null);
    assert.equal(actions.refusals.size, 0);
    assert.match(toasts[0].text, /^2 tickets: not acknowledged, being changed by somebody/);
    toasts[0].action.run();
    assert.deepEqual(asked[1].body, asked[0].body);
    assert.notEqual(asked[1].key, asked[0].key);
  });

  it("of several is told once, with one way to do all of it anyway", async () => {
    const { actions, toasts } = acting(({ tickets }) => ({ results: tickets.map(({ id }) => stale({ tickets: [{ id }] }).results[0]) }));

    await actions.setPriority([1, 2], "LOW");

    assert.equal(toasts.length, 1);
    assert.match(toasts[0].text, /^2 tickets were changed by others/);
    assert.equal(toasts[0].action.label, "Do it anyway");
  });

  it("that was left is not done by what was told of several", async () => {
    const { actions, asked, toasts } = acting(({ tickets }) => ({ results: tickets.map(({ id }) => stale({ tickets: [{ id }] }).results[0]) }));
    await actions.setPriority([1, 2], "LOW");
    actions.leave(actions.refusals.of(1)[0]);

    toasts[0].action.run();

    assert.deepEqual(asked[1].body.tickets.map(({ id }) => id), [2]);
  });

  it("of a ticket that is gone leaves the page to the feed", async () => {
    const { actions, toasts, shown } = acting(refusing(404));

    await actions.acknowledge([1]);

    assert.match(toasts[0].text, /^A#1: no longer there/);
    assert.equal(shown(1).acknowledged_at, null);
  });
});

describe("a request that fails", () => {
  for (const [status, word, action] of [
    [0, /does not answer/, "Try again"],
    [401, /session has ended/, "Try again"],
    [403, /may not/, "Edit again"],
    [429, /Too many requests/, "Try again"],
    [503, /failed \(503\)/, "Try again"],
    [400, /Wrong\./, "Edit again"],
  ]) {
    it(`with ${status} says what that means, and loses nothing that was typed`, async () => {
      const { actions, toasts, shown, asked } = acting(() => {
        throw new HttpProblem({ status, detail: "Wrong." });
      });
      let again;
      let forbidden = false;
      actions.ask = (...what) => (again = what);
      actions.addEventListener("forbidden", () => (forbidden = true));

      await actions.setStatus([1], "ON_HOLD", "waits for a part");

      assert.equal(shown(1).status, "NEW");
      assert.equal(forbidden, status === 403);
      assert.equal(toasts[0].kind, "refused");
      assert.match(toasts[0].text, word);
      assert.equal(toasts[0].action.label, action);
      toasts[0].action.run();
      if (action === "Edit again") assert.deepEqual(again, ["ON_HOLD", [1], null, "waits for a part"]);
      else {
        assert.deepEqual(asked[1].body, asked[0].body);
        assert.equal(asked[1].key, asked[0].key);
      }
    });
  }
});
