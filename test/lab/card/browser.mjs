// Chromium and Firefox as people have them: headful, with the card's PKCS#11 module and
// their own dialogs for PIN and certificate, which no DevTools command reaches. xdotool
// presses the keys.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';
import https from 'node:https';

const require = createRequire(new URL('../../e2e/package.json', import.meta.url));
const { default: puppeteer } = await import(require.resolve('puppeteer-core').replace(/lib\/cjs\/.*$/, 'lib/esm/puppeteer/puppeteer-core.js'));

export const demo = JSON.parse(readFileSync(process.env.DEMO, 'utf8'));
export const shots = fileURLToPath(new URL('./shots', import.meta.url));
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const opensc = '/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so';

/** tool runs a program and gives what it says; a failure is part of the answer. */
export function tool(name, ...args) {
  try {
    return execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120000 });
  } catch (e) {
    return `${e.stdout ?? ''}${e.stderr ?? ''}\nexit ${e.status}`;
  }
}

/** seimon runs a command beside the demo; input goes to its standard input. */
export function seimon(args, input = '') {
  return execFileSync(process.env.WORK + '/seimon', ['--config', demo.config, ...args], { encoding: 'utf8', input, timeout: 120000 });
}

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

/** until waits until a test gives something true, far longer than it takes: machines may do much else. */
export async function until(what, test, patience = 120000) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(100)) {
    const found = await test();
    if (found) return found;
  }
  throw new Error('waited in vain for ' + what);
}

function xdo(...args) {
  try {
    return execFileSync('xdotool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 20000 }).trim(); // it waits for windows that have gone
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
export async function answer(kind, keys, { not = [], text = '', patience = 120000 } = {}) {
  let w;
  try {
    w = await until(`the dialog ${kind}`, () => windows(kind).find((x) => !not.includes(x)), patience);
  } catch (e) {
    tool('import', '-window', 'root', `${shots}/no-dialog.png`);
    throw new Error(`${e.message}; windows: ${titles().join(' | ')}`);
  }
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
      timeout: 120000, browser: 'chrome', executablePath: process.env.WORK + '/chromium', headless: false, userDataDir: home + '/profile', env: { ...process.env, HOME: home },
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
        '--disable-sync', '--password-store=basic', '--lang=en'],
    });
  }
  trust(home);
  return puppeteer.launch({
    timeout: 120000, browser: 'firefox', executablePath: '/usr/bin/firefox-esr', headless: false, userDataDir: home, env: { ...process.env, HOME: home },
    extraPrefsFirefox: {
      'network.dns.localDomains': hosts().join(','), 'intl.accept_languages': 'en', 'security.default_personal_cert': 'Ask Every Time',
    },
  });
}

function hosts() {
  const names = [demo.sso, demo.mailbox, ...demo.services.map((s) => s.url)].map((u) => new URL(u).hostname);
  return [...new Set(names)];
}

/** locked is how much of a browser's memory is locked, in kB: see what run says of OpenSC. */
export function locked(browser) {
  return Number(/^VmLck:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${browser.process().pid}/status`, 'utf8'))[1]);
}

/** text is what the page says; nothing while a dialog of the browser holds it up longer than one cares to wait. */
export async function text(page, patience = 60000) {
  return Promise.race([page.evaluate(() => document.body.innerText), sleep(patience).then(() => '')]);
}

/** says tells whether the page says something now, for those who ask again and again. */
export async function says(page, words) {
  return words.test(await text(page, 2000));
}

/** goes clicks and does not wait: a dialog of the browser may come before any page. */
export async function goes(page, selector) {
  await page.waitForSelector(selector, { visible: true, timeout: 60000 });
  await Promise.race([page.evaluate((s) => {
    globalThis.left = true;
    setTimeout(() => document.querySelector(s).click());
  }, selector), sleep(5000)]);
}

/** arrived tells whether another page has come since something was clicked: it does not while a list of certificates is open. */
export async function arrived(page) {
  return Promise.race([page.evaluate(() => !globalThis.left && document.readyState === 'complete').catch(() => false), sleep(2000).then(() => false)]);
}

/** toChooser goes on campus to the sign-in and presses the button that asks for a certificate. */
export async function toChooser(page) {
  await page.goto(demo.sso + '/demo/network/campus', { waitUntil: 'load' });
  await page.goto(demo.sso + '/portal?lang=en', { waitUntil: 'load' });
  await page.goto(page.url().replace(/\?.*/, '') + '?way=clientcert', { waitUntil: 'load' });
  if (await page.$('[name=agree]')) { // in a browser that nobody has used the agreement comes first
    await page.click('[name=agree]');
    await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.click('form button.primary')]);
  }
  await goes(page, 'a.button.primary');
}

/** cancelPIN closes the PIN dialog, as often as the browser opens it again. */
export async function cancelPIN() {
  await answer('pin', ['Escape']);
  for (let quiet = 0; quiet < 15; await sleep(100)) {
    if (!windows('pin').length) quiet++;
    else {
      quiet = 0;
      await answer('pin', ['Escape'], { patience: 500 }).catch(() => {}); // it may close just now
    }
  }
}

/** choose presses keys in the browser's list of certificates, which is part of its window. */
export async function choose(page, keys = [], name = '') {
  await until('the PIN dialog to close', () => windows('pin').length === 0);
  for (const end = Date.now() + 120000; Date.now() < end;) {
    await sleep(1500);
    if (!page.browser().connected || (await arrived(page))) return;
    if (name) await shoot(page, name, true);
    for (const k of [...keys, 'Return']) xdo('key', k);
  }
}

/** finish waits until the page is where, or says what, a test wants. */
export async function finish(page, test, patience = 120000) {
  try {
    await until('the page', async () => {
      if (!page.browser().connected) return true;
      try {
        return await test(page.url());
      } catch {
        return false; // the page is on its way
      }
    }, patience);
  } catch (e) {
    await shoot(page, 'in-vain', true);
    throw new Error(`${e.message} at ${page.url()}; windows: ${titles().join(' | ')}`);
  }
  assert.ok(page.browser().connected, 'the browser is gone');
}

/** ask sends a request to the demo's own pages, without a browser. */
function ask(method, path) {
  const home = new URL(demo.home);
  return new Promise((done, failed) => {
    const r = https.request({
      host: '127.0.0.1', port: home.port, servername: home.hostname, ca: readFileSync(demo.ca_file), method, path, headers: { host: home.host }, agent: false,
    }, (answer) => {
      answer.resume();
      answer.on('end', () => (answer.statusCode < 400 ? done() : failed(new Error(`${method} ${path}: ${answer.statusCode}`))));
    });
    r.on('error', failed);
    r.end();
  });
}

/** move puts somebody's card into the reader or takes it out, and waits until OpenSC sees it. */
export async function move(user, where, cards) {
  await ask('POST', `/people/${user}/card/${where}`);
  if (cards !== undefined) await until(`OpenSC to see ${cards} cards`, () => tool('pkcs11-tool', '-L').split('piv_II').length - 1 === cards);
}

/** shoot keeps a picture of the page, or of the whole screen. */
export async function shoot(page, name, screen = false) {
  if (screen) tool('import', '-window', 'root', `${shots}/${name}.png`);
  else await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

/** audit runs axe for WCAG 2.2 AA on a page and keeps a picture. */
export async function audit(page, name) {
  await shoot(page, name);
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
  }));
  const found = result.violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(' ')).join('; ')})`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (found.length || wide > 0) throw new Error(`${name}: ${found.join('\n')} ${wide} pixels too wide`);
}
