// What is drawn of a refused deed: what happened to the ticket, what was typed, and what can be done now.
// Its age is drawn anew each second, so what is read out is said apart from it: an alert that changes is read out again.

import { html, nothing } from "lit/html.js";
import { typed } from "./deeds.js";
import { refusalWords } from "./refusals.js";
import { age } from "./times.js";

/**
 * @param {import("./actions.js").Actions} actions
 * @param {import("./refusals.js").Refusal} refusal
 */
export function refusalLine(actions, refusal) {
  const { at, deed, possible } = refusal;
  const text = typed(deed);
  const ago = at === null ? "" : `${age(Date.now() - at)} ago`;
  return html`<span class="refused">
    <span class="visually-hidden"><span role="alert">${refusalWords(refusal, "")}</span> ${ago}</span>
    <span class="words" aria-hidden="true">${refusalWords(refusal, ago)}</span>
    ${text ? html`<q>${text}</q>` : nothing}
    ${possible ? html`<button data-anyway @click=${() => actions.doAnyway([refusal])}>Do it anyway</button>` : nothing}
    ${text && !possible ? html`<button data-keep @click=${() => actions.keepNote(refusal)}>Keep as a note</button>` : nothing}
    <button class="quiet" data-leave @click=${() => actions.leave(refusal)}>Leave it</button>
  </span>`;
}
