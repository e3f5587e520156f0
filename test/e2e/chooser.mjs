// Browsers with certificates, on a screen of their own, and answers to the native
// windows in which they let a person choose: no driver reaches those, keys do.
//
// Needs Xvfb, openbox, xdotool, certutil and pk12util.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';
import { demo } from './browser.mjs';

const quiet = { stdio: ['ignore', 'pipe', 'pipe'] };

/** store makes a certificate store that trusts the demo and holds PKCS#12 files (password x). */
export function store(dir, p12s) {
  mkdirSync(dir, { recursive: true });
  const secret = dir + '/empty';
  writeFileSync(secret, '\n');
  execFileSync('certutil', ['-N', '-d', 'sql:' + dir, '-f', secret], quiet);
  execFileSync('certutil', ['-A', '-d', 'sql:' + dir, '-f', secret, '-n', 'demo', '-t', 'C,,', '-i', demo.ca_file], quiet);
  for (const p12 of p12s) execFileSync('pk12util', ['-i', p12, '-d', 'sql:' + dir, '-k', secret, '-W', 'x'], quiet);
}

/** screen is the folder in which the X server of this file keeps what it shows. */
const screen = `${process.env.WORK}/screen-${process.pid}`;
let begun;

/** begin starts the X server, which picks a number that is free, and a window manager. */
async function begin() {
  mkdirSync(screen);
  const server = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp', '-fbdir', screen], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  process.on('exit', () => server.kill());
  const [number] = await once(server.stdio[3], 'data');
  process.env.DISPLAY = ':' + number.toString().trim();
  const manager = spawn('openbox', [], { stdio: 'ignore' }); // ends with its screen
  for (const child of [server, manager, server.stdio[3]]) child.unref();
}

let counter = 0;

/**
 * open starts a visible browser ('chrome' or 'firefox') with certificates. prepare may
 * add to its store, such as the module of a card; tls is '1.2' or '1.3' or nothing.
 */
export async function open(kind, p12s, { prepare = () => {}, tls = '' } = {}) {
  await (begun ??= begin());
  const home = `${process.env.WORK}/cert-${kind}-${process.pid}-${++counter}`;
  if (kind === 'chrome') {
    store(home + '/.pki/nssdb', p12s);
    prepare(home + '/.pki/nssdb');
    const version = tls ? [`--ssl-version-max=tls${tls}`, `--ssl-version-min=tls${tls}`] : [];
    return puppeteer.launch({
      browser: 'chrome', executablePath: '/usr/bin/chromium', headless: false, userDataDir: home + '/profile', defaultViewport: null,
      env: { ...process.env, HOME: home }, protocolTimeout: 60000,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--password-store=basic',
        '--disable-component-update', '--disable-sync', '--lang=ja', '--window-size=1100,800', '--window-position=0,0', ...version],
    });
  }
  store(home, p12s);
  prepare(home);
  const version = { '1.2': 3, '1.3': 4 }[tls];
  return puppeteer.launch({
    browser: 'firefox', executablePath: '/usr/bin/firefox-esr', headless: false, userDataDir: home, defaultViewport: null, protocolTimeout: 60000,
    extraPrefsFirefox: {
      'intl.accept_languages': 'ja', 'security.default_personal_cert': 'Ask Every Time',
      ...(version ? { 'security.tls.version.max': version, 'security.tls.version.min': version } : {}),
    },
  });
}

function xdo(...args) {
  try {
    return execFileSync('xdotool', args, { ...quiet, timeout: 5000 }).toString().trim();
  } catch {
    return ''; // xdotool says "not found" by its exit code
  }
}

const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/** keys types into the window of the browser in front: names of keys, or text:... */
export async function keys(typed) {
  const w = xdo('getactivewindow');
  if (w) xdo('windowfocus', '--sync', w);
  for (const k of typed) {
    if (k.startsWith('text:')) xdo('type', '--delay', '20', k.slice(5));
    else xdo('key', k);
    await pause(80);
  }
}

/** picture is what the screen shows: every seventh of its pixels. */
function picture() {
  const bytes = readFileSync(screen + '/Xvfb_screen0');
  const out = new Uint32Array(Math.floor(bytes.length / 28));
  for (let i = 0; i < out.length; i++) out[i] = bytes.readUInt32LE(28 * i);
  return out;
}

/** other tells how much of two pictures differs, from 0 to 1. */
function other(a, b) {
  let n = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) n++;
  return n / a.length;
}

const window = 0.04; // the least part of the screen that a list of certificates takes
const entry = 0.001; // and the least that changes when another entry is chosen

/** until waits for something, for at most so many milliseconds. */
async function until(ms, what) {
  for (const end = Date.now() + ms; Date.now() < end; await pause(100)) if (await what()) return true;
  return false;
}

/** calm gives the picture of a page that is painted. */
async function calm(page) {
  await page.evaluate(() => new Promise((r) => { requestAnimationFrame(() => requestAnimationFrame(r)); }));
  let last = picture();
  await until(10000, async () => {
    await pause(200);
    const now = picture();
    const still = other(last, now) < entry;
    last = now;
    return still;
  });
  return last;
}

/** drawn waits until the list is there and whole, or not needed any more. */
async function drawn(before, left) {
  let last = before;
  return until(20000, async () => {
    if (await left()) return true;
    const now = picture();
    const whole = other(before, now) > window && other(last, now) < entry;
    last = now;
    if (whole) await pause(500); // a list that has just come does not listen yet
    return whole;
  });
}

/**
 * choose presses the button of the page and answers the browser's own window: a number
 * chooses that entry of the list, 'cancel' none, 'nothing' expects that no window comes.
 */
export async function choose(page, answer) {
  const button = 'a.button.primary[href^="/certificate/"]';
  await page.waitForSelector(button, { visible: true, timeout: 10000 });
  await page.evaluate((s) => {
    globalThis.stillHere = true;
    // A key that comes before the list must not press the button again.
    document.querySelector(s).addEventListener('click', (e) => { setTimeout(() => e.target.blur()); });
  }, button);
  // While a list is open the page may not answer at all.
  const left = () => Promise.race([page.evaluate(() => !globalThis.stillHere).catch(() => true), pause(1500).then(() => false)]);
  const before = await calm(page);
  const press = () => { page.click(button).catch(() => {}); }; // it ends when the window is answered
  press();
  if (answer === 'nothing') return back(page, left);
  const last = answer === 'cancel' ? 'Escape' : 'Return';
  let typed = [...Array(answer === 'cancel' ? 0 : answer).fill('Down'), last];
  for (const end = Date.now() + 60000; Date.now() < end && !(await left());) {
    const seen = await drawn(before, left);
    if (await left()) break;
    if (!seen) { // the way to the list was stopped
      press();
      continue;
    }
    const list = picture();
    await keys(typed);
    if (await until(2000, left)) break;
    if (other(list, picture()) > entry) typed = [last]; // the first keys were heard
  }
  return back(page, left);
}

/** back waits until the browser is at the gate or a service again and at rest. */
export async function back(page, left = () => true) {
  const there = async () => await left() && page.evaluate(() => !location.hostname.includes('.cert.') && document.readyState === 'complete'
    && !document.querySelector('form[data-auto]')).catch(() => false);
  for (const end = Date.now() + 15000; Date.now() < end; await pause(150)) {
    if (await there()) {
      await pause(250);
      if (await there()) return;
    }
  }
  assert.fail('the browser stays at ' + page.url());
}
