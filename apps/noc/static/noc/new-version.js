// A page that is open for weeks hears of a new version of itself. A wall loads it; to operators, who may have typed
// something, it is told.

/** @typedef {import("./page.js").PageState} PageState */

const ASK_MS = 60_000;
const JITTER_MS = 15_000; // the browsers of a whole shift do not ask at once
const AGAIN_MS = 600_000; // while old and new servers answer in turns, no page reloads over and over
const RELOADED = "noc.reloaded";

/** @param {PageState} page */
export function startNewVersion(page) {
  const mine = document.body.dataset.version;
  if (!mine) return;
  let asked = false;

  async function ask() {
    if (asked) return;
    asked = true;
    try {
      const answer = await fetch("/version", { cache: "no-store", credentials: "omit" });
      const { version } = await answer.json();
      if (answer.ok && typeof version === "string" && version !== mine) found(version);
    } catch {
      // it is asked again
    } finally {
      asked = false;
    }
  }

  /** @param {string} version */
  function found(version) {
    document.body.dataset.newVersion = version;
    if (!page.wall) return tell();
    const [last, at] = (sessionStorage.getItem(RELOADED) ?? "").split(" ");
    if (last === version && Date.now() - Number(at) < AGAIN_MS) return;
    sessionStorage.setItem(RELOADED, `${version} ${Date.now()}`);
    setTimeout(() => location.reload(), Math.random() * 2_000);
  }

  function later() {
    setTimeout(async () => {
      await ask();
      later();
    }, ASK_MS - JITTER_MS / 2 + Math.random() * JITTER_MS);
  }

  page.feed.addEventListener("state", () => page.feed.state === "live" && ask());
  later();
}

function tell() {
  const note = document.getElementById("new-version");
  if (note === null || !note.hidden) return;
  const again = document.createElement("button");
  again.textContent = "Reload";
  again.addEventListener("click", () => location.reload());
  note.replaceChildren("A new version of this page is there. ", again);
  note.hidden = false;
}
