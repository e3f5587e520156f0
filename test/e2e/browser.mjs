// The two browsers, each with the demo's own CA in its certificate store, and the
// few things that the walks do with a page.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createHmac } from 'node:crypto';
import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';

export const demo = JSON.parse(readFileSync(process.env.DEMO, 'utf8'));
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const sizes = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 900 } };

function trust(dir, own) {
  mkdirSync(dir, { recursive: true });
  // A password file keeps certutil from ever asking a terminal that is not there.
  const secret = dir + '/empty';
  writeFileSync(secret, '\n');
  const options = { stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync('certutil', ['-N', '-d', 'sql:' + dir, '-f', secret], options);
  execFileSync('certutil', ['-A', '-d', 'sql:' + dir, '-f', secret, '-n', 'demo', '-t', 'C,,', '-i', demo.ca_file], options);
  for (const { file, passphrase } of own) execFileSync('pk12util', ['-i', file, '-d', 'sql:' + dir, '-k', secret, '-W', passphrase], options);
}

let counter = 0;
const homes = new Map();

/**
 * open starts a browser ('chrome' or 'firefox') with a fresh profile. own are client
 * certificates that it has: { file, passphrase }.
 */
export async function open(kind, prefs = {}, own = []) {
  const home = `${process.env.WORK}/${kind}-${process.pid}-${++counter}`; // several files run at once
  if (kind === 'chrome') {
    trust(home + '/.pki/nssdb', own);
    return puppeteer.launch({
      browser: 'chrome', executablePath: '/usr/bin/chromium', headless: true, userDataDir: home + '/profile',
      env: { ...process.env, HOME: home },
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', '--lang=ja'],
    });
  }
  trust(home, own);
  const browser = await puppeteer.launch({
    browser: 'firefox', executablePath: '/usr/bin/firefox-esr', headless: true, userDataDir: home,
    extraPrefsFirefox: {
      'browser.download.folderList': 2, 'browser.download.dir': home + '/down', 'browser.download.alwaysOpenPanel': false,
      'browser.download.always_ask_before_handling_new_types': false, 'browser.helperApps.neverAsk.saveToDisk': 'application/x-pkcs12',
      'network.dns.localDomains': hosts().join(','), 'intl.accept_languages': 'ja', ...prefs },
  });
  homes.set(browser, home);
  return browser;
}

/** downloads is where a Firefox puts what it saves. */
export function downloads(browser) {
  return homes.get(browser) + '/down';
}

function hosts() {
  const names = [demo.sso, demo.mailbox, ...demo.services.map((s) => s.url)].map((u) => new URL(u).hostname);
  return [...new Set(names)];
}

/** person finds one of the demo's people by a test. */
export function person(want) {
  const found = demo.people.find(want);
  assert.ok(found, 'the demo lacks such a person');
  return found;
}

export function service(name) {
  const found = demo.services.find((s) => s.name === name || s.client_id === name);
  assert.ok(found, 'the demo lacks the service ' + name);
  return found;
}

/** network moves the browser to one of the demo's networks. */
export async function network(page, name) {
  await page.goto(`${demo.sso}/demo/network/${name}`, { waitUntil: 'load' });
}

export async function language(page, tag) {
  await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
}

/** code computes the one-time code of a secret (RFC 6238), some steps away from now. */
export function code(secret, steps = 0) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let bits = '';
  for (const c of secret.replace(/[\s=]/g, '').toUpperCase()) bits += alphabet.indexOf(c).toString(2).padStart(5, '0');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const msg = Buffer.alloc(8);
  msg.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
  const mac = createHmac('sha1', key).update(msg).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, '0');
}

/**
 * found waits for something that can be seen. Firefox without script has no timers
 * or observers in its pages, so the waiting is done here.
 */
async function found(page, selector) {
  if (!page.plain) return page.waitForSelector(selector, { visible: true, timeout: 10000 });
  for (const end = Date.now() + 10000; Date.now() < end;) {
    const seen = await page.evaluate((s) => {
      const e = document.querySelector(s);
      e?.scrollIntoView({ block: 'center' });
      const box = e?.getBoundingClientRect();
      return box && box.width > 0 ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : null;
    }, selector).catch(() => null);
    if (seen) return seen;
    await new Promise((r) => setTimeout(r, 100));
  }
  assert.fail(`${selector} is not on the page at ${page.url()}`);
}

/** press clicks something and waits for the page that follows. */
export async function press(page, selector) {
  const at = await found(page, selector);
  const click = () => (page.plain ? page.mouse.click(at.x, at.y) : page.click(selector));
  await Promise.all([page.waitForNavigation({ waitUntil: 'load', timeout: 20000 }), click()]);
}

export async function type(page, selector, text) {
  await found(page, selector);
  await page.$eval(selector, (e) => { e.value = ''; });
  await page.type(selector, text);
}

/** put fills a field in as nobody types, so that a page that sends a complete code by itself waits to be pressed. */
export async function put(page, selector, text) {
  await found(page, selector);
  await page.$eval(selector, (e, t) => { e.value = t; }, text);
}

export async function text(page) {
  return page.evaluate(() => document.body.innerText);
}

export async function says(page, ...wanted) {
  const body = await text(page);
  for (const w of wanted) assert.ok(w instanceof RegExp ? w.test(body) : body.includes(w), `the page at ${page.url()} does not say ${w}:\n${body}`);
}

/** audit runs axe for WCAG 2.2 AA and keeps a picture. */
export async function look(page, name) {
  await page.screenshot({ path: `shots/${name}.png`, fullPage: true });
  await page.evaluate(axeSource);
  const result = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
    resultTypes: ['violations'], // what passes need not be described
  }));
  const found = result.violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(' ')).join('; ')})`);
  assert.deepEqual(found, [], `axe on ${name} at ${page.url()}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name} scrolls sideways by ${wide} pixels`);
}

export const primary = 'form button.primary';
