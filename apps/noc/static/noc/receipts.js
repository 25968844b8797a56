// Who received an event and when they confirmed it: asked for when somebody wants to know.

import { html, nothing } from "lit/html.js";

/** @typedef {{user: string, name: string, session: string, opened_at: string, closed_at: string | null, confirmed: boolean, confirmed_by: string | null}} Receipt */
/** @typedef {{received: number, confirmed: number, next: string | null, results: Receipt[]}} Answer */

export class Receipts {
  /** Of events, by seq. @type {Map<number, Answer | Error>} */
  known = new Map();
  #http;

  /** @param {import("./http.js").Http} http */
  constructor(http) {
    this.#http = http;
  }

  /** Read them, or the next page of them. @param {number} seq */
  async read(seq, more = false) {
    const before = this.known.get(seq);
    const next = more && before && !(before instanceof Error) && before.next ? new URL(before.next).search : "";
    try {
      const answer = await this.#http.get(`noc/events/${seq}/receipts/${next}`);
      this.known.set(seq, next && before && !(before instanceof Error) ? { ...answer, results: [...before.results, ...answer.results] } : answer);
    } catch (error) {
      this.known.set(seq, error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/**
 * @param {Receipts} receipts
 * @param {number} seq
 * @param {import("./times.js").Times} times
 * @param {() => void} draw
 */
export function receiptsView(receipts, seq, times, draw) {
  const answer = receipts.known.get(seq);
  /** @param {Event} event */
  const turned = (event) => {
    if (/** @type {HTMLDetailsElement} */ (event.target).open) void receipts.read(seq).then(draw); // anew at each opening: confirmations come later
  };
  return html`<details class="receipts" @toggle=${turned}>
    <summary>Who received it</summary>
    ${answer === undefined ? html`<p class="muted">Loading</p>` : answer instanceof Error ? html`<p class="refusal" role="alert">${answer.message}</p>` : found(answer)}
  </details>`;

  /** @param {Answer} answer */
  function found({ received, confirmed, results, next }) {
    return html`<p class="muted">Received by ${received} ${received === 1 ? "user" : "users"}, confirmed by ${confirmed}.</p>
      <ul>
        ${results.map((each) => html`<li><bdi>${each.name}</bdi> <span class="muted">${each.confirmed ? (each.confirmed_by ? `confirmed by ${times.full(Date.parse(each.confirmed_by))}` : "confirmed") : "not confirmed"}</span></li>`)}
      </ul>
      ${next ? html`<button class="quiet" @click=${() => void receipts.read(seq, true).then(draw)}>More</button>` : nothing}`;
  }
}
