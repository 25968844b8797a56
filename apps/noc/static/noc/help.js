// The list of keys, and the switch that turns them off.

import { html, render } from "lit/html.js";
import { PREF } from "./keys.js";
import { part } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */

/**
 * @param {PageState} page
 * @returns {{show: () => void, list: (bound: import("./keys.js").Binding[]) => void}}
 */
export function startHelp(page) {
  const { prefs } = page;
  /** @type {import("./keys.js").Binding[]} */
  let bound = [];

  function draw() {
    render(
      html`<dialog id="help-dialog" aria-labelledby="help-title">
        <h2 id="help-title">Keys</h2>
        <table class="keys">
          <tbody>
            ${bound.map(({ keys, does }) => html`<tr><th scope="row">${keys.map((key, at) => html`${at ? " or " : ""}<kbd>${key}</kbd>`)}</th><td>${does}</td></tr>`)}
            <tr><th scope="row"><kbd>Esc</kbd></th><td>Close, or clear the marks</td></tr>
          </tbody>
        </table>
        <label><input type="checkbox" id="keys-on" .checked=${prefs.get(PREF, true)} @change=${(/** @type {Event} */ { target }) => prefs.set(PREF, /** @type {HTMLInputElement} */ (target).checked)} /> Single keys are on in this browser</label>
        <form method="dialog"><button class="primary">Close</button></form>
      </dialog>`,
      part("help"),
    );
  }

  const show = () => /** @type {HTMLDialogElement} */ (part("help-dialog")).showModal();
  prefs.watch(PREF, draw);
  part("show-keys").addEventListener("click", show);
  return {
    show,
    list(these) {
      bound = these;
      draw();
    },
  };
}
