import { all } from "./page";

/** keepTyped carries what was typed over a change of language, never secrets. */
export function keepTyped(): void {
  const key = "typed:" + location.pathname;
  const fields = all<HTMLInputElement>("input[type=text][id]:not([hidden]):not([data-code]):not([autocomplete=one-time-code])");
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "{}") as Record<string, string>;
  sessionStorage.removeItem(key);
  for (const field of fields) {
    if (kept[field.id] && field.value === "") field.value = kept[field.id];
  }
  for (const link of all<HTMLAnchorElement>("a[data-lang]")) {
    link.addEventListener("click", () => {
      const typed: Record<string, string> = {};
      for (const field of fields) if (field.type === "text") typed[field.id] = field.value;
      sessionStorage.setItem(key, JSON.stringify(typed));
      link.hash = location.hash;
    });
  }
}
