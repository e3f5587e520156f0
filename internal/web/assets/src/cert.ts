// The page that makes a certificate: the key in the browser, the request sent, the
// file packed here. Only that page loads this script.
import { base64, type Bytes, unbase64 } from "./cert/asn1";
import { newKey, request, type KeyKind } from "./cert/pkcs10";
import { pkcs12, type Form } from "./cert/pkcs12";
import { generated, grade, typeable } from "./cert/passphrase";

interface Made {
  name: string;
  file: string;
  page: string;
  certificates: string[];
  mobileconfig?: string;
  eapconfig?: string;
}

/** Refused is what the house says against an order. */
class Refused extends Error {
  constructor(readonly cause_: string, readonly next: string) {
    super(cause_);
  }
}

/** systems that read only the compatible form */
const old = ["ios", "macos", "android"];

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const chosen = (name: string) => document.querySelector<HTMLInputElement>(`#cert input[name=${name}]:checked`)?.value ?? "";
const show = (id: string, on: boolean) => (byId(id).hidden = !on);

const section = byId("browser");
const form = byId<HTMLFormElement>("cert");
const system = byId<HTMLSelectElement>("system");
const passphrase = byId<HTMLInputElement>("passphrase");

let own = false; // the person typed a passphrase of their own
let keys: CryptoKeyPair | undefined; // kept over a second try, so that nothing is made twice
let kind = "";
let unsaved = false;

/** five groups hold 123 bits, as the compatible form needs; three are pleasant to type */
function fresh(): void {
  own = false;
  passphrase.value = generated(chosen("form") === "compatible" ? 5 : 3);
  tell();
}

/** problem is why a passphrase cannot be used, as the name of its sentence. */
function problem(): string {
  if (!typeable(passphrase.value)) return "untypeable";
  // The old form is as strong as its passphrase: only one of chance will do.
  if (chosen("form") === "compatible" && passphrase.value.replace(/-/g, "").length < 20) return "long";
  return grade(passphrase.value) === 0 ? "grade0" : "";
}

function tell(): void {
  const line = byId("strength");
  const wrong = passphrase.value === "" ? "" : problem();
  const words = wrong || (passphrase.value === "" ? "" : `grade${grade(passphrase.value)}`);
  line.textContent = line.dataset[words] ?? "";
  const bar = byId<HTMLProgressElement>("grade");
  bar.value = passphrase.value === "" ? 0 : wrong ? 1 : grade(passphrase.value) + 1;
  bar.className = wrong ? "life error" : bar.value < 3 ? "life warn" : "life good";
  passphrase.setCustomValidity(wrong ? (line.dataset[wrong] ?? wrong) : "");
}

function formChanged(): void {
  if (own) tell();
  else fresh();
}

/** step marks how far it has come and lets the page be drawn before the work goes on. */
async function step(n: number): Promise<void> {
  const steps = Array.from(document.querySelectorAll("#making .steps li"));
  steps.forEach((li, i) => {
    li.classList.toggle("done", i < n);
    if (i === n) li.setAttribute("aria-current", "step");
    else li.removeAttribute("aria-current");
  });
  byId<HTMLProgressElement>("bar").value = n;
  byId("making-now").textContent = steps[n]?.textContent ?? "";
  await new Promise((r) => setTimeout(r, 30));
}

async function order(text: string): Promise<Made> {
  const body = new URLSearchParams({ request: text, label: byId<HTMLInputElement>("label-browser").value, replaces: section.dataset.replaces ?? "" });
  const answer = await fetch(section.dataset.order ?? "", { method: "POST", body, redirect: "manual", headers: { Accept: "application/json" } });
  if (answer.type === "opaqueredirect") {
    location.assign(section.dataset.back ?? ""); // the proof has grown too old: sign in again
    return new Promise(() => undefined);
  }
  if (!(answer.headers.get("Content-Type") ?? "").startsWith("application/json")) throw new Error(`answer ${answer.status}`);
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.cause, said.next);
  return said as Made;
}

function save(id: string, name: string, type: string, content: BlobPart): void {
  const link = byId<HTMLAnchorElement>(id);
  if (!link) return;
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.addEventListener("click", () => (unsaved = false));
}

async function make(): Promise<void> {
  const shape = chosen("form") as Form;
  for (const part of ["browser", "lead", "plain", "server"]) if (byId(part)) show(part, false);
  show("failed", false);
  show("making", true);
  byId("making-title").focus();
  await step(0);
  if (!keys || kind !== chosen("kind")) {
    kind = chosen("kind");
    keys = await newKey(kind as KeyKind);
  }
  await step(1);
  const text = await request(keys);
  await step(2);
  const made = await order(text);
  await step(3);
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  // An issuer inside the file would be trusted by old systems for web sites too.
  const certificates = made.certificates.slice(0, shape === "modern" ? 2 : 1).map(unbase64);
  const file = await pkcs12({ key, certificates, name: made.name, password: passphrase.value, form: shape });
  // Apple reads only the old form: there is a profile for it where the file has that form.
  const apple = shape === "compatible" ? file : undefined;
  key.fill(0);
  finish(made, file, apple);
}

function finish(made: Made, file: Bytes, apple?: Bytes): void {
  unsaved = true;
  save("save", made.file + ".p12", "application/x-pkcs12", file);
  const filled = (profile: string, with_: Bytes) => profile.replace("@PKCS12@", base64(with_));
  if (byId("save-apple")) show("save-apple", apple !== undefined);
  if (made.mobileconfig && apple) save("save-apple", made.file + ".mobileconfig", "application/x-apple-aspen-config", filled(made.mobileconfig, apple));
  if (made.eapconfig) save("save-eap", made.file + ".eap-config", "application/eap-config", filled(made.eapconfig, file));
  byId("ready-name").textContent = made.name;
  byId("ready-passphrase").textContent = passphrase.value;
  byId<HTMLAnchorElement>("ready-guide").href = system.selectedOptions[0]?.dataset.guide ?? "/help/certificates";
  byId<HTMLAnchorElement>("ready-page").href = made.page;
  show("making", false);
  show("ready", true);
  byId("ready-title").focus();
  keys = undefined;
}

async function submit(event: Event): Promise<void> {
  event.preventDefault();
  try {
    await make();
  } catch (failure) {
    show("making", false);
    show("failed", true);
    const cause = byId("failed-cause");
    cause.textContent = failure instanceof Refused ? failure.cause_ : (cause.dataset.network ?? "");
    byId("failed-next").textContent = failure instanceof Refused ? failure.next : "";
    byId("retry").focus();
    console.warn(failure);
  }
}

if (section && globalThis.crypto?.subtle) {
  show("browser", true);
  const plain = byId<HTMLDetailsElement>("plain");
  plain.open = "keep" in plain.dataset; // a form that came back stays open
  fresh();
  byId("another").addEventListener("click", fresh);
  passphrase.addEventListener("input", () => {
    own = true;
    tell();
  });
  system.addEventListener("change", () => {
    const want = old.includes(system.value) ? "compatible" : "modern";
    byId<HTMLFormElement>("cert").querySelector<HTMLInputElement>(`input[name=form][value=${want}]`)!.checked = true;
    formChanged();
  });
  for (const radio of form.querySelectorAll<HTMLInputElement>("input[name=form]")) radio.addEventListener("change", formChanged);
  form.addEventListener("submit", submit);
  byId("retry").addEventListener("click", () => {
    show("failed", false);
    for (const part of ["browser", "lead"]) show(part, true);
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    byId("label-browser").focus();
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault(); // the key would be lost
  });
}
