// Certificates in real browsers: chosen, cancelled, wrong in every way, and chosen
// again without closing the browser. Each browser has a test file, people and a screen
// of its own, so that both run at once.
import { after, before, describe, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { code, demo, look, network, press, primary, says, service, text, type } from './browser.mjs';
import { choose, open } from './chooser.mjs';

const ready = demo.people.filter((p, i) => p.totp_secret && !p.trouble && p.kind === 'student' && i % 10 !== 3);

const words = {
  ja: {
    signedIn: 'サインインしました', none: '証明書が選ばれず、カードも見つかりませんでした。', other: 'ほかの人のアカウントのものです', expired: '期限が切れました',
    revoked: '失効しました', foreign: '受けつけていません', again: 'もう一度選ぶ', app: 'ワンタイムパスワードアプリを使う',
  },
  en: {
    signedIn: 'You are signed in', none: 'No certificate was chosen, and no card was seen.', other: "belongs to another person's account", expired: 'expired on',
    revoked: 'was revoked on', foreign: 'not accepted here', again: 'Choose again', app: 'Use the one-time password app',
  },
};

/** secondStep goes to a service from home up to the page that asks for a certificate. */
async function secondStep(page, who, tag) {
  await network(page, 'home');
  await page.goto(`${service('webmail').url}?lang=${tag}`, { waitUntil: 'load' });
  await press(page, '#signin');
  await type(page, 'input[name=username]:not([hidden])', who.user);
  await press(page, primary);
  await type(page, 'input[name=password]', who.password);
  await press(page, primary);
  await press(page, 'a[href*="way=clientcert"]');
}

/** through agrees to what the service is told, when it is asked, and arrives. */
async function through(page, tag) {
  if (await page.$('[name=attribute]')) await press(page, primary);
  await says(page, words[tag].signedIn);
}

/** walk is every test in one browser. */
export function walk(kind) {
  const [me, other, late] = ready.slice(kind === 'chrome' ? 20 : 23);
  let certs;

  describe(kind + ' with certificates', () => {
    before(() => {
      certs = JSON.parse(execFileSync(process.env.CERTS, [demo.config, `${process.env.WORK}/issued-${kind}`, me.user, other.user, late.user]));
    });
    let browser;
    let page;
    const stop = async () => { await browser?.close(); browser = undefined; };
    const start = async (names, options) => {
      await stop(); // one that a failed test left open
      browser = await open(kind, names.map((n) => certs[n].p12), options);
      page = (await browser.pages())[0] ?? await browser.newPage();
    };
    after(stop);

    for (const tls of ['1.2', '1.3']) {
      test(`chosen, TLS ${tls}`, async () => {
        await start(['good'], { tls });
        await secondStep(page, me, 'ja');
        await look(page, `${kind}-cert-1-ask`);
        await choose(page, 0);
        await through(page, 'ja');
        await says(page, /mfa/);
        await stop();
      });
    }

    test('cancelled, then chosen, in the same browser', async () => {
      await start(['good']);
      await secondStep(page, me, 'en');
      for (let i = 0; i < 2; i++) {
        await choose(page, 'cancel');
        await says(page, words.en.none, words.en.again, certs.good.name, certs.good.tail);
      }
      await look(page, `${kind}-cert-2-cancelled-en`);
      await choose(page, 0);
      await through(page, 'en');
      await stop();
    });

    test('no certificate in the browser; one click leads to the one-time password', async () => {
      await start([]);
      await secondStep(page, me, 'ja');
      await choose(page, 'nothing');
      await says(page, words.ja.none, words.ja.app);
      await look(page, `${kind}-cert-3-none-ja`);
      await press(page, 'a[href*="way=totp"]');
      await type(page, 'input[name=code]', code(me.totp_secret));
      await press(page, primary);
      await through(page, 'ja');
      await stop();
    });

    for (const [name, tag] of [['other', 'ja'], ['revoked', 'en'], ['foreign', 'ja'], ['expired', 'en']]) {
      test(`${name}: refused with its cause`, async () => {
        await start([name]);
        // Browsers do not offer what has expired; the page names it all the same.
        await secondStep(page, name === 'expired' ? late : me, tag);
        await choose(page, 0);
        await says(page, words[tag][name], words[tag].again, certs[name].name, /[0-9A-Z]{4}-[0-9A-Z]{4}/);
        await look(page, `${kind}-cert-4-${name}-${tag}`);
        await stop();
      });
    }

    test('a shared computer with the certificates of two people', async () => {
      await start(['good', 'other']);
      await secondStep(page, me, 'ja');
      const tried = [];
      for (const entry of [0, 1]) {
        await choose(page, entry);
        const said = await text(page);
        tried.push(said.includes(words.ja.other));
        if (!tried.at(-1)) break;
        await says(page, certs.other.tail, certs.good.tail);
      }
      await through(page, 'ja');
      await press(page, '#signout');
      // The next person at the same browser is asked afresh.
      await secondStep(page, other, 'ja');
      for (const entry of [0, 1]) {
        await choose(page, entry);
        if (!(await text(page)).includes(words.ja.other)) break;
        tried.push(true);
      }
      await through(page, 'ja');
      assert.equal(tried.filter(Boolean).length, 1, 'each list has one right entry, and one of the two came first');
      await stop();
    });

    test('before the user name', async () => {
      await start(['card']);
      await network(page, 'home');
      await page.goto(`${service('webmail').url}?lang=ja`, { waitUntil: 'load' });
      await press(page, '#signin');
      await press(page, 'a[href*="way=clientcert"]');
      await says(page, '利用の約束');
      await look(page, `${kind}-cert-5-agreement`);
      await page.click('[name=agree]');
      await press(page, primary);
      await look(page, `${kind}-cert-5-first`);
      await choose(page, 0);
      await through(page, 'ja');
      await says(page, /mfa/, /sc/);
      await stop();
    });
  });
}
