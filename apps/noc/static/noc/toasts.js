// What is told in passing, in a corner where nothing of the list is: what was done goes by itself, what was refused
// stays until it is dismissed.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { withToast } from "./bursts.js";
import { part } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./page.js").Toast} Toast */
/** @typedef {import("./bursts.js").Shown} Shown */

const DONE_MS = 6_000;
const TIMER_MS = 500;

/** @param {PageState} page */
export function startToasts(page) {
  const root = part("toasts");
  root.setAttribute("role", "status"); // polite: it waits until what is being read is over
  root.setAttribute("aria-label", "Messages");
  /** @type {Shown[]} */
  let shown = [];
  let last = 0;
  let timer = 0;

  page.addEventListener("toast", (event) => {
    const toast = /** @type {CustomEvent<Toast>} */ (event).detail;
    shown = withToast(shown, toast, { id: ++last, at: Date.now() });
    timer ||= setInterval(letGo, TIMER_MS);
    draw();
  });

  function letGo() {
    if (root.matches(":hover, :focus-within")) return; // it is being read
    const kept = shown.filter(({ toast, at }) => toast.kind === "refused" || Date.now() - at < DONE_MS);
    if (kept.length !== shown.length) {
      shown = kept;
      draw();
    }
    if (kept.every(({ toast }) => toast.kind === "refused")) {
      clearInterval(timer);
      timer = 0;
    }
  }

  /** @param {number} id */
  function dismiss(id) {
    shown = shown.filter((each) => each.id !== id);
    draw();
  }

  function draw() {
    render(
      repeat(
        shown,
        ({ id }) => id,
        ({ id, toast, times }) => html`<div class="toast" data-kind=${toast.kind}>
          <span class="shape status-${toast.kind === "refused" ? "CANCELLED" : "RESOLVED"}" aria-hidden="true"></span>
          <span class="text">${toast.text}${times > 1 ? html` <span class="muted">× ${times}</span>` : nothing}</span>
          ${toast.action
            ? html`<button
                class="action"
                @click=${() => {
                  dismiss(id);
                  toast.action?.run();
                }}
              >
                ${toast.action.label}
              </button>`
            : nothing}
          <button class="quiet" aria-label="Dismiss" @click=${() => dismiss(id)}>×</button>
        </div>`,
      ),
      root,
    );
  }
}
