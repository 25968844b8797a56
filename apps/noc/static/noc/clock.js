// The time of day with its zone, and the switch between UTC and the browser's own zone.

import { html, render } from "lit/html.js";
import { part } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */

/** @param {PageState} page */
export function startClock(page) {
  const { times } = page;
  const turn = () => (times.zone = times.zone === "utc" ? "local" : "utc");

  function draw() {
    const now = Date.now();
    const utc = times.zone === "utc";
    render(
      html`<time id="time" title=${`${times.full(now)} (${times.zoneName})`}>${times.clockWithZone(now)}</time>
        <button class="quiet" id="zone" aria-pressed=${utc} title=${utc ? "All times are shown in UTC; press for the zone of this browser" : `All times are shown in ${times.zoneName}; press for UTC`} @click=${turn}>UTC</button>`,
      part("clock"),
    );
  }

  times.watch(draw);
  draw();
  setInterval(draw, 1000);
}
