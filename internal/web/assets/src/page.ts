/** all finds elements by a selector. */
export function all<T extends HTMLElement>(selector: string, root: ParentNode = document): T[] {
  return Array.from(root.querySelectorAll<T>(selector));
}

/** word gives a sentence that the page brought along. */
export function word(name: string): string {
  return document.body.dataset[name] ?? "";
}

/** describe adds an element to what describes a field. */
export function describe(field: HTMLElement, by: HTMLElement, id: string): void {
  by.id = id;
  const before = field.getAttribute("aria-describedby");
  field.setAttribute("aria-describedby", before ? before + " " + id : id);
}
