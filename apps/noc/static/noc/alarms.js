// Alarms: sound, notification, mute and snooze by the rules of alarm-rules.js, and their controls in the bar.

import { html, nothing, render } from "lit/html.js";
import { AlarmRules, COALESCE_MS, alarming, told } from "./alarm-rules.js";
import { LEVELS, SOUNDS, isQuiet, quietZone, settingsOf } from "./alarm-settings.js";
import { happenedAt } from "./event-time.js";
import { isUnacknowledged } from "./filter.js";
import { Floods } from "./flood.js";
import { floodSettings, groupOf, setFloods, standing } from "./floods.js";
import { levelMark } from "./marks.js";
import { Desktop } from "./notify.js";
import { OneTab } from "./one-tab.js";
import { part } from "./page.js";
import { soon } from "./soon.js";
import { Sounds } from "./sounds.js";
import { localZone } from "./times.js";
import { levelWord } from "./words.js";

/** @typedef {import("./page.js").PageState} PageState */
/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Change} Change */
/** @typedef {import("./alarm-settings.js").Settings} Settings */
/** @typedef {import("./alarm-settings.js").Level} Level */
/** @typedef {import("./alarm-rules.js").Ring} Ring */
/** @typedef {import("./alarm-rules.js").Alarm} Alarm */

const PREF = "alarms";
const MUTED = "alarms.muted"; // until when, ms since 1970; UNTIL_TURNED_ON
const SNOOZED = "alarms.snoozed"; // of a key: until when
const KNOWN = "alarms.known"; // keys of critical alarms
const UNTIL_TURNED_ON = -1;
const MINUTE_MS = 60_000;
const TICK_MS = 1_000;
const NAMED = 5; // of those that ring
/** Of a feed that has ended: this tab hears of nothing. @type {Record<string, string>} */
const ENDED = { "signed-out": "No sound: signed out", stopped: "No sound: stopped" };
/** @type {Record<string, string>} */
const SOUND_WORD = { none: "silent", once: "once", repeat: "repeat" };
/** Where there is no room, as on a phone. @type {Record<string, string>} */
const SHORT = { off: "Off", ended: "No sound", muted: "Muted", quiet: "Quiet", blocked: "Click for sound", elsewhere: "", on: "" };
const PERMISSION = {
  granted: "Desktop notifications are allowed.",
  default: "",
  denied: "Desktop notifications are blocked in this browser's settings of the site.",
  unsupported: "This browser shows no desktop notifications here (they need https).",
};

/** @param {number} id */
const keyOf = (id) => `ticket:${id}`;

/** @param {PageState} page */
export function startAlarms(page) {
  return new Alarms(page, part("alarms"));
}

export class Alarms {
  #page;
  #root;
  #rules;
  #sounds = new Sounds();
  #desktop = new Desktop();
  #soundTab = new OneTab("noc.alarms.sound", () => this.#look());
  #desktopTab = new OneTab("noc.alarms.desktop", () => this.#draw());
  /** Findings and anomalies that ring have floods of their own, by kind. */
  #sightings = new Floods();
  #caughtUp = false; // what the rules hold is of a live page, or was
  /** What was kept last of what this tab told. @type {string | null} */
  #told = null;
  #opened = false;
  #rang = 0;
  /** A burst is rung as one, when its first alarm has waited long enough. */
  #lookSoon = soon(() => this.#look(), COALESCE_MS);

  /**
   * @param {PageState} page
   * @param {HTMLElement} root
   */
  constructor(page, root) {
    this.#page = page;
    this.#root = root;
    const { store, feed, prefs } = page;
    this.#rules = new AlarmRules({ settings: this.#settings, known: prefs.get(KNOWN, /** @type {string[]} */ ([])), snoozes: Object.entries(this.#stored) });
    store.addEventListener("replace", () => this.#compare());
    store.addEventListener("change", (event) => this.#changed(/** @type {CustomEvent<Change>} */ (event).detail));
    feed.addEventListener("event", (/** @type {CustomEvent<import("./noc-feed.js").EventDetail>} */ { detail }) => this.#sighted(detail));
    feed.addEventListener("state", () => this.#judgeState());
    page.addEventListener("flood", () => this.#flooded());
    prefs.addEventListener("change", (event) => this.#preferred(/** @type {CustomEvent<string>} */ (event).detail));
    this.#sounds.addEventListener("change", () => this.#look());
    this.#desktop.addEventListener("change", () => this.#draw());
    setInterval(() => this.#look(), TICK_MS);
    this.#draw();
  }

  // --- for other parts --------------------------------------------------------------------------

  /**
   * Put the alarm of one ticket off. It ends by itself.
   * @param {number} id
   * @param {number} minutes  0 ends it
   */
  snooze(id, minutes) {
    const now = Date.now();
    const until = minutes > 0 ? now + minutes * MINUTE_MS : null;
    this.#rules.snooze(keyOf(id), until, now);
    this.#page.prefs.set(SNOOZED, Object.fromEntries(this.#rules.snoozes.filter(([, end]) => end > now)));
    if (until !== null) this.#page.toast(`${this.#named(id)} is snoozed until ${this.#page.times.clockWithZone(until)}.`);
  }

  /** @param {number} id @returns {number | null} ms since 1970 */
  snoozedUntil(id) {
    return this.#rules.snoozedUntil(keyOf(id), Date.now());
  }

  // --- what becomes an alarm ----------------------------------------------------------------------

  /** @param {Item} item @returns {Alarm} */
  #alarm({ id, shown }) {
    const text = `${levelWord(shown.priority)}: ${shown.ticket_no}${shown.site_name ? `, ${shown.site_name}` : ""}`;
    const { flood, prefs } = this.#page;
    return { key: keyOf(id), ticket: id, severity: shown.priority, text, group: flood ? groupOf(floodSettings(prefs).by, shown) : undefined };
  }

  /** Take what a snapshot says; it is judged when the page is live. */
  #compare() {
    const now = Date.now();
    const moment = this.#moment();
    const standing = new Set();
    for (const item of this.#page.store.items.values()) {
      if (!isUnacknowledged(item.shown)) continue;
      const alarm = this.#alarm(item);
      standing.add(alarm.key);
      this.#rules.found(alarm, now, moment);
    }
    for (const key of this.#rules.keys) if (!standing.has(key)) this.#rules.fall(key);
    this.#tidy();
  }

  /** @param {Change} change */
  #changed({ item, before, after, frame }) {
    const now = Date.now();
    if (after === null || !isUnacknowledged(item.shown)) {
      this.#rules.fall(keyOf(item.id));
      this.#tidy();
      return;
    }
    const alarm = this.#alarm(item);
    if (frame !== null && alarming(standing(before), { unacknowledged: true, severity: after.priority })) {
      const live = this.#page.feed.state === "live";
      this.#rules.rise(alarm, now, live);
      if (live) this.#lookSoon();
    } else this.#rules.stand(alarm, now);
    this.#tidy();
  }

  /** @param {import("./noc-feed.js").EventDetail} event */
  #sighted({ frame, live }) {
    const kind = frame.type === "finding_created" ? "finding" : frame.type === "anomaly_detected" ? "anomaly" : null;
    const { sightings } = this.#settings;
    if (kind === null || frame.replay_of !== undefined || !sightings || LEVELS.indexOf(frame.severity) > LEVELS.indexOf(sightings) || !LEVELS.includes(frame.severity)) return;
    const now = Date.now();
    this.#sightings.arrived(kind, live ? now : Math.min(happenedAt(frame) ?? now, now));
    this.#flooded();
    const what = kind === "finding" ? `finding: ${frame.title}` : `anomaly of ${frame.metric}`;
    this.#rules.rise({ key: `${kind}:${frame.finding_id ?? frame.anomaly_id}`, severity: frame.severity, text: `${levelWord(frame.severity)} ${what}${frame.site_name ? `, ${frame.site_name}` : ""}`, group: kind }, now, live);
    if (live) this.#lookSoon();
  }

  #flooded() {
    this.#sightings.look(Date.now());
    this.#rules.flooded(new Set([...(this.#page.flood?.groups.keys() ?? []), ...this.#sightings.groups]));
  }

  // --- what rings ---------------------------------------------------------------------------------

  #judgeState() {
    if (this.#page.feed.state === "live" && this.#page.store.loaded) {
      this.#caughtUp = true;
      this.#rules.caughtUp(Date.now());
      this.#lookSoon();
    }
    this.#draw();
  }

  #look() {
    this.#ring(this.#rules.ring(Date.now(), this.#moment()));
    if (this.#caughtUp) this.#keep();
    this.#draw();
  }

  #moment() {
    const { store, filter, feed } = this.#page;
    /** @param {Alarm} alarm */
    const shown = ({ ticket }) => {
      const item = ticket === undefined ? undefined : store.items.get(ticket);
      return item !== undefined && filter.matches(item.shown);
    };
    return { live: feed.state === "live", muted: this.#mutedUntil !== 0, quiet: this.#quiet, blocked: this.#blocked, ...(this.#settings.viewOnly && { concerns: shown }) };
  }

  /** @param {Ring | null} ring */
  #ring(ring) {
    if (ring === null) return;
    const { dataset } = this.#root;
    dataset.rang = String(++this.#rang);
    dataset.rangReason = ring.reason;
    dataset.rangSound = ring.sound ?? "";
    dataset.rangText = told(ring);
    this.#page.dispatchEvent(new CustomEvent("rang", { detail: ring }));
    const { viewOnly } = this.#settings; // then another tab, whose view may be another, does not do it for this one
    if (ring.sound && (viewOnly || this.#soundTab.held)) void this.#play(ring.sound);
    if (ring.desktop && (viewOnly || this.#desktopTab.held)) {
      const [first] = ring.alarms;
      const clicked = () => (ring.alarms.length === 1 && first.ticket !== undefined ? this.#page.open(first.ticket) : undefined);
      const title = ring.reason === "away" ? "While this page was away" : "NOC";
      if (this.#desktop.show(title, told(ring), clicked)) dataset.notified = told(ring);
    }
  }

  /** @param {string} severity */
  async #play(severity) {
    this.#sounds.volume = this.#settings.volume;
    if (!(await this.#sounds.play(severity))) return;
    const { dataset } = this.#root;
    dataset.sounded = String(Number(dataset.sounded ?? 0) + 1);
    dataset.soundedFigure = severity;
  }

  /** Close what is over. */
  #tidy() {
    if (this.#rules.size === 0) this.#desktop.close();
  }

  /** For the next page of this browser. */
  #keep() {
    const { prefs } = this.#page;
    const told = String(this.#rules.known());
    if (told !== this.#told) {
      this.#told = told;
      prefs.set(KNOWN, this.#rules.known(prefs.get(KNOWN, /** @type {string[]} */ ([]))));
    }
    // One that the rules ended, as it got worse or was acknowledged, is not to silence the next page.
    const snoozes = new Map(this.#rules.snoozes);
    const stored = Object.entries(this.#stored);
    const kept = stored.filter(([key]) => snoozes.has(key));
    if (kept.length < stored.length) prefs.set(SNOOZED, Object.fromEntries(kept));
  }

  // --- settings -----------------------------------------------------------------------------------

  get #settings() {
    return settingsOf(this.#page.prefs.get(PREF, {}));
  }

  /** @param {Partial<Settings>} changes */
  #set(changes) {
    this.#page.prefs.set(PREF, { ...this.#settings, ...changes });
  }

  /** @param {string} level @param {Partial<Level>} changes */
  #setLevel(level, changes) {
    const { levels } = this.#settings;
    this.#set({ levels: { ...levels, [level]: { ...levels[level], ...changes } } });
  }

  /** Hours that are set are of the zone that they are set in. @param {Partial<import("./alarm-settings.js").Quiet>} changes */
  #setQuiet(changes) {
    const { quiet } = this.#settings;
    const zone = changes.on === undefined ? localZone() : quietZone(quiet);
    this.#set({ quiet: { ...quiet, ...changes, zone } });
  }

  /** 0: not muted. */
  get #mutedUntil() {
    const until = this.#page.prefs.get(MUTED, /** @type {number} */ (0));
    return until === UNTIL_TURNED_ON || until > Date.now() ? until : 0;
  }

  get #quiet() {
    return isQuiet(this.#settings.quiet, Date.now());
  }

  /** The browser holds sound back, or has not said yet which of its tabs makes it. */
  get #blocked() {
    const { state } = this.#sounds;
    const settled = this.#settings.viewOnly || this.#soundTab.held || this.#soundTab.elsewhere;
    return state === "blocked" || (state === "on" && !settled);
  }

  /** @returns {Record<string, number>} */
  get #stored() {
    const stored = Object.entries(this.#page.prefs.get(SNOOZED, /** @type {Record<string, unknown>} */ ({})));
    return Object.fromEntries(stored.flatMap(([key, until]) => (typeof until === "number" ? [[key, until]] : [])));
  }

  /** @param {string} name */
  #preferred(name) {
    const now = Date.now();
    if (name === PREF) this.#rules.settle(this.#settings, now);
    if (name === SNOOZED) {
      const stored = this.#stored;
      for (const [key] of this.#rules.snoozes) if (!(key in stored)) this.#rules.snooze(key, null, now);
      for (const [key, until] of Object.entries(stored)) if (this.#rules.snoozedUntil(key, now) !== until && until > now) this.#rules.snooze(key, until, now);
    }
    if (name !== KNOWN) this.#draw();
  }

  /** @param {number} minutes */
  #mute(minutes) {
    this.#page.prefs.set(MUTED, minutes === UNTIL_TURNED_ON ? UNTIL_TURNED_ON : minutes ? Date.now() + minutes * MINUTE_MS : 0);
  }

  /** @param {number} id */
  #named(id) {
    return this.#page.store.items.get(id)?.shown.ticket_no ?? "The ticket";
  }

  // --- what is seen -------------------------------------------------------------------------------

  /** @returns {["off" | "ended" | "muted" | "quiet" | "blocked" | "elsewhere" | "on", string]} */
  get #state() {
    const { quiet, viewOnly } = this.#settings;
    const until = this.#mutedUntil;
    if (this.#sounds.state === "off") return ["off", "Sound off"];
    const ended = ENDED[this.#page.feed.state];
    if (ended) return ["ended", ended];
    if (until) return ["muted", until === UNTIL_TURNED_ON ? "Muted" : `Muted until ${this.#page.times.clockWithZone(until)}`];
    if (this.#quiet) return ["quiet", `Quiet until ${quiet.to} ${quietZone(quiet)}`];
    if (this.#sounds.state === "blocked") return ["blocked", "Sound needs a click"];
    return viewOnly || this.#soundTab.held ? ["on", "Sound on"] : ["elsewhere", "Sound in another tab"];
  }

  #draw() {
    const settings = this.#settings;
    this.#sounds.want(settings.sound);
    const forAll = !settings.viewOnly && ENDED[this.#page.feed.state] === undefined;
    this.#soundTab.want(forAll && this.#sounds.state === "on");
    this.#desktopTab.want(forAll && this.#desktop.permission === "granted");
    const [state, words] = this.#state;
    this.#root.dataset.state = state;
    render(
      html`<button class="alarm-state" data-short=${SHORT[state]} popovertarget="alarm-settings" title="Alarms of this browser"><span class="bell" aria-hidden="true"></span><span>${words}</span></button>
        <div popover id="alarm-settings" role="dialog" aria-label="Alarms" @beforetoggle=${this.#toggled}>${this.#opened ? this.#controls(settings, state) : nothing}</div>`,
      this.#root,
    );
  }

  /** @param {ToggleEvent} event */
  #toggled = ({ newState }) => {
    this.#opened = newState === "open";
    this.#draw();
  };

  /**
   * @param {Settings} settings
   * @param {string} state
   */
  #controls(settings, state) {
    const { permission } = this.#desktop;
    const { times } = this.#page;
    return html`
      <div class="head">
        <h2>Alarms</h2>
        <label class="check"><input type="checkbox" name="sound" .checked=${settings.sound} @change=${(/** @type {Event} */ event) => this.#set({ sound: checked(event) })} /> Sound</label>
        <label>Volume <input type="range" name="volume" min="0" max="1" step="0.1" .value=${String(settings.volume)} @change=${(/** @type {Event} */ event) => this.#set({ volume: Number(value(event)) })} /></label>
        <button class="quiet" popovertarget="alarm-settings" popovertargetaction="hide" aria-label="Close">Close</button>
      </div>
      ${state === "blocked" ? html`<p class="warning">The browser holds sound back until you click on this page or press a key.</p>` : nothing}
      ${state === "elsewhere" ? html`<p class="muted">Another tab of this browser sounds for all of them.</p>` : nothing}
      <div class="line" role="group" aria-label="Mute">
        ${this.#mutedUntil
          ? html`<b>${this.#mutedUntil === UNTIL_TURNED_ON ? "Muted until you turn it on" : `Muted until ${times.clockWithZone(this.#mutedUntil)}`}</b><button data-mute="0" @click=${() => this.#mute(0)}>Turn on</button>`
          : html`<span>Mute for</span>
              <button data-mute="15" @click=${() => this.#mute(15)}>15 min</button>
              <button data-mute="60" @click=${() => this.#mute(60)}>1 h</button>
              <button data-mute="on" @click=${() => this.#mute(UNTIL_TURNED_ON)}>Until I turn it on</button>`}
      </div>
      <table class="levels">
        <thead><tr><th scope="col">New tickets</th><th scope="col">Sound</th><th scope="col">Every</th><th scope="col">Desktop</th><th scope="col"><span class="visually-hidden">Test</span></th></tr></thead>
        <tbody>${LEVELS.map((level) => this.#level(level, settings.levels[level]))}</tbody>
      </table>
      <label>Findings and anomalies
        <select name="sightings" @change=${(/** @type {Event} */ event) => this.#set({ sightings: value(event) })}>
          <option value="" ?selected=${settings.sightings === ""}>do not ring</option>
          ${LEVELS.map((level) => html`<option value=${level} ?selected=${settings.sightings === level}>${levelWord(level)}${level === LEVELS[0] ? "" : " and worse"}</option>`)}
        </select> <span class="muted">ring once, as tickets of their severity</span>
      </label>
      <div class="line">
        <label class="check"><input type="checkbox" name="quiet" .checked=${settings.quiet.on} @change=${(/** @type {Event} */ event) => this.#setQuiet({ on: checked(event) })} /> Quiet hours</label>
        <input type="time" name="quiet-from" aria-label="Quiet from" .value=${settings.quiet.from} @change=${(/** @type {Event} */ event) => this.#setQuiet({ from: value(event) })} /> to
        <input type="time" name="quiet-to" aria-label="Quiet to" .value=${settings.quiet.to} @change=${(/** @type {Event} */ event) => this.#setQuiet({ to: value(event) })} />
        <span class="muted">${quietZone(settings.quiet)}, no sound and no notification</span>
      </div>
      <label class="check"><input type="checkbox" name="view-only" .checked=${settings.viewOnly} @change=${(/** @type {Event} */ event) => this.#set({ viewOnly: checked(event) })} />
        Only what this view shows <span class="muted">else all tickets that you may see, whatever the filter</span></label>
      ${permission === "default" ? html`<div class="line"><span>Desktop notifications are not allowed yet.</span><button data-allow @click=${() => this.#desktop.ask()}>Allow</button></div>` : html`<p class="muted">${PERMISSION[permission]}</p>`}
      ${this.#floods()} ${this.#repeating()} ${this.#snoozed()}
    `;
  }

  /**
   * @param {string} level
   * @param {Level} settings
   */
  #level(level, { sound, minutes, desktop }) {
    const word = levelWord(level);
    return html`<tr data-level=${level}>
      <td>${levelMark(level)}</td>
      <td><select aria-label=${`Sound of ${word}`} title=${sound === "repeat" ? "until it is acknowledged" : nothing} @change=${(/** @type {Event} */ event) => this.#setLevel(level, { sound: /** @type {Level["sound"]} */ (value(event)) })}>
        ${SOUNDS.map((each) => html`<option value=${each} ?selected=${each === sound}>${SOUND_WORD[each]}</option>`)}
      </select></td>
      <td>${sound === "repeat" ? html`<input type="number" min="1" max="60" aria-label=${`Minutes between sounds of ${word}`} .value=${String(minutes)} @change=${(/** @type {Event} */ event) => this.#setLevel(level, { minutes: Number(value(event)) })} /> min` : nothing}</td>
      <td><input type="checkbox" aria-label=${`Desktop notification of ${word}`} .checked=${desktop} @change=${(/** @type {Event} */ event) => this.#setLevel(level, { desktop: checked(event) })} /></td>
      <td><button class="quiet" data-test aria-label=${`Test the sound of ${word}`} @click=${() => this.#play(level)}>Test</button></td>
    </tr>`;
  }

  #floods() {
    const { prefs } = this.#page;
    const { on, above, by } = floodSettings(prefs);
    return html`<div class="line">
      <label class="check"><input type="checkbox" name="floods" .checked=${on} @change=${(/** @type {Event} */ event) => setFloods(prefs, { on: checked(event) })} /> Group floods</label>
      <label>above <input type="number" name="flood-above" min="2" max="1000" .value=${String(above)} @change=${(/** @type {Event} */ event) => setFloods(prefs, { above: Number(value(event)) })} /> new in 10 min</label>
      <select name="flood-by" aria-label="Floods are counted" @change=${(/** @type {Event} */ event) => setFloods(prefs, { by: value(event) === "kind" ? "kind" : "site" })}>
        <option value="site" ?selected=${by === "site"}>at one site</option>
        <option value="kind" ?selected=${by === "kind"}>at all sites together</option>
      </select>
    </div>`;
  }

  #repeating() {
    const alarms = this.#rules.repeating(Date.now(), this.#moment());
    if (!alarms.length) return nothing;
    return html`<h3>Rings until acknowledged</h3>
      <ul>${alarms.slice(0, NAMED).map(({ ticket = 0, text }) => html`<li data-repeating=${ticket}><span>${text}</span>
        <button class="quiet" data-snooze="15" @click=${() => this.snooze(ticket, 15)}>Snooze 15 min</button>
        <button class="quiet" data-snooze="60" @click=${() => this.snooze(ticket, 60)}>1 h</button></li>`)}
        ${alarms.length > NAMED ? html`<li class="muted">and ${alarms.length - NAMED} more</li>` : nothing}</ul>`;
  }

  #snoozed() {
    const now = Date.now();
    const snoozed = this.#rules.snoozes.filter(([, until]) => until > now);
    if (!snoozed.length) return nothing;
    return html`<h3>Snoozed</h3>
      <ul>${snoozed.map(([key, until]) => {
        const id = Number(key.split(":")[1]);
        return html`<li data-snoozed=${id}><b>${this.#named(id)}</b> until ${this.#page.times.clockWithZone(until)} <button class="quiet" @click=${() => this.snooze(id, 0)}>End</button></li>`;
      })}</ul>`;
  }
}

/** @param {Event} event */
const value = (event) => /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target).value;
/** @param {Event} event */
const checked = (event) => /** @type {HTMLInputElement} */ (event.target).checked;
