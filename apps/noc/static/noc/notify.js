// Desktop notifications: one at a time, each in place of the one before.

const TAG = "noc-alarms";

/** Dispatches `change` when the permission changed. */
export class Desktop extends EventTarget {
  /** @type {Notification | null} */
  #shown = null;

  /** @returns {NotificationPermission | "unsupported"} `default`: not asked yet */
  get permission() {
    return typeof Notification === "undefined" || !isSecureContext ? "unsupported" : Notification.permission;
  }

  async ask() {
    if (this.permission === "default") await Notification.requestPermission();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {string} title
   * @param {string} body
   * @param {() => void} clicked
   * @returns {boolean} whether the browser took it
   */
  show(title, body, clicked) {
    if (this.permission !== "granted") return false;
    try {
      // The page has sounds of its own, which may be muted. `renotify` is not among TypeScript's options yet.
      const shown = new Notification(title, /** @type {NotificationOptions} */ ({ body, tag: TAG, renotify: true, silent: true }));
      shown.onclick = () => {
        window.focus();
        shown.close();
        clicked();
      };
      this.#shown = shown;
      return true;
    } catch {
      return false; // browsers of phones show them by a service worker only
    }
  }

  /** Nothing stands any more. */
  close() {
    this.#shown?.close();
    this.#shown = null;
  }
}
