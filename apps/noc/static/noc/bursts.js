// Toasts that say the same of several tickets are told as one: "12 tickets acknowledged", not twelve lines.

/**
 * @typedef {object} Burst
 * @property {string} key  of one key: the same was done
 * @property {readonly number[]} ids  to which tickets
 * @property {(ids: readonly number[]) => string} words
 * @property {((ids: readonly number[]) => void) | undefined} [undo]
 */
/** @typedef {import("./page.js").Toast} Toast */
/** @typedef {{id: number, at: number, times: number, toast: Toast}} Shown */

const TOGETHER_MS = 4_000;
const KEPT = 5;

/**
 * The toasts with one more.
 * @param {readonly Shown[]} shown  the newest last
 * @param {Toast} toast
 * @param {{id: number, at: number}} as  `at` in ms
 * @returns {Shown[]}
 */
export function withToast(shown, toast, { id, at }) {
  const { burst } = toast;
  const same = shown.find((each) => (burst ? each.toast.burst?.key === burst.key && at - each.at <= TOGETHER_MS : each.toast.text === toast.text && each.toast.kind === toast.kind && !toast.action));
  if (same === undefined) return spared([...shown, { id, at, times: 1, toast: burst ? merged(burst, toast) : toast }]);
  const next = burst ? merged({ ...burst, ids: [...new Set([...(same.toast.burst?.ids ?? []), ...burst.ids])] }, toast) : toast;
  return shown.map((each) => (each === same ? { id: each.id, at, times: burst ? 1 : each.times + 1, toast: next } : each));
}

/**
 * @param {Burst} burst
 * @param {Toast} toast
 * @returns {Toast}
 */
function merged(burst, toast) {
  const { ids, words, undo } = burst;
  return { ...toast, burst, text: words(ids), ...(undo && { action: { label: "Undo", run: () => undo(ids) } }) };
}

/** What was refused stays until it is dismissed; of the others the oldest make room. @param {Shown[]} shown */
function spared(shown) {
  const done = shown.filter(({ toast }) => toast.kind === "done");
  const late = new Set(done.slice(0, Math.max(0, done.length - KEPT)));
  return shown.filter((each) => !late.has(each));
}
