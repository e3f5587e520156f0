import { all } from "./page";

/**
 * tellClock fills <input data-clock> with this device's time in Unix milliseconds
 * at the moment of sending, so that the server can tell how far it is off.
 */
export function tellClock(): void {
  for (const field of all<HTMLInputElement>("input[data-clock]")) {
    field.form?.addEventListener("submit", () => (field.value = String(Date.now())));
  }
}
