// Browsers with certificates, on a screen of their own, and answers to the native
// windows in which they let a person choose: no driver reaches those, keys do.
//
// Needs DISPLAY (an X server with a window manager), xdotool, certutil and pk12util.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
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

let counter = 0;

/**
 * open starts a visible browser ('chrome' or 'firefox') with certificates. prepare may
 * add to its store, such as the module of a card; tls is '1.2' or '1.3' or nothing.
 */
export async function open(kind, p12s, { prepare = () => {}, tls = '' } = {}) {
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

/**
 * choose presses the button of the page and answers the browser's own window: a number
 * chooses that entry of the list, 'cancel' none, 'nothing' expects that no window comes.
 */
export async function choose(page, answer) {
  const button = 'a.button.primary[href^="/certificate/"]';
  await page.waitForSelector(button, { visible: true, timeout: 10000 });
  await page.evaluate(() => { globalThis.stillHere = true; });
  const left = () => page.evaluate(() => !globalThis.stillHere).catch(() => true);
  page.click(button).catch(() => {}); // it ends when the window is answered
  if (answer === 'nothing') return back(page, left);
  const typed = answer === 'cancel' ? ['Escape'] : [...Array(answer).fill('Down'), 'Return'];
  for (let round = 0; round < 6; round++) {
    await pause(1500);
    if (await Promise.race([left(), pause(1500).then(() => false)])) break;
    await keys(typed);
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
