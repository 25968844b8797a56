/** Keeps the page of a running replay current: asks for the counts, and loads the result once it is there. */

const EVERY_MS = 1000;
const section = document.getElementById("progress");
const url = section?.dataset.url;

/** @param {string} url */
async function look(url) {
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (answer.ok && !answer.redirected) {
      const counts = await answer.json();
      if (counts.state !== "running") {
        location.reload();
        return;
      }
      show(counts);
    }
  } catch {
    // The server is away for a moment: the next look tells more.
  }
  setTimeout(look, EVERY_MS, url);
}

/** @param {{state: string, done: number, [count: string]: any}} counts */
function show(counts) {
  for (const place of section?.querySelectorAll("[data-count]") ?? []) {
    const name = place.getAttribute("data-count");
    if (name && name !== "state" && name in counts) place.textContent = counts[name];
  }
  const bar = section?.querySelector("progress");
  if (bar) bar.value = counts.done;
}

if (url) setTimeout(look, EVERY_MS, url);
