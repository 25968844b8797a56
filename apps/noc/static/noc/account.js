// The account page: copy what is shown once, and ask before what cannot be taken back.

const secret = document.querySelector("#secret");
const copy = document.querySelector("#copy");

if (secret instanceof HTMLInputElement && copy instanceof HTMLButtonElement) {
  secret.addEventListener("focus", () => secret.select());
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    secret.select();
    try {
      await navigator.clipboard.writeText(secret.value);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Press Ctrl+C"; // no right to the clipboard, or no https
    }
  });
}

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (form instanceof HTMLFormElement && !confirm(form.dataset.ask)) event.preventDefault();
  });
}
