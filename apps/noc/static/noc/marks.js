// A value with its shape and its word, so that colour is never the only sign.

import { html } from "lit/html.js";
import { LEVEL, STATUS } from "./words.js";

/** @param {string} value */
export const statusMark = (value) => mark("status", value, STATUS);
/** @param {string} value */
export const levelMark = (value) => mark("level", value, LEVEL);

/**
 * @param {string} kind
 * @param {string} value
 * @param {Record<string, string>} words
 */
function mark(kind, value, words) {
  const known = Object.hasOwn(words, value);
  return html`<span class="mark ${kind}-${known ? value : "OTHER"}"><span class="shape" aria-hidden="true"></span><span>${known ? words[value] : value}</span></span>`;
}
