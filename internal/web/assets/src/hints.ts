import { all, describe, word } from "./page";

/** hints stands beside password and user name fields: what may be wrong with what
 * is being typed, and a button that shows a password. */
export function hints(): void {
  const fields = all<HTMLInputElement>("input[type=password], input[autocomplete~=username], input[data-watch]").filter(
    (field) => !field.hidden && !field.readOnly && field.type !== "hidden",
  );
  fields.forEach((field, n) => {
    if (field.type === "password") reveal(field);
    watch(field, "watch-" + n);
  });
}

function watch(field: HTMLInputElement, id: string): void {
  const hint = document.createElement("p");
  hint.className = "hint watch";
  hint.setAttribute("role", "status");
  (field.closest(".reveal") ?? field).after(hint);
  describe(field, hint, id);
  const secret = field.type === "password";
  let caps = false;
  const look = () => {
    const text = field.value;
    const found: string[] = [];
    if (caps) found.push(word("caps"));
    if (/[！-～　]/.test(text)) found.push(word("wide"));
    else if (/^\s|\s$/.test(text)) found.push(word("space"));
    if (!secret && field.dataset.hint === "username" && /[@＠]/.test(text)) found.push(word("mail"));
    const said = found.join(" ");
    if (hint.textContent !== said) hint.textContent = said;
  };
  const keys = (event: KeyboardEvent) => {
    if (!event.getModifierState) return; // filled in by the browser, not typed
    caps = event.getModifierState("CapsLock");
    look();
  };
  field.addEventListener("keydown", keys);
  field.addEventListener("keyup", keys);
  field.addEventListener("input", look);
  field.addEventListener("blur", () => {
    caps = false;
    look();
  });
}

function reveal(field: HTMLInputElement): void {
  const box = document.createElement("div");
  box.className = "reveal";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = word("show");
  button.setAttribute("aria-label", word("reveal"));
  button.setAttribute("aria-pressed", "false");
  const focused = document.activeElement === field;
  field.replaceWith(box);
  box.append(field, button);
  if (focused) field.focus();
  const set = (shown: boolean) => {
    field.type = shown ? "text" : "password";
    button.textContent = word(shown ? "hide" : "show");
    button.setAttribute("aria-pressed", String(shown));
  };
  button.addEventListener("click", () => set(field.type === "password"));
  field.form?.addEventListener("submit", () => set(false)); // browsers remember passwords only from password fields
}
