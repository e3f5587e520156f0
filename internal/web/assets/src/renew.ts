import { all } from "./page";

const every = 2000;
const longest = 5 * 60_000;

/**
 * renew asks for the page again while <... data-renew="URL"> says that something is still
 * open, and puts what is new into its list, the element with data-renewed. Nothing else of
 * the page moves, nor where the person reads: a whole reload would begin reading anew.
 */
export function renew(): void {
  for (const box of all<HTMLElement>("[data-renew]")) {
    const list = box.querySelector("[data-renewed]");
    if (list) void follow(box, list, Date.now() + longest);
  }
}

async function follow(box: HTMLElement, list: Element, until: number): Promise<void> {
  while (box.dataset.renew && Date.now() < until) {
    await new Promise((go) => setTimeout(go, every));
    if (document.hidden) continue;
    const page = await ask(box.dataset.renew);
    if (page === "away") continue;
    const fresh = page?.getElementById(box.id);
    if (!fresh) return; // signed out, or the certificate is gone: the link says so
    const news = fresh.querySelector("[data-renewed]") ?? fresh.querySelector("ol");
    if (news) merge(list, news);
    box.dataset.renew = fresh.dataset.renew ?? "";
    for (const hint of all<HTMLElement>("[data-open]", box)) hint.hidden = box.dataset.renew === "";
  }
}

/** ask gets a page; the browser makes a document of it, without script of ours (Trusted Types). */
function ask(address: string): Promise<Document | null | "away"> {
  return new Promise((give) => {
    const x = new XMLHttpRequest();
    x.open("GET", address);
    x.responseType = "document";
    x.timeout = 10_000;
    x.onload = () => give(x.status === 200 ? x.responseXML : null);
    x.onerror = x.ontimeout = () => give("away");
    x.send();
  });
}

/** merge makes list like news and leaves every item in place that stays as it was. */
function merge(list: Element, news: Element): void {
  const old = Array.from(list.children);
  Array.from(news.children).forEach((item, n) => {
    const at = old.findIndex((o) => o.textContent === item.textContent);
    const same = at < 0 ? document.importNode(item, true) : old.splice(at, 1)[0];
    if (list.children[n] !== same) list.insertBefore(same, list.children[n] ?? null);
  });
  for (const gone of old) gone.remove();
}
