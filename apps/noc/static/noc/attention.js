// What is seen of the page while another one is looked at: title and icon carry the count of unacknowledged tickets,
// red when one is critical, and say when the page is not to be trusted.

import { isUnacknowledged } from "./filter.js";
import { soon } from "./soon.js";
import { isTrusted, stateWord } from "./state-line.js";

/** @typedef {import("./page.js").PageState} PageState */

const DRAW_MS = 400;
const SIZE = 64; // pixels
const COLOURS = { calm: "#b35900", critical: "#d32f2f", stale: "#7a8793" };

/** @param {PageState} page */
export function startAttention(page) {
  const { feed, store, times } = page;
  const icon = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel='icon']"));
  const picture = new Image();
  picture.src = icon.href;
  picture.addEventListener("load", () => {
    drawn = "";
    badges.clear();
    drawSoon();
  });
  let name = document.title;
  let drawn = "";
  /** What was painted once: of a hundred counts and three looks. @type {Map<string, string>} */
  const badges = new Map();
  const drawSoon = soon(draw, DRAW_MS);

  function draw() {
    let count = 0;
    let critical = false;
    for (const { shown } of store.items.values()) {
      if (!isUnacknowledged(shown)) continue;
      count += 1;
      critical ||= shown.priority === "CRITICAL";
    }
    const trusted = isTrusted(feed);
    const words = [trusted ? "" : `${stateWord(feed, times)} · `, count ? `(${count}) ` : "", name];
    const title = words.join("");
    if (document.title !== title) document.title = title;
    const look = trusted ? (critical ? "critical" : "calm") : "stale";
    icon.dataset.count = String(count);
    icon.dataset.look = look;
    const text = look === "stale" ? "!" : count > 99 ? "99+" : String(count || "");
    const next = `${text} ${look}`;
    if (next === drawn) return; // most changes of a large count are none of the picture, which takes long
    drawn = next;
    const url = badges.get(next) ?? badge(picture, text, look);
    if (url) {
      badges.set(next, url);
      icon.type = "image/png";
      icon.href = url;
    }
  }

  store.addEventListener("change", drawSoon);
  store.addEventListener("replace", drawSoon);
  feed.addEventListener("state", draw);
  page.times.watch(drawSoon);
  page.addEventListener("me", () => {
    if (page.me?.tenant) name = `${page.me.tenant.name} · NOC`; // a wall without a session gets no name by its template
    draw();
  });
  draw();
}

/**
 * The icon with a count, or another mark.
 * @param {HTMLImageElement} picture
 * @param {string} text  "": the icon alone
 * @param {keyof typeof COLOURS} look
 * @returns {string | null} its address; null when the browser cannot draw it
 */
function badge(picture, text, look) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  const paint = canvas.getContext("2d", { willReadFrequently: true }); // it is read at once: not from a graphics card
  if (paint === null) return null;
  if (look === "stale") paint.filter = "grayscale(1)";
  if (picture.complete && picture.naturalWidth) paint.drawImage(picture, 0, 0, SIZE, SIZE);
  paint.filter = "none";
  if (text) {
    const height = 44;
    paint.font = `700 ${text.length > 2 ? 30 : 38}px system-ui, sans-serif`;
    const width = Math.max(height, Math.min(SIZE, paint.measureText(text).width + 16));
    paint.fillStyle = COLOURS[look];
    paint.beginPath();
    paint.roundRect(SIZE - width, SIZE - height, width, height, height / 2);
    paint.fill();
    paint.fillStyle = "#ffffff";
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    paint.fillText(text, SIZE - width / 2, SIZE - height / 2 + 2);
  }
  try {
    return canvas.toDataURL("image/png");
  } catch {
    return null;
  }
}
