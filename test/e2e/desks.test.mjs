// What a person changes at the desks: an app is added, named, removed and put back;
// an address is verified by mail; a forgotten password and a letter lead on to the
// sign-in. In both browsers, with axe on every page that a walk does not pass otherwise.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { code, demo, look, network, open, press, primary, says, sizes, text, type } from './browser.mjs';

const say = {
  ja: { added: '新しい方法が使えるようになりました', removed: '削除しました', back: '元に戻しました', verified: 'アドレスを確認しました', renewed: '新しいパスワードを設定しました', ready: 'アカウントが使えるようになりました', home: 'マイページ', sent: '問い合わせを送りました' },
  en: { added: 'The new method is ready', removed: 'It was removed', back: 'It is back in use', verified: 'The address is verified', renewed: 'The new password is set', ready: 'Your account is ready', home: 'My page', sent: 'Your inquiry was sent' },
};

const plain = () => demo.people.filter((p) => !p.totp_secret && !p.trouble && p.kind === 'student').slice(20);
const letters = () => demo.people.filter((p) => p.activation_code);

async function signIn(page, user, password) {
  if (await page.$('input[name=username]:not([hidden])')) {
    await type(page, 'input[name=username]:not([hidden])', user);
    await press(page, primary);
  }
  await type(page, 'input[name=password]', password);
  await press(page, primary);
}

/** mail waits for the newest mail to an address and gives its text. */
async function mail(page, to, wanted) {
  for (let i = 0; i < 50; i++) {
    await page.goto(`${demo.mailbox}?to=${encodeURIComponent(to)}`, { waitUntil: 'load' });
    const first = await page.$('.cards a');
    if (first) {
      await press(page, '.cards a');
      const found = (await text(page)).match(wanted);
      if (found) return found[0];
    }
    await new Promise((r) => setTimeout(r, 200));
  }
  assert.fail(`no mail to ${to} says ${wanted}`);
}

for (const [kind, tag, nth] of [['chrome', 'ja', 0], ['chrome', 'en', 1], ['firefox', 'ja', 2]]) {
  describe(`${kind}, ${tag}`, () => {
    let browser;
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });

    async function visit(run) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.setViewport(sizes.phone);
      await network(page, 'campus');
      await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
      await run(page);
      await context.close();
    }

    test('an app is added, removed and put back', () => visit(async (page) => {
      const p = plain()[nth];
      await page.goto(`${demo.sso}/portal`, { waitUntil: 'load' });
      await signIn(page, p.user, p.password);
      await says(page, say[tag].home);
      await page.goto(`${demo.sso}/portal/add/totp`, { waitUntil: 'load' });
      await look(page, `${kind}-${tag}-desk-add`);
      const key = await page.$eval('code.keygroups', (e) => e.textContent.replace(/\s/g, ''));
      await page.$eval('input[name=label]', (e) => { e.value = ''; });
      await type(page, 'input[name=label]', 'Pixel <9> & co');
      await page.evaluate(() => { document.querySelector('input[name=code]').removeAttribute('data-code'); });
      await page.$eval('input[name=code]', (e, c) => { e.value = c; }, code(key));
      await press(page, primary);
      await says(page, say[tag].added, 'Pixel <9> & co');
      await look(page, `${kind}-${tag}-desk-added`);
      const remove = await page.$eval('a.danger', (e) => e.getAttribute('href'));
      await page.goto(demo.sso + remove, { waitUntil: 'load' });
      assert.ok(page.url().endsWith(remove), 'what was just proved is asked again: ' + page.url());
      await look(page, `${kind}-${tag}-desk-removal`);
      await page.click('input[value=unused]');
      await page.click('#understood');
      await press(page, 'button.danger');
      await says(page, say[tag].removed);
      await press(page, 'form[action$="/restore"] button');
      await says(page, say[tag].back, 'Pixel <9> & co');
    }));

    test('a forgotten password is replaced by a link to a verified address', () => visit(async (page) => {
      const p = plain()[nth + 3];
      const address = `${p.user}@private.example`;
      await page.goto(`${demo.sso}/portal/mail/recovery`, { waitUntil: 'load' });
      await signIn(page, p.user, p.password);
      await type(page, '#address', address);
      await press(page, 'button[value=send]');
      await look(page, `${kind}-${tag}-desk-waiting`);
      const digits = await mail(page, address, /\d{4} \d{4}/);
      await page.goto(`${demo.sso}/portal/mail/recovery`, { waitUntil: 'load' });
      await page.$eval('input[name=code]', (e, c) => { e.value = c; }, digits);
      await press(page, 'button[value=check]');
      await says(page, say[tag].verified, address);
      await page.goto(`${demo.sso}/reset`, { waitUntil: 'load' });
      await type(page, 'input[name=username]', p.user);
      await press(page, primary);
      await look(page, `${kind}-${tag}-desk-sent`);
      const link = await mail(page, address, /https:\/\/\S+\/reset\/\S+/);
      await page.goto(link, { waitUntil: 'load' });
      await look(page, `${kind}-${tag}-desk-renew`);
      await type(page, '#new', 'mizuumi-to-yama-no-asa-7');
      await type(page, '#repeat', 'mizuumi-to-yama-no-asa-7');
      await press(page, primary);
      await says(page, say[tag].renewed);
      await press(page, primary);
      await signIn(page, p.user, 'mizuumi-to-yama-no-asa-7');
      await says(page, say[tag].home);
      const answer = await page.goto(link, { waitUntil: 'load' });
      assert.equal(answer.status(), 410, 'the link works a second time');
      await look(page, `${kind}-${tag}-desk-gone`);
    }));

    test('a letter activates an account', () => visit(async (page) => {
      const p = letters()[nth % letters().length];
      await page.goto(`${demo.sso}/activate`, { waitUntil: 'load' });
      await type(page, '#code', p.activation_code.toLowerCase());
      await press(page, primary);
      if (nth >= letters().length) {
        await look(page, `${kind}-${tag}-desk-letter-used`);
        return;
      }
      await look(page, `${kind}-${tag}-desk-letter`);
      await type(page, '#new', 'mizuumi-to-yama-no-asa-7');
      await type(page, '#repeat', 'mizuumi-to-yama-no-asa-7');
      await press(page, primary);
      await says(page, say[tag].ready, p.user);
      await press(page, primary);
      await signIn(page, p.user, 'mizuumi-to-yama-no-asa-7');
      await says(page, p.user);
    }));

    test('an inquiry carries its case along', () => visit(async (page) => {
      await page.goto(`${demo.sso}/help/inquiry?code=7KQ2-MHXD`, { waitUntil: 'load' });
      await type(page, '#reply', 'somebody@private.example');
      await type(page, '#message', 'The code is not accepted.');
      await press(page, primary);
      await says(page, say[tag].sent, '7KQ2-MHXD');
      await look(page, `${kind}-${tag}-desk-inquired`);
    }));
  });
}
