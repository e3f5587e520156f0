// The pages about certificates and cards by keyboard alone, without script, on a phone
// and at a desk: in both browsers, with axe on every page that script lets it run on.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { demo, look, network, open, press, primary, put, says, service, sizes, type } from './browser.mjs';

const say = {
  ja: { mine: '自分の証明書', ready: '証明書ができました', revoked: '証明書を失効させました', issued: '証明書を発行しました', none: '証明書が選ばれませんでした。', again: 'もう一度選ぶ', signedIn: 'サインインしました', cards: 'ICカード' },
  en: { mine: 'My certificates', ready: 'The certificate is ready', revoked: 'The certificate was revoked', issued: 'The certificate was issued', none: 'No certificate was chosen.', again: 'Choose again', signedIn: 'You are signed in', cards: 'IC card' },
};
const people = demo.people.filter((p) => !p.totp_secret && !p.trouble && !p.certificates && !p.activation_code && p.kind === 'faculty').slice(-6);

/** key presses a key and, where a page follows, waits for it. */
async function key(page, name, follows = false) {
  if (!follows) return page.keyboard.press(name);
  return Promise.all([page.waitForNavigation({ waitUntil: 'load', timeout: 20000 }), page.keyboard.press(name)]);
}

/** at tells whether the focus is on something, and that it can be seen there. */
function at(page, selector) {
  return page.evaluate((s) => {
    const e = document.activeElement;
    if (!e || e === document.body || !e.matches(s)) return false;
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    return { seen: box.width > 0 && box.height > 0 && (style.outlineStyle !== 'none' || style.boxShadow !== 'none') };
  }, selector);
}

/** tabTo goes on with Tab until something has the focus; the focus must be visible. */
async function tabTo(page, selector) {
  await page.bringToFront(); // after the last element Tab leaves the page for the window
  for (let n = 0; n < 90; n++) {
    let found = await at(page, selector);
    if (found) {
      // A page that has just come may not be painted yet.
      for (let i = 0; i < 20 && !found.seen; i++) {
        await new Promise((r) => setTimeout(r, 100));
        found = await at(page, selector) || found;
      }
      assert.ok(found.seen, `the focus on ${selector} cannot be seen at ${page.url()}`);
      return;
    }
    await page.keyboard.press('Tab');
  }
  assert.fail(`Tab does not reach ${selector} at ${page.url()}`);
}

/** enter types into the field with the focus, which the page gave to it or Tab finds. */
async function enter(page, selector, what) {
  await tabTo(page, selector);
  await page.keyboard.down('Control');
  await page.keyboard.press('a');
  await page.keyboard.up('Control');
  await page.keyboard.type(what);
}

async function signInByKeys(page, who) {
  if (await page.$('input[name=username]:not([hidden])')) {
    await enter(page, 'input[name=username]', who.user);
    await key(page, 'Enter', true);
  }
  await enter(page, 'input[name=password]', who.password);
  await key(page, 'Enter', true);
}

/** tick chooses something without script, which the driver's own click needs. */
async function tick(page, selector) {
  const spot = await page.evaluate((s) => {
    const e = document.querySelector(s);
    e.scrollIntoView({ block: 'center' });
    const box = e.getBoundingClientRect();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  }, selector);
  await page.mouse.click(spot.x, spot.y);
}

for (const [kind, tag, size, nth] of [['chrome', 'ja', 'phone', 0], ['chrome', 'en', 'desk', 1], ['firefox', 'ja', 'desk', 2], ['firefox', 'en', 'phone', 3]]) {
  describe(`${kind}, ${tag}, ${size}`, () => {
    let browser;
    const who = people[nth];
    const name = (n) => `${kind}-${tag}-${size}-walk-${n}`;
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });

    async function visit(run, from = 'campus') {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.setViewport(sizes[size]);
      await network(page, from);
      await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
      await run(page);
      await context.close();
    }

    test('issued, looked at and revoked by keyboard alone', () => visit(async (page) => {
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await signInByKeys(page, who);
      await says(page, say[tag].mine);
      await look(page, name('none'));
      await tabTo(page, 'a[href="/portal/certificates/new"]');
      await key(page, 'Enter', true);
      await enter(page, '#label-browser', 'keys only');
      await tabTo(page, '#system');
      await page.keyboard.press('ArrowDown');
      await tabTo(page, '#cert button.primary');
      await key(page, 'Enter');
      await page.waitForSelector('#ready:not([hidden])', { timeout: 30000 });
      await says(page, say[tag].ready);
      assert.ok(await page.evaluate(() => document.activeElement.id === 'ready-title'), 'the focus is not where the news is');
      await look(page, name('ready'));
      await tabTo(page, '#save');
      page.once('dialog', (d) => d.accept());
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await look(page, name('list'));
      await tabTo(page, '.cards h3 a');
      await key(page, 'Enter', true);
      await look(page, name('one'));
      await tabTo(page, 'a.button.danger');
      await key(page, 'Enter', true);
      await look(page, name('revoke'));
      await tabTo(page, 'input[type=radio]');
      await page.keyboard.press(' ');
      await tabTo(page, 'button.danger');
      await key(page, 'Enter', true);
      await says(page, say[tag].revoked);
      await look(page, name('revoked'));
    }));

    test('signing in with a certificate: asked, none there, again, by keyboard alone', () => visit(async (page) => {
      await page.goto(`${service('webmail').url}?lang=${tag}`, { waitUntil: 'load' });
      await tabTo(page, '#signin');
      await key(page, 'Enter', true);
      await tabTo(page, 'a[href*="way=clientcert"]');
      await key(page, 'Enter', true);
      if (await page.$('[name=agree]')) { // asked before the proof in a browser that nobody has used
        await look(page, name('agreement'));
        await tabTo(page, '[name=agree]');
        await page.keyboard.press(' ');
        await tabTo(page, primary);
        await key(page, 'Enter', true);
      }
      await look(page, name('ask'));
      for (let n = 0; n < 2; n++) {
        await tabTo(page, 'a.button.primary[href^="/certificate/"]');
        await page.evaluate(() => { globalThis.stillHere = true; });
        await key(page, 'Enter');
        const back = () => page.evaluate((none) => !globalThis.stillHere && document.readyState === 'complete' && document.body.innerText.includes(none), say[tag].none).catch(() => false);
        for (const end = Date.now() + 20000; Date.now() < end && !(await back());) await new Promise((r) => setTimeout(r, 100));
        await says(page, say[tag].none, say[tag].again);
        await look(page, name('none-chosen'));
      }
    }, 'home'));

    test('cards, guides and managed computers', () => visit(async (page) => {
      for (const path of ['/card/number', '/card/locked', '/help/card', '/help/certificate', '/help/managed-computers']) {
        const answer = await page.goto(demo.sso + path, { waitUntil: 'load' });
        assert.equal(answer.status(), 200, path);
        await look(page, name(path.slice(1).replaceAll('/', '-')));
      }
      for (const [system, holds] of [['windows', 'opensc-pkcs11.dll'], ['macos', '/Library/OpenSC/'], ['linux', '/etc/firefox/policies']]) {
        await page.goto(`${demo.sso}/help/managed-computers`, { waitUntil: 'load' });
        await tabTo(page, `a[href$="system=${system}"]`);
        await key(page, 'Enter', true);
        await says(page, holds);
        await tabTo(page, 'pre');
        await look(page, name('managed-' + system));
      }
      await page.goto(`${demo.sso}/portal/cards`, { waitUntil: 'load' });
      await signInByKeys(page, who);
      await says(page, say[tag].cards);
      await look(page, name('cards'));
      await tabTo(page, 'a[href="/card/locked"]');
      await key(page, 'Enter', true);
    }));
  });
}

for (const kind of ['chrome', 'firefox']) {
  describe(`${kind} without script`, () => {
    let browser;
    let page;
    before(async () => {
      // Chromium runs no script when it is told so; Firefox when it starts like that.
      browser = await open(kind, kind === 'firefox' ? { 'javascript.enabled': false } : {});
      page = await (await browser.createBrowserContext()).newPage();
      if (kind === 'chrome') await page.setJavaScriptEnabled(false);
      else page.plain = true;
      await page.goto('data:text/html,<title>off</title><script>document.title="on"</script>', { waitUntil: 'load' });
      assert.equal(await page.title(), 'off', 'script runs');
      await page.setViewport(sizes.phone);
    });
    after(async () => { await browser?.close(); });
    const shoot = (n) => page.screenshot({ path: `shots/${kind}-noscript-${n}.png`, fullPage: true });
    const who = people[kind === 'chrome' ? 4 : 5];
    const work = `${process.env.WORK}/plain-${kind}`;

    test('a request of one’s own, its file, revoked', async () => {
      await network(page, 'campus');
      await page.goto(`${demo.sso}/portal/certificates/new?lang=ja`, { waitUntil: 'load' });
      await type(page, 'input[name=username]', who.user);
      await press(page, primary);
      await type(page, 'input[name=password]', who.password);
      await press(page, primary);
      await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
      await shoot('cert-new');
      mkdirSync(work, { recursive: true });
      execFileSync('openssl', ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${work}/own.key`, '-out', `${work}/own.csr`, '-subj', '/CN=anything'], { stdio: 'ignore' });
      await type(page, '#label-plain', 'lab PC');
      await put(page, '#request', readFileSync(`${work}/own.csr`, 'utf8'));
      await press(page, '#plain button[type=submit]');
      await says(page, say.ja.issued, 'lab PC');
      await shoot('cert-issued');
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await press(page, '.cards h3 a');
      await shoot('cert-one');
      await press(page, 'a.button.danger');
      await tick(page, 'input[value=lost]');
      await press(page, 'button.danger');
      await says(page, say.ja.revoked);
      await shoot('cert-revoked');
    });

    test('asked for a certificate, none there, asked again', async () => {
      await network(page, 'home');
      await page.goto(`${service('webmail').url}?lang=ja`, { waitUntil: 'load' });
      await press(page, '#signin');
      for (const out of ['button[name=act][value=other]']) if (await page.$(out)) await press(page, out);
      await press(page, 'a[href*="way=clientcert"]');
      if (await page.$('[name=agree]')) {
        await shoot('cert-agreement');
        await tick(page, '[name=agree]');
        await press(page, primary);
      }
      await shoot('cert-ask');
      for (let n = 0; n < 2; n++) {
        await press(page, 'a.button.primary[href^="/certificate/"]');
        await press(page, primary); // what came back is sent on by a button
        await says(page, say.ja.none, say.ja.again);
        await shoot('cert-none');
      }
    });

    test('cards and managed computers', async () => {
      for (const path of ['/card/number', '/card/locked', '/help/managed-computers']) {
        await page.goto(demo.sso + path, { waitUntil: 'load' });
        await shoot(path.slice(1).replaceAll('/', '-'));
      }
      await press(page, 'a[href$="system=macos"]');
      await says(page, '/Library/OpenSC/lib/opensc-pkcs11.so');
    });
  });
}
