import { all, word } from "./page";

/** copyButtons shows <button data-copy="ID" hidden> and copies the text of that element. */
export function copyButtons(): void {
  if (!navigator.clipboard) return;
  for (const button of all<HTMLButtonElement>("button[data-copy]")) {
    const label = button.textContent ?? "";
    button.hidden = false;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      const from = document.getElementById(button.dataset.copy ?? "");
      if (!from) return;
      const text = from instanceof HTMLInputElement ? from.value : (from.dataset.plain ?? from.textContent ?? "");
      await navigator.clipboard.writeText(text.trim());
      button.textContent = word("copied");
      setTimeout(() => (button.textContent = label), 3000);
    });
  }
}

/** printButtons shows <button data-print hidden>. */
export function printButtons(): void {
  for (const button of all<HTMLButtonElement>("button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
}
