// The login page: say that Caps Lock is on, while a password is typed.

const hint = document.querySelector("#caps");
const password = document.querySelector("#id_password");

for (const kind of ["keydown", "keyup"]) {
  password?.addEventListener(kind, (event) => {
    // Browsers that fill the field in send key events without a key.
    if (hint instanceof HTMLElement && event instanceof KeyboardEvent) {
      hint.hidden = !event.getModifierState("CapsLock");
    }
  });
}
