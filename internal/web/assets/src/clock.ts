import { all } from "./page";

/**
 * measureClock fills <input data-clock> with how far this device's clock is ahead
 * of the server's, in milliseconds: the page carries the server's time, and the
 * browser knows when the first byte of the page came in.
 */
export function measureClock(): void {
  const server = Number(document.documentElement.dataset.now);
  const fields = all<HTMLInputElement>("input[data-clock]");
  if (!server || fields.length === 0) return;
  const loads = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const age = loads.length > 0 ? performance.now() - loads[0].responseStart : 0;
  const ahead = Math.round(Date.now() - age - server);
  for (const field of fields) field.value = String(ahead);
}
