// Saved views: filters under a name, one's own and those shared with the tenant. One of them can be what this browser
// shows at the bare address.

import { html, nothing, render } from "lit/html.js";
import { repeat } from "lit/directives/repeat.js";
import { HttpProblem } from "./http.js";
import { close } from "./menus.js";
import { NO_VIEW } from "./page.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {{id: number, name: string, query: string, shared: boolean, mine: boolean, owner: string}} SavedView */

const PREF = "defaultView";

/**
 * @param {PageState} page
 * @param {HTMLElement} root  drawn into
 */
export function startSavedViews(page, root) {
  if (page.wall) return;
  const { http, prefs } = page;
  /** @type {readonly SavedView[]} */
  let views = [];
  let trouble = "";
  /** @type {{id: number, doing: "rename" | "delete"} | null} */
  let at = null;

  const fallback = prefs.get(PREF, NO_VIEW);
  if (fallback.id && !location.search) page.go(new URLSearchParams(fallback.query));

  async function refresh() {
    try {
      views = (await http.get("noc/views/")).results;
      trouble = "";
      const present = views.find((view) => view.id === prefs.get(PREF, NO_VIEW).id);
      if (present && present.query !== prefs.get(PREF, NO_VIEW).query) prefs.set(PREF, { id: present.id, query: present.query });
    } catch (error) {
      trouble = said(error);
    }
    draw();
  }

  /**
   * @param {"POST" | "PATCH" | "DELETE"} method
   * @param {string} path
   * @param {object} [body]
   */
  async function write(method, path, body) {
    try {
      await http.write(method, path, body);
      at = null;
      await refresh();
      return true;
    } catch (error) {
      trouble = error instanceof HttpProblem ? error.words : said(error);
      draw();
      return false;
    }
  }

  /** @param {SubmitEvent} event */
  async function save(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const data = new FormData(form);
    const name = String(data.get("name")).trim();
    if (await write("POST", "noc/views/", { name, query: page.query().toString(), shared: data.has("shared") })) {
      form.reset();
      page.toast(`View ${name} saved`);
    }
  }

  /** @param {SavedView} view @param {SubmitEvent} event */
  function rename(view, event) {
    event.preventDefault();
    const name = String(new FormData(/** @type {HTMLFormElement} */ (event.target)).get("name")).trim();
    void write("PATCH", `noc/views/${view.id}/`, { name });
  }

  /** @param {SavedView} view */
  async function remove(view) {
    if (at?.id !== view.id || at.doing !== "delete") return ask(view, "delete");
    if ((await write("DELETE", `noc/views/${view.id}/`)) && prefs.get(PREF, NO_VIEW).id === view.id) prefs.set(PREF, undefined);
  }

  /** @param {SavedView} view @param {"rename" | "delete"} doing */
  function ask(view, doing) {
    at = { id: view.id, doing };
    draw();
    if (doing === "rename") /** @type {HTMLInputElement | null} */ (root.querySelector("li form input"))?.select();
  }

  /** @param {SavedView} view */
  function makeDefault(view) {
    prefs.set(PREF, prefs.get(PREF, NO_VIEW).id === view.id ? undefined : { id: view.id, query: view.query });
    page.choose({}); // the address of the unfiltered list depends on it
  }

  /** @param {SavedView} view */
  function show(view) {
    page.go(new URLSearchParams(view.query));
    close(/** @type {HTMLDetailsElement} */ (root.querySelector("details")));
  }

  /** @param {SavedView} view */
  function entry(view) {
    const mayChange = view.mine || (view.shared && page.me?.capabilities.includes("tenant:admin"));
    const isDefault = prefs.get(PREF, NO_VIEW).id === view.id;
    if (at?.id === view.id && at.doing === "rename")
      return html`<li><form @submit=${(/** @type {SubmitEvent} */ event) => rename(view, event)}><input name="name" aria-label="New name" required maxlength="100" .value=${view.name} /><button>Rename</button><button type="button" class="quiet" @click=${() => ((at = null), draw())}>Cancel</button></form></li>`;
    return html`<li>
      <button class="plain view" aria-current=${page.query().toString() === new URLSearchParams(view.query).toString() ? "true" : "false"} @click=${() => show(view)}><bdi>${view.name}</bdi>${view.mine ? nothing : html` <span class="muted">by <bdi>${view.owner}</bdi></span>`}</button>
      <button class="icon" aria-pressed=${isDefault} aria-label=${`Show ${view.name} first in this browser`} title="Show this first in this browser" @click=${() => makeDefault(view)}>${isDefault ? "★" : "☆"}</button>
      ${mayChange
        ? html`<button class="quiet" aria-label=${`Rename ${view.name}`} @click=${() => ask(view, "rename")}>Rename</button>
            <button class="quiet" aria-label=${at?.id === view.id ? `Really delete ${view.name}` : `Delete ${view.name}`} @click=${() => void remove(view)}>${at?.id === view.id ? "Really?" : "Delete"}</button>`
        : nothing}
    </li>`;
  }

  /** @param {string} heading @param {readonly SavedView[]} some */
  const section = (heading, some) => (some.length ? html`<h2>${heading}</h2><ul>${repeat(some, ({ id }) => id, entry)}</ul>` : nothing);

  function draw() {
    render(
      html`<details class="menu" id="saved-views" @toggle=${(/** @type {ToggleEvent} */ event) => event.newState === "open" && void refresh()}>
        <summary class="button">Saved views</summary>
        <div class="menu-body views">
          ${trouble ? html`<p class="refusal" role="alert">${trouble}</p>` : nothing}
          ${section("Mine", views.filter((view) => view.mine && !view.shared))}${section("Shared", views.filter((view) => view.shared))}
          ${views.length ? nothing : html`<p class="muted">No view is saved yet.</p>`}
          <form class="save" @submit=${(/** @type {SubmitEvent} */ event) => void save(event)}>
            <h2>Save what is shown</h2>
            <input name="name" aria-label="Name of the view" placeholder="Name" required maxlength="100" autocomplete="off" />
            <label><input type="checkbox" name="shared" /> Shared with everybody</label>
            <button>Save</button>
          </form>
        </div>
      </details>`,
      root,
    );
  }

  page.addEventListener("filter", draw);
  page.addEventListener("me", draw);
  prefs.watch(PREF, draw);
  draw();
}

/** @param {unknown} error */
const said = (error) => (error instanceof Error ? error.message : String(error));
