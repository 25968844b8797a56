// A figure of tones per severity, made by oscillators. A browser lets a page sound only after a click or a key in it:
// until then the state is "blocked", and the first one anywhere on the page opens it.

/** @typedef {"off" | "blocked" | "on"} SoundState */
/** @typedef {readonly [hertz: number, start_s: number, seconds: number]} Tone */
/** @typedef {{type: OscillatorType, gain: number, tones: readonly Tone[]}} Figure */

/** The worse, the more tones and the higher: they are told apart without being compared. @type {Record<string, Figure>} */
export const FIGURES = {
  CRITICAL: { type: "square", gain: 0.35, tones: [[988, 0, 0.12], [740, 0.16, 0.12], [988, 0.32, 0.12], [740, 0.6, 0.12], [988, 0.76, 0.12], [740, 0.92, 0.2]] },
  HIGH: { type: "triangle", gain: 0.7, tones: [[587, 0, 0.14], [740, 0.18, 0.14], [880, 0.36, 0.24]] },
  MEDIUM: { type: "sine", gain: 0.6, tones: [[659, 0, 0.16], [523, 0.22, 0.24]] },
  LOW: { type: "sine", gain: 0.4, tones: [[440, 0, 0.22]] },
};
const RAMP_S = 0.015; // without it tones click
const GESTURES = ["pointerdown", "keydown"];

/** Dispatches `change` when {@link Sounds.state} changed. */
export class Sounds extends EventTarget {
  volume = 1;
  /** @type {AudioContext | null} */
  #audio = null;
  #wanted = false;

  constructor() {
    super();
    for (const gesture of GESTURES) addEventListener(gesture, () => this.#wanted && this.state === "blocked" && this.open(), { capture: true, passive: true });
    // A machine that slept, or a call on a phone, may have suspended it.
    document.addEventListener("visibilitychange", () => document.hidden || (this.#wanted && this.state === "blocked" && this.open()));
  }

  /** @type {SoundState} */
  get state() {
    if (!this.#wanted) return "off";
    return this.#audio?.state === "running" ? "on" : "blocked";
  }

  /** @param {boolean} wanted */
  want(wanted) {
    if (this.#wanted === wanted) return;
    this.#wanted = wanted;
    if (wanted) this.open();
    else void this.#audio?.suspend();
    this.dispatchEvent(new Event("change"));
  }

  /** Ask the browser to let the page sound. It does so in answer to a click or a key. */
  open() {
    if (typeof AudioContext === "undefined") return;
    if (this.#audio === null) {
      this.#audio = new AudioContext();
      this.#audio.addEventListener("statechange", () => this.dispatchEvent(new Event("change")));
    }
    this.#audio.resume().catch(() => {}); // it stays blocked, which is said
  }

  /**
   * Play the figure of a severity.
   * @param {string} severity
   * @returns {Promise<boolean>} true when it has sounded to its end, false when the page may not sound
   */
  play(severity) {
    const audio = this.#audio;
    const figure = FIGURES[severity];
    if (audio?.state !== "running" || figure === undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      for (const [index, [hertz, start, seconds]] of figure.tones.entries()) {
        const from = audio.currentTime + 0.02 + start;
        const tone = new OscillatorNode(audio, { type: figure.type, frequency: hertz });
        const gain = new GainNode(audio, { gain: 0 });
        gain.gain.setValueAtTime(0, from);
        gain.gain.linearRampToValueAtTime(figure.gain * this.volume, from + RAMP_S);
        gain.gain.setValueAtTime(figure.gain * this.volume, from + seconds - RAMP_S);
        gain.gain.linearRampToValueAtTime(0, from + seconds);
        tone.connect(gain).connect(audio.destination);
        tone.start(from);
        tone.stop(from + seconds);
        if (index === figure.tones.length - 1) tone.onended = () => resolve(true);
      }
    });
  }
}
