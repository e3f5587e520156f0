// A person's walk through the demo: in Chromium and Firefox, in Japanese and English,
// on a phone and at a desk, with a screen reader's eyes (axe) on every page.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { code, demo, look, network, open, person, press, primary, says, service, sizes, type } from './browser.mjs';

const words = {
  ja: { next: '次へ', wrong: 'ユーザー名かパスワードがちがいます', signedIn: 'サインインしました', code: 'アプリに表示されている数字', eduroam: 'eduroam' },
  en: { next: 'Continue', wrong: 'The user name or the password is not right', signedIn: 'You are signed in', code: 'Enter the code from your app', eduroam: 'eduroam' },
};

/** used remembers codes, so that two walks of one person do not meet in one step. */
const used = new Set();

async function freshCode(p) {
  for (;;) {
    for (const step of [0, 1]) {
      const c = code(p.totp_secret, step);
      if (!used.has(p.user + c)) {
        used.add(p.user + c);
        return c;
      }
    }
    await new Promise((r) => setTimeout(r, 1000));
  }
}

const withApp = () => demo.people.filter((p) => p.totp_secret && !p.trouble && p.kind === 'student');
const withoutApp = () => demo.people.filter((p) => !p.totp_secret && !p.trouble && p.kind === 'student');

async function toService(page, name, tag) {
  const s = service(name);
  await page.goto(`${s.url}/?lang=${tag}`.replace('//?', '/?'), { waitUntil: 'load' });
  await press(page, '#signin');
}

async function userName(page, user) {
  await type(page, 'input[name=username]:not([hidden])', user);
  await press(page, primary);
}

async function password(page, secret) {
  await type(page, 'input[name=password]', secret);
  await press(page, primary);
}

/** ready waits until the page has put the cursor into its first field. */
async function ready(page) {
  await page.waitForFunction(() => document.activeElement?.tagName === 'INPUT', { timeout: 10000 });
}

/** consent agrees once to what the service is told, when it is asked. */
async function consent(page, name) {
  if (!(await page.$('[name=attribute]'))) return;
  if (name) await look(page, name);
  await press(page, primary);
}

for (const kind of ['chrome', 'firefox']) {
  describe(kind, () => {
    let browser;
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });

    for (const tag of ['ja', 'en']) {
      for (const [size, viewport] of Object.entries(sizes)) {
        test(`on campus a password is enough (${tag}, ${size})`, async () => {
          const context = await browser.createBrowserContext();
          const page = await context.newPage();
          await page.setViewport(viewport);
          await network(page, 'campus');
          const p = withApp()[2];
          await toService(page, 'library', tag);
          await look(page, `${kind}-${tag}-${size}-1-username`);
          await userName(page, p.user);
          await look(page, `${kind}-${tag}-${size}-2-password`);
          await password(page, 'not the password');
          await says(page, words[tag].wrong);
          await look(page, `${kind}-${tag}-${size}-3-wrong`);
          await password(page, p.password);
          await consent(page, `${kind}-${tag}-${size}-4-consent`);
          await says(page, words[tag].signedIn);
          await look(page, `${kind}-${tag}-${size}-5-service`);
          await context.close();
        });
      }

      test(`off campus a second step is asked, then sign-out (${tag})`, async () => {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.setViewport(sizes.phone);
        await network(page, 'home');
        const p = withApp()[tag === 'ja' ? 3 : 4];
        await toService(page, 'webmail', tag);
        await userName(page, p.user);
        await password(page, p.password);
        await says(page, words[tag].code);
        await look(page, `${kind}-${tag}-5-code`);
        await type(page, 'input[name=code]', await freshCode(p));
        await press(page, primary);
        await consent(page);
        await says(page, words[tag].signedIn, /mfa/);
        await press(page, '#signout');
        assert.ok(page.url().startsWith(service('webmail').url), page.url());
        await context.close();
      });

      test(`eduroam without a second step explains itself (${tag})`, async () => {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.setViewport(sizes.phone);
        await network(page, 'eduroam');
        const p = withoutApp()[0];
        await toService(page, 'webmail', tag);
        await userName(page, p.user);
        await password(page, p.password);
        await says(page, words[tag].eduroam, /[0-9A-Z]{4}-[0-9A-Z]{4}/);
        await look(page, `${kind}-${tag}-6-eduroam`);
        await context.close();
      });

      test(`the portal's pages (${tag})`, async () => {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.setViewport(sizes.phone);
        await network(page, 'campus');
        const p = withApp()[tag === 'ja' ? 5 : 6];
        await page.goto(`${demo.sso}/portal?lang=${tag}`, { waitUntil: 'load' });
        await userName(page, p.user);
        await password(page, p.password);
        for (const path of ['', '/factors', '/sessions', '/history', '/consents', '/settings', '/zone', '/test']) {
          await page.goto(`${demo.sso}/portal${path}`, { waitUntil: 'load' });
          assert.ok(page.url().startsWith(`${demo.sso}/portal`), `${path} leads to ${page.url()}`);
          await look(page, `${kind}-${tag}-7-portal${path.replaceAll('/', '-')}`);
        }
        await page.setViewport(sizes.desk);
        for (const path of ['', '/factors', '/history']) {
          await page.goto(`${demo.sso}/portal${path}`, { waitUntil: 'load' });
          await look(page, `${kind}-${tag}-8-portal-desk${path.replaceAll('/', '-')}`);
        }
        await context.close();
      });

      test(`help, reset and activation without signing in (${tag})`, async () => {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.setViewport(sizes.phone);
        for (const path of ['/help', '/help/zone', '/help/lost-phone', '/help/clock', '/help/inquiry', '/reset', '/activate']) {
          const answer = await page.goto(`${demo.sso}${path}?lang=${tag}`, { waitUntil: 'load' });
          assert.equal(answer.status(), 200, path);
          await look(page, `${kind}-${tag}-9${path.replaceAll('/', '-')}`);
        }
        await context.close();
      });
    }

    test('without script', async () => {
      // Chromium runs no script when it is told so; Firefox when it starts like that.
      const plain = kind === 'firefox' ? await open(kind, { 'javascript.enabled': false }) : browser;
      const context = await plain.createBrowserContext();
      const page = await context.newPage();
      if (kind === 'chrome') await page.setJavaScriptEnabled(false);
      else page.plain = true;
      await page.goto('data:text/html,<title>off</title><script>document.title="on"</script>', { waitUntil: 'load' });
      assert.equal(await page.title(), 'off', 'script runs');
      await page.setViewport(sizes.phone);
      await network(page, 'home');
      const p = withApp()[kind === 'chrome' ? 7 : 9];
      await toService(page, 'webmail', 'ja');
      await userName(page, p.user);
      await password(page, 'not the password');
      await says(page, words.ja.wrong);
      await password(page, p.password);
      await page.screenshot({ path: `shots/${kind}-noscript-code.png`, fullPage: true });
      await type(page, 'input[name=code]', await freshCode(p));
      await press(page, primary);
      await consent(page);
      await says(page, words.ja.signedIn);
      await page.goto(`${demo.sso}/portal/sessions?lang=ja`, { waitUntil: 'load' });
      await page.screenshot({ path: `shots/${kind}-noscript-sessions.png`, fullPage: true });
      await context.close();
      if (plain !== browser) await plain.close();
    });

    test('by keyboard alone', async () => {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await network(page, 'campus');
      const p = withApp()[8];
      await toService(page, 'library', 'en');
      await ready(page);
      await page.keyboard.type(p.user);
      await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.keyboard.press('Enter')]);
      await ready(page);
      await page.keyboard.type(p.password);
      await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.keyboard.press('Enter')]);
      await consent(page);
      await says(page, words.en.signedIn);
      await context.close();
    });
  });
}

test('people of the demo are there', () => {
  person((p) => p.totp_secret);
  assert.ok(demo.people.length >= 190);
});
