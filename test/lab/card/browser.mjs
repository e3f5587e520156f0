// Chromium and Firefox as people have them: headful, with the card's PKCS#11 module and
// their own dialogs for PIN and certificate, which no DevTools command reaches. xdotool
// presses the keys.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../e2e/package.json', import.meta.url));
const { default: puppeteer } = await import(require.resolve('puppeteer-core').replace(/lib\/cjs\/.*$/, 'lib/esm/puppeteer/puppeteer-core.js'));

export const demo = JSON.parse(readFileSync(process.env.DEMO, 'utf8'));
export const shots = fileURLToPath(new URL('./shots', import.meta.url));
const opensc = '/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so';

/** tool runs a program and gives what it says; a failure is part of the answer. */
export function tool(name, ...args) {
  try {
    return execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30000 });
  } catch (e) {
    return `${e.stdout ?? ''}${e.stderr ?? ''}\nexit ${e.status}`;
  }
}

/** seimon runs a command beside the demo; input goes to its standard input. */
export function seimon(args, input = '') {
  return execFileSync(process.env.WORK + '/seimon', ['--config', demo.config, ...args], { encoding: 'utf8', input, timeout: 60000 });
}

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

/** until waits until a test gives something true. */
export async function until(what, test, patience = 15000) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(100)) {
    const found = await test();
    if (found) return found;
  }
  throw new Error('waited in vain for ' + what);
}

function xdo(...args) {
  try {
    return execFileSync('xdotool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

const dialogs = {
  pin: '^(Unlock Security Device|Password Required.*)$',
  certificate: '^(Select a certificate|User Identification Request.*)$',
};

/** windows lists the visible windows of a kind of dialog. */
export function windows(kind) {
  return xdo('search', '--onlyvisible', '--name', dialogs[kind]).split('\n').filter(Boolean);
}

/** titles lists every visible window, for messages. */
export function titles() {
  return xdo('search', '--onlyvisible', '--name', '.').split('\n').filter(Boolean).map((w) => xdo('getwindowname', w));
}

/** answer waits for a dialog that was not there before and presses keys in it. */
export async function answer(kind, keys, { not = [], text = '' } = {}) {
  const w = await until(`the dialog ${kind} (there are: ${titles().join(' | ')})`, () => windows(kind).find((x) => !not.includes(x)), 20000);
  xdo('windowactivate', '--sync', w);
  await sleep(300);
  if (text) xdo('type', '--delay', '20', text);
  for (const k of keys) {
    xdo('key', k);
    await sleep(100);
  }
  return w;
}

/** typePIN answers the next PIN dialog. */
export const typePIN = (pin, options = {}) => answer('pin', ['Return'], { ...options, text: pin });

function trust(dir) {
  mkdirSync(dir, { recursive: true });
  const secret = dir + '/empty';
  writeFileSync(secret, '\n');
  const options = { stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync('certutil', ['-N', '-d', 'sql:' + dir, '-f', secret], options);
  execFileSync('certutil', ['-A', '-d', 'sql:' + dir, '-f', secret, '-n', 'demo', '-t', 'C,,', '-i', demo.ca_file], options);
  execFileSync('modutil', ['-dbdir', 'sql:' + dir, '-add', 'opensc', '-libfile', opensc, '-force'], { stdio: 'ignore' });
}

let counter = 0;

/** open starts a browser ('chrome' or 'firefox') with a fresh profile that knows the card. */
export async function open(kind) {
  const home = `${process.env.WORK}/${kind}-${++counter}`;
  if (kind === 'chrome') {
    trust(home + '/.pki/nssdb');
    return puppeteer.launch({
      browser: 'chrome', executablePath: '/usr/bin/chromium', headless: false, userDataDir: home + '/profile', env: { ...process.env, HOME: home },
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
        '--disable-sync', '--password-store=basic', '--lang=en'],
    });
  }
  trust(home);
  return puppeteer.launch({
    browser: 'firefox', executablePath: '/usr/bin/firefox-esr', headless: false, userDataDir: home, env: { ...process.env, HOME: home },
    extraPrefsFirefox: {
      'network.dns.localDomains': hosts().join(','), 'intl.accept_languages': 'en', 'security.default_personal_cert': 'Ask Every Time',
    },
  });
}

function hosts() {
  const names = [demo.sso, demo.mailbox, ...demo.services.map((s) => s.url)].map((u) => new URL(u).hostname);
  return [...new Set(names)];
}

export async function text(page) {
  return page.evaluate(() => document.body.innerText);
}

/** goes clicks and does not wait: a dialog of the browser may come before any page. */
export async function goes(page, selector) {
  await page.waitForSelector(selector, { visible: true, timeout: 10000 });
  await page.evaluate((s) => { document.querySelector(s).click(); }, selector);
}
