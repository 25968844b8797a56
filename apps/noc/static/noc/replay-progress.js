/** Keeps the page of a running replay current: asks for the counts, and loads the result once it is there. */

const EVERY_MS = 1000;
const section = document.getElementById("progress");

async function look() {
  try {
    const answer = await fetch(section.dataset.url, { headers: { Accept: "application/json" } });
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
  setTimeout(look, EVERY_MS);
}

function show(counts) {
  for (const place of section.querySelectorAll("[data-count]")) {
    const name = place.dataset.count;
    if (name !== "state" && name in counts) place.textContent = counts[name];
  }
  section.querySelector("progress").value = counts.done;
}

if (section?.dataset.url) setTimeout(look, EVERY_MS);
