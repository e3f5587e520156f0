import { all } from "./page";

/** patience is how long a second press of the same button is held back. */
const patience = 10_000;

/**
 * sendOnce drops the second half of a double click on a button that sends. The button
 * looks busy as long: what it brings may be a file, after which the page stays.
 */
export function sendOnce(): void {
  for (const form of all<HTMLFormElement>("form[method=post]")) {
    let sent = 0;
    let by: HTMLElement | null = null;
    form.addEventListener("submit", (event) => {
      const now = performance.now();
      if (sent && now - sent < patience && event.submitter === by) {
        event.preventDefault();
        return;
      }
      sent = now;
      by = event.submitter;
      by?.setAttribute("aria-busy", "true");
      window.setTimeout((button) => button?.removeAttribute("aria-busy"), patience, by);
    });
    window.addEventListener("pageshow", () => {
      sent = 0;
      by?.removeAttribute("aria-busy");
    });
  }
}

/** sendNow sends <form data-auto> without waiting for the button. */
export function sendNow(): void {
  document.querySelector<HTMLFormElement>("form[data-auto]")?.requestSubmit();
}
