import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withToast } from "../../apps/noc/static/noc/bursts.js";

const done = (text) => ({ text, kind: "done" });
const burst = (...ids) => ({ text: "", kind: "done", burst: { key: "ack", ids, words: (all) => `${all.length} acknowledged`, undo: () => {} } });
const texts = (shown) => shown.map(({ toast }) => toast.text);

describe("toasts", () => {
  it("of one burst are one, of all tickets", () => {
    let shown = withToast([], burst(1), { id: 1, at: 0 });
    shown = withToast(shown, burst(1, 2), { id: 2, at: 3_000 });

    assert.deepEqual(texts(shown), ["2 acknowledged"]);
    assert.equal(shown[0].toast.action.label, "Undo");
    assert.deepEqual(texts(withToast(shown, burst(3), { id: 3, at: 9_000 })), ["2 acknowledged", "1 acknowledged"]);
  });

  it("that say the same are counted", () => {
    const shown = withToast(withToast([], done("a"), { id: 1, at: 0 }), done("a"), { id: 2, at: 9_000 });

    assert.deepEqual(shown.map(({ times }) => times), [2]);
  });

  it("make room for each other, but not those of a refusal", () => {
    let shown = withToast([], { text: "no", kind: "refused" }, { id: 0, at: 0 });
    for (let id = 1; id <= 9; id += 1) shown = withToast(shown, done(String(id)), { id, at: 0 });

    assert.deepEqual(texts(shown), ["no", "5", "6", "7", "8", "9"]);
  });
});
