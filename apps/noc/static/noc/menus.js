// Menus are `<details class="menu">`, which open and close by themselves and stay as they are when the page is drawn
// anew. This closes them as menus close: by a click elsewhere, by Esc, and when another one opens.

const OPENED = "details.menu[open]";

export function startMenus() {
  document.addEventListener("pointerdown", ({ target }) => closeAllBut(/** @type {Node} */ (target)));
  document.addEventListener("focusin", ({ target }) => closeAllBut(/** @type {Node} */ (target)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    const menu = document.querySelector(OPENED);
    if (!(menu instanceof HTMLDetailsElement)) return;
    event.preventDefault(); // Esc is spent
    close(menu);
  });
}

/** Whether a menu is open. */
export const isMenuOpen = () => document.querySelector(OPENED) !== null;

/** @param {HTMLDetailsElement} menu */
export function close(menu) {
  menu.open = false;
  menu.querySelector("summary")?.focus();
}

/** @param {Node} inside */
function closeAllBut(inside) {
  for (const menu of document.querySelectorAll(OPENED)) if (!menu.contains(inside)) /** @type {HTMLDetailsElement} */ (menu).open = false;
}
