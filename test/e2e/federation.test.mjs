// Services of a federation and services that speak CAS, as a person meets them: what is
// told and agreed to, changed, taken back; signing out where not everybody can be told;
// and the calm pages when a service's own side is wrong. In both browsers and
// languages, with axe on every page, by keyboard and without script.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { deflateRawSync } from 'node:zlib';
import { demo, look, network, open, press, primary, says, service, sizes, text, type } from './browser.mjs';

const services = { ja: '論文サービス', en: 'Papers' };
const support = /[0-9A-Z]{4}-[0-9A-Z]{4}/;
const say = {
  ja: {
    signedIn: 'サインインしました', tells: '次の情報を送ります', needed: '必要', mine: '送ることに同意した情報', none: 'まだ同意したものはありません',
    unknown: 'ここに登録されていない', wrong: 'あなたのせいではありません', old: '長い間開いたままだった', partial: 'すべてのサービスからはサインアウトできていません',
    left: 'サインアウトしました', go: '進みますか', mfa: '強い確認', step: '二段階目', gone: '途中で終わりました', nameless: 'まだ大学に登録されていません', only: '使えるのは、次の人だけ',
  },
  en: {
    signedIn: 'You are signed in', tells: 'Information that will be sent', needed: 'Needed', mine: 'What I agreed to send', none: 'have not agreed',
    unknown: 'not registered here', wrong: 'This is not your fault', old: 'open for a long time', partial: 'not signed out everywhere',
    left: 'You are signed out', go: 'Go on to', mfa: 'stronger proof', step: 'second step', gone: 'ended before it was complete', nameless: 'does not have on record', only: 'only for',
  },
};

const students = demo.people.filter((p) => p.totp_secret && !p.trouble && !p.certificates && p.kind === 'student').slice(40);
const plain = demo.people.filter((p) => !p.totp_secret && !p.trouble && !p.certificates && p.kind === 'student').slice(0, 4);
const acs = 'https://lab.federation.example/acs';
const cas = 'https://lab.cas.example/app/';

const seimon = (input, ...args) => execFileSync(`${process.env.WORK}/seimon`, ['--config', demo.config, ...args], { input, stdio: ['pipe', 'pipe', 'inherit'] }).toString();

/** registered adds a service to the demo's gate. */
function registered(id, protocol, names, registration, release, consent = 'none') {
  seimon(JSON.stringify({ id, protocol, names, consent, release, registration }), 'party', 'import', '-', '--json');
}

before(() => {
  const consumers = { assertion_consumers: [{ location: acs, default: true }] };
  const mail = [{ attribute: 'mail' }];
  registered('https://past.federation.example/sp', 'saml', { ja: '去年の論文サービス', en: 'Last year’s papers' }, { ...consumers, valid_until: '2026-04-01T00:00:00Z' }, mail);
  registered('https://lab.federation.example/sp', 'saml', { ja: '論文サービス', en: 'Papers' }, consumers, mail);
  registered('https://mfa.federation.example/sp', 'saml', { ja: '研究データ', en: 'Research data' }, { ...consumers, default_contexts: ['https://refeds.org/profile/mfa'] }, mail);
  registered('lab-cas', 'cas', { ja: '図面の倉庫', en: 'Drawings' }, { addresses: [{ url: cas, match: 'prefix' }] }, [{ attribute: 'userName', required: true }]);
  registered('lab-orcid', 'cas', { ja: '論文の倉庫', en: 'Paper store' }, { addresses: [cas.replace('app', 'papers')], user: 'eduPersonOrcid' }, [{ attribute: 'eduPersonOrcid', required: true }]);
});

/** request is an AuthnRequest by Redirect, without a signature. */
function request(issuer, { consumer = acs, at = new Date() } = {}) {
  const xml = `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_${crypto.randomUUID()}" Version="2.0" IssueInstant="${at.toISOString().replace(/\.\d+/, '')}" Destination="${demo.sso}/saml/sso" AssertionConsumerServiceURL="${consumer}"><saml:Issuer>${issuer}</saml:Issuer></samlp:AuthnRequest>`;
  return `${demo.sso}/saml/sso?SAMLRequest=${encodeURIComponent(deflateRawSync(xml).toString('base64'))}`;
}

const entering = (address, more = '') => `${demo.sso}/cas/login?service=${encodeURIComponent(address)}${more}`;

async function signIn(page, who) {
  if (await page.$('input[name=username]:not([hidden])')) {
    await type(page, 'input[name=username]:not([hidden])', who.user);
    await press(page, primary);
  }
  await type(page, 'input[name=password]', who.password);
  await press(page, primary);
  if (await page.$('[name=agree]')) { // asked once of everybody
    await page.click('[name=agree]');
    await press(page, primary);
  }
}

/** arrived waits until a page that sends itself has led to the service. */
async function arrived(page, words) {
  for (let i = 0; i < 100 && !(await page.$('#signout').catch(() => null)); i++) await new Promise((r) => setTimeout(r, 100));
  await says(page, words.signedIn);
}

for (const [kind, tag, nth] of [['chrome', 'ja', 0], ['chrome', 'en', 1], ['firefox', 'ja', 2], ['firefox', 'en', 3]]) {
  describe(`${kind}, ${tag}: the federation and CAS`, () => {
    const words = say[tag];
    const name = `fed-${kind}-${tag}`;
    let browser;
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });

    async function visit(size, where, run) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.setViewport(sizes[size]);
      await network(page, where);
      await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
      await run(page);
      await context.close();
    }

    /** seen looks at a page on a phone and at a desk; Firefox at one for each language. */
    async function seen(page, what) {
      for (const size of { 'chrome ja': ['desk', 'phone'], 'chrome en': ['phone', 'desk'], 'firefox ja': ['phone'], 'firefox en': ['desk'] }[`${kind} ${tag}`]) {
        await page.setViewport(sizes[size]);
        await look(page, `${name}-${what}-${size}`);
      }
    }

    test('what a SAML service is told: agreed to, listed, taken back, asked again', () => visit('phone', 'campus', async (page) => {
      const journals = service('journals').url;
      await page.goto(`${journals}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signin');
      await signIn(page, students[nth]);
      await says(page, words.tells, words.needed);
      assert.ok(await page.$('input[type=checkbox][name=attribute]'), 'nothing can be ticked');
      await seen(page, 'consent');
      await page.$$eval('input[type=checkbox][name=attribute]', (all) => all.forEach((e) => { e.checked = e.value === 'displayName;ja'; }));
      await press(page, primary);
      await arrived(page, words);
      await says(page, '正門大学');
      assert.ok(!(await text(page)).includes(`${students[nth].user}@`), 'an address without a tick was told');
      await seen(page, 'journals');

      await page.goto(`${demo.sso}/portal/consents`, { waitUntil: 'load' });
      await says(page, words.mine);
      await seen(page, 'consents');
      await press(page, 'form[action$="/withdraw"] button');
      await says(page, words.none);
      await seen(page, 'consents-none');
      await page.goto(`${journals}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signout');
      await page.goto(`${journals}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signin');
      if (await page.$('input[name=username], input[name=password]')) await signIn(page, students[nth]);
      await says(page, words.tells);
      await press(page, primary);
      await arrived(page, words);

      // A service that takes no sign-outs cannot be told of the end; the page says so. Its
      // own host does not answer here, so the browser goes on from an error.
      await page.goto(request('https://lab.federation.example/sp'), { waitUntil: 'load' }).catch(() => null);
      await new Promise((r) => setTimeout(r, 500));
      await page.goto(`${demo.sso}/signout`, { waitUntil: 'load' });
      await says(page, services[tag]);
      await seen(page, 'signout');
      await press(page, primary);
      for (let i = 0; i < 50 && !(await text(page).catch(() => '')).includes(words.partial); i++) await new Promise((r) => setTimeout(r, 200));
      await says(page, words.partial, services[tag]);
      await seen(page, 'signedout');
    }));

    test('a CAS service', () => visit('desk', 'campus', async (page) => {
      const courses = service('courses').url;
      await page.goto(`${courses}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signin');
      await signIn(page, students[nth + 4]);
      if (await page.$('.items')) {
        await seen(page, 'courses-inform');
        await press(page, primary);
      }
      await arrived(page, words);
      await says(page, students[nth + 4].user);
      await seen(page, 'courses');
      // Asked before a live session goes on; by keyboard alone.
      await page.goto(entering(cas, '&warn=true'), { waitUntil: 'load' });
      await says(page, words.go, students[nth + 4].user);
      await seen(page, 'warn');
      await page.focus('#go');
      assert.ok((await page.$eval('#go', (e) => e.href)).startsWith(demo.sso + '/cas/login?service='));
      // Somebody whom the service has no name for.
      await page.goto(entering(cas.replace('app', 'papers')), { waitUntil: 'load' });
      await says(page, words.nameless, support);
      await seen(page, 'nameless');
      await page.goto(`${demo.sso}/cas/logout?service=${encodeURIComponent('https://evil.example/')}`, { waitUntil: 'load' });
      await press(page, primary);
      await says(page, words.left);
      assert.ok(page.url().startsWith(demo.sso), page.url());
      await seen(page, 'cas-signedout');
      // Going back ends on a page, for CAS knows no other way.
      await page.goto(entering(cas), { waitUntil: 'load' });
      await press(page, 'button[value=cancel]');
      await says(page, words.gone, support);
      await seen(page, 'cas-none');
    }));

    test('a service that asks for more than one has', () => visit('phone', 'eduroam', async (page) => {
      await page.goto(request('https://mfa.federation.example/sp'), { waitUntil: 'load' });
      await signIn(page, plain[nth]);
      await says(page, words.step, support);
      await seen(page, 'r1');
      await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
      await network(page, 'campus');
      await page.goto(`${service('payroll').url}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signin');
      await signIn(page, plain[nth]);
      await says(page, words.only, support);
      await seen(page, 'r2');
    }));

    test('services whose own side is wrong get a calm page', () => visit('phone', 'home', async (page) => {
      const hour = 3600e3;
      for (const [what, address, wanted] of [
        ['saml-unknown', request('https://nobody.example/sp'), words.unknown],
        ['saml-acs', request('https://lab.federation.example/sp', { consumer: 'https://evil.example/acs' }), words.wrong],
        ['saml-unsigned', request(service('journals').client_id, { consumer: service('journals').redirect_uri }), words.wrong],
        ['saml-expired', request('https://past.federation.example/sp'), words.wrong],
        ['saml-ahead', request('https://lab.federation.example/sp', { at: new Date(Date.now() + hour) }), words.wrong],
        ['saml-behind', request('https://lab.federation.example/sp', { at: new Date(Date.now() - hour) }), words.old],
        ['cas-unknown', entering('https://nobody.example/'), words.unknown],
        ['cas-method', entering(cas, '&method=HEADER'), words.wrong],
      ]) {
        const answer = await page.goto(address, { waitUntil: 'load' });
        assert.ok(answer.status() >= 400 && answer.status() < 500, `${what}: ${answer.status()}`);
        assert.ok(page.url().startsWith(demo.sso), page.url());
        await says(page, wanted, support);
        await seen(page, what);
        const code = (await text(page)).match(support)[0];
        const told = seimon('', 'explain', code);
        assert.match(told, /R3|B3/, `${what}: ${told}`);
      }
    }));

    if (kind === 'chrome') test('without script a button sends the answer on', () => visit('phone', 'campus', async (page) => {
      await page.setJavaScriptEnabled(false);
      await page.goto(`${service('journals').url}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signin');
      await signIn(page, students[nth + 12]);
      if (await page.$('.items')) await press(page, primary);
      await page.screenshot({ path: `shots/${name}-noscript-saml.png`, fullPage: true });
      await press(page, '#response button');
      await says(page, words.signedIn);
      await page.goto(entering(service('courses').redirect_uri, '&method=POST'), { waitUntil: 'load' });
      if (await page.$('.items')) await press(page, primary);
      await page.screenshot({ path: `shots/${name}-noscript-cas.png`, fullPage: true });
      assert.ok(await page.$('#response input[name=ticket]'), 'no form with a ticket at ' + page.url());
    }));

    test('by keyboard alone', () => visit('desk', 'campus', async (page) => {
      const enter = () => Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.keyboard.press('Enter')]);
      const at = () => page.evaluate(() => ({ tag: document.activeElement?.tagName, type: document.activeElement?.type, primary: document.activeElement?.classList.contains('primary') }));
      const tabTo = async (wanted) => {
        for (let i = 0; i < 40; i++) {
          if (wanted(await at())) return;
          await page.keyboard.press('Tab');
        }
        assert.fail('the keyboard does not reach it at ' + page.url());
      };
      const field = (a) => a.tag === 'INPUT' && a.type !== 'checkbox' && a.type !== 'hidden';
      await page.goto(`${service('journals').url}?lang=${tag}`, { waitUntil: 'load' });
      await press(page, '#signin');
      await tabTo(field);
      await page.keyboard.type(students[nth + 16].user);
      await enter();
      await tabTo(field);
      await page.keyboard.type(students[nth + 16].password);
      await enter();
      await tabTo((a) => a.type === 'checkbox');
      await page.keyboard.press(' ');
      await tabTo((a) => a.primary);
      await enter();
      await arrived(page, words);
      await page.goto(`${demo.sso}/portal/consents`, { waitUntil: 'load' });
      await tabTo((a) => a.tag === 'BUTTON');
      await enter();
      await says(page, words.none);
    }));
  });
}
