import { all, describe, word } from "./page";

/**
 * watchCodes sends the form of <input data-code="6"> when that many digits stand
 * there. It does not when a box to tick comes after the field, for nobody could
 * tick it any more.
 */
export function watchCodes(): void {
  all<HTMLInputElement>("input[data-code]").forEach((field, n) => {
    const want = Number(field.dataset.code);
    const form = field.form;
    if (!want || !form || choiceFollows(form, field)) return;
    advise(field, "code-auto-" + n);
    let tried = "";
    const look = () => {
      const code = field.value.normalize("NFKC").replace(/[\s‐-―−ー-]/g, "");
      if (code.length !== want || !/^\d+$/.test(code) || code === tried) return;
      tried = code;
      const button = form.querySelector<HTMLButtonElement>("button:not([type=button]):not([formnovalidate])");
      form.requestSubmit(button);
    };
    field.addEventListener("input", (event) => {
      if (!(event as InputEvent).isComposing) look();
    });
    field.addEventListener("compositionend", look);
  });
}

function choiceFollows(form: HTMLFormElement, field: HTMLInputElement): boolean {
  return all<HTMLInputElement>("input[type=checkbox], input[type=radio], select", form).some(
    (other) => (field.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0,
  );
}

/** advise says beforehand that the page goes on by itself (WCAG 2.2, 3.2.2). */
function advise(field: HTMLInputElement, id: string): void {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = word("auto");
  (field.closest(".field") ?? field.parentElement)?.append(hint);
  describe(field, hint, id);
}
