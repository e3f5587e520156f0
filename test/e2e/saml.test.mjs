// Single logout of the service that speaks SAML: at the service, and at the gate.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { demo, look, network, open, press, primary, says, service, text, type } from './browser.mjs';

const words = {
  ja: { signedIn: 'サインインしました', left: '正門と、開いていたほかのサービスからも', told: '正門からサインアウトの知らせが届いた' },
  en: { signedIn: 'You are signed in', left: 'You are signed out: here, at the gate', told: 'The gate told us that you signed out' },
};

/** enter opens a service and answers whatever the gate asks. */
async function enter(page, name, tag, p) {
  await page.goto(`${service(name).url.replace(/\/$/, '')}/?lang=${tag}`, { waitUntil: 'load' });
  await press(page, '#signin');
  for (let n = 0; n < 8 && !page.url().startsWith(service(name).url); n++) {
    if (await page.$('input[name=username]:not([hidden])')) await type(page, 'input[name=username]:not([hidden])', p.user);
    else if (await page.$('input[name=password]')) await type(page, 'input[name=password]', p.password);
    if (await page.$(primary)) await press(page, primary).catch(() => {});
    await page.waitForFunction(() => document.readyState === 'complete').catch(() => {});
  }
  await says(page, words[tag].signedIn);
}

/** hears opens a service until it shows that it was told. */
async function hears(page, name, tag) {
  for (let n = 0; n < 50; n++) {
    await page.goto(service(name).url, { waitUntil: 'load' });
    if ((await text(page)).includes(words[tag].told)) return;
    await new Promise((r) => setTimeout(r, 200));
  }
  assert.fail(`${name} was not told: ${await text(page)}`);
}

for (const kind of ['chrome', 'firefox']) {
  describe(`${kind}: SAML sign-out`, () => {
    let browser;
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });
    for (const [n, tag] of ['ja', 'en'].entries()) {
      test(`at the service and at the gate (${tag})`, async () => {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await network(page, 'campus');
        const p = demo.people.filter((x) => x.kind === 'staff' && !x.trouble)[n];
        await enter(page, 'journals', tag, p);
        await enter(page, 'library', tag, p);
        await page.goto(service('journals').url, { waitUntil: 'load' });
        await press(page, '#signout');
        await says(page, words[tag].left);
        assert.ok(page.url().startsWith(service('journals').url), page.url());
        await look(page, `${kind}-${tag}-saml-1-left`);
        await hears(page, 'library', tag);
        await enter(page, 'journals', tag, p);
        await page.goto(`${demo.sso}/signout`, { waitUntil: 'load' });
        await press(page, primary);
        await hears(page, 'journals', tag);
        await look(page, `${kind}-${tag}-saml-2-told`);
        await context.close();
      });
    }
  });
}
