// A person's certificates, in both browsers: the key is made in the browser, the file
// it packs is opened by NSS and OpenSSL, the certificate is renewed and revoked, a
// request of one's own is sent without script. Nothing that is sent holds a key.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { code, demo, downloads, look, network, open, press, primary, put, says, sizes, text, type } from './browser.mjs';

const say = {
  ja: { mine: '自分の証明書', past: '使わなくなった証明書', ready: '証明書ができました', valid: '有効', revoked: '証明書を失効させました', issued: '証明書を発行しました', gone: '失効', proof: 'クライアント証明書', cut: '始めたセッションを終わらせました', list: /失効リスト（番号 \d+）/ },
  en: { mine: 'My certificates', past: 'No longer in use', ready: 'The certificate is ready', valid: 'Valid', revoked: 'The certificate was revoked', issued: 'The certificate was issued', gone: 'Revoked', proof: 'Certificate or IC card', cut: 'A session that rested on this certificate was ended', list: /revocation list number \d+/ },
};
const people = demo.people.filter((p) => !p.totp_secret && !p.trouble && !p.certificates && p.kind === 'student').slice(30);

async function signIn(page, who) {
  if (await page.$('input[name=username]:not([hidden])')) {
    await type(page, 'input[name=username]:not([hidden])', who.user);
    await press(page, primary);
  }
  await type(page, 'input[name=password]', who.password);
  await press(page, primary);
}

/** downloaded waits for a download into a folder and gives its bytes. */
async function downloaded(dir, ending) {
  for (let i = 0; i < 100; i++) {
    const name = existsSync(dir) && readdirSync(dir).find((n) => n.endsWith(ending));
    const bytes = name ? readFileSync(`${dir}/${name}`) : Buffer.alloc(0);
    // The file is there before its content; DER says how long it is to be.
    if (bytes.length > 4 && bytes.length === 4 + bytes.readUInt16BE(2)) return bytes;
    await new Promise((r) => setTimeout(r, 100));
  }
  assert.fail(`nothing that ends in ${ending} was saved`);
}

function openFile(file, passphrase, work, legacy) {
  const p12 = `${work}/file.p12`;
  writeFileSync(p12, file);
  const options = { stdio: ['ignore', 'pipe', 'pipe'] };
  const pem = execFileSync('openssl', ['pkcs12', '-in', p12, '-passin', 'pass:' + passphrase, '-nodes', ...(legacy ? ['-legacy'] : [])], options).toString();
  const key = createPrivateKey(pem.match(/-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/)[0]);
  const leaf = new X509Certificate(pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/)[0]);
  assert.ok(leaf.checkPrivateKey(key), 'the key is not that of the certificate');
  const db = `${work}/nss`;
  if (!existsSync(db)) {
    mkdirSync(db);
    execFileSync('certutil', ['-N', '-d', 'sql:' + db, '--empty-password'], options);
  }
  execFileSync('pk12util', ['-i', p12, '-d', 'sql:' + db, '-W', passphrase], options);
  const listed = execFileSync('certutil', ['-K', '-d', 'sql:' + db], options).toString();
  assert.ok(listed.includes(leaf.subject.match(/CN=(.*)/)[1]), 'NSS does not list the key: ' + listed);
  return { leaf, key };
}

/** kept are the files that are still good when the browser that made them is gone. */
const kept = new Map();

for (const [kind, tag, nth] of [['chrome', 'ja', 0], ['chrome', 'en', 1], ['firefox', 'ja', 2], ['firefox', 'en', 3]]) {
  describe(`${kind}, ${tag}`, () => {
    let browser;
    const who = people[nth];
    const work = `${process.env.WORK}/cert-${kind}-${tag}`;
    mkdirSync(work, { recursive: true });
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });

    async function visit(size, run) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.setViewport(size);
      await network(page, 'campus');
      await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
      await run(page);
      await context.close();
    }

    test('made in the browser, opened by NSS and OpenSSL, revoked', () => visit(sizes.phone, async (page) => {
      const sent = [];
      if (kind === 'chrome') page.on('request', (r) => { if (r.method() === 'POST') sent.push(r.url() + '\n' + (r.postData() ?? '')); });
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await signIn(page, who);
      await says(page, say[tag].mine);
      await look(page, `${kind}-${tag}-cert-none`);
      await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
      await type(page, '#label-browser', 'laptop 2026');
      await look(page, `${kind}-${tag}-cert-new`);

      const serials = [];
      for (const [system, form, ending] of [['linux', 'modern', ''], ['ios', 'compatible', ' phone']]) {
        await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
        await type(page, '#label-browser', 'laptop 2026' + ending);
        await page.select('#system', system);
        assert.ok(await page.$eval(`input[name=form][value=${form}]`, (e) => e.checked), 'the form for ' + system);
        const passphrase = await page.$eval('#passphrase', (e) => e.value);
        assert.ok(passphrase.replace(/-/g, '').length >= (form === 'modern' ? 15 : 25), passphrase);
        assert.ok(await page.$eval('#grade', (e) => e.value) >= 3, 'the bar of its strength');
        if (kind === 'firefox') { // what it sends is not told to tests: the page notes it
          await page.evaluate(() => {
            const real = globalThis.fetch;
            globalThis.sent = [];
            globalThis.fetch = (to, init) => { globalThis.sent.push(`${to}\n${init?.body ?? ''}`); return real(to, init); };
          });
        }
        await page.click('#cert button.primary');
        await page.waitForSelector('#ready:not([hidden])', { timeout: 30000 });
        await says(page, say[tag].ready, passphrase);
        await look(page, `${kind}-${tag}-cert-ready-${form}`);
        // Apple's systems read only the compatible form: no profile for them holds another.
        assert.equal(await page.$eval('#save-apple', (e) => e.hidden), form === 'modern', 'the profile for Apple with the form ' + form);
        if (kind === 'firefox') sent.push(...await page.evaluate(() => globalThis.sent));
        const dir = kind === 'firefox' ? downloads(browser) : `${work}/down-${form}`;
        if (kind === 'chrome') {
          const client = await page.createCDPSession();
          await client.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: dir, browserContextId: page.browserContext().id });
        }
        await page.click('#save');
        const name = await page.$eval('#save', (a) => a.download);
        const { leaf, key } = openFile(await downloaded(dir, name), passphrase, work, form === 'compatible');
        serials.push(leaf.serialNumber);
        secret(sent, key, passphrase);
        if (form === 'modern') {
          kept.set(kind + tag, { file: `${work}/laptop.p12`, passphrase });
          writeFileSync(`${work}/laptop.p12`, readFileSync(`${work}/file.p12`));
        }
        page.once('dialog', (d) => d.accept());
      }
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await says(page, 'laptop 2026', 'laptop 2026 phone', say[tag].valid);
      await look(page, `${kind}-${tag}-cert-list`);
      await press(page, '.cards h3 a');
      await look(page, `${kind}-${tag}-cert-one`);
      await press(page, 'a.button.danger');
      await look(page, `${kind}-${tag}-cert-revoke`);
      await page.click('input[value=lost]');
      await press(page, 'button.danger');
      await says(page, say[tag].revoked);
      // The time line grows by itself; nothing is loaded anew under whoever reads it.
      await page.evaluate(() => { window.stands = true; document.querySelector('main a').focus(); window.focused = document.activeElement; });
      for (const revoked = Date.now(); !say[tag].list.test(await text(page)); await new Promise((r) => setTimeout(r, 200))) {
        assert.ok(Date.now() - revoked < 15000, 'the time line did not grow:\n' + await text(page));
      }
      await page.waitForFunction(() => document.querySelector('#what-happened').dataset.renew === '' && document.querySelector('[data-open]').hidden);
      assert.ok(await page.evaluate(() => window.stands && window.focused === document.activeElement), 'the page was loaded anew or the focus moved');
      await look(page, `${kind}-${tag}-cert-revoked`);
      await page.goto(`${demo.sso}/portal/certificates/log`, { waitUntil: 'load' });
      await look(page, `${kind}-${tag}-cert-log`);
      for (const s of serials) await says(page, `${s.slice(-4, -2)}:${s.slice(-2)}`);
    }));

    if (kind === 'chrome') test('an answer that is lost is asked for again, and makes no second certificate', () => visit(sizes.phone, async (page) => {
      await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
      await signIn(page, who);
      await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
      await type(page, '#label-browser', 'far away');
      await page.setRequestInterception(true);
      let lost = 0;
      page.on('request', (r) => (r.url().endsWith('/order') && lost++ === 0 ? r.abort('failed') : r.continue()));
      await page.click('#cert button.primary');
      await page.waitForSelector('#failed:not([hidden])', { timeout: 30000 });
      await look(page, `${kind}-${tag}-cert-failed`);
      assert.ok(await page.evaluate(() => document.activeElement.id === 'retry'), 'the focus is not on the next step');
      await page.keyboard.press('Enter');
      assert.equal(await page.$eval('#label-browser', (e) => e.value), 'far away');
      assert.equal(await page.$('#cert [aria-busy]'), null, 'the button looks busy');
      await page.click('#cert button.primary');
      await page.waitForSelector('#ready:not([hidden])', { timeout: 30000 });
      page.once('dialog', (d) => d.accept());
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      assert.equal((await page.$$eval('.cards h3 a', (all) => all.map((a) => a.textContent))).filter((l) => l === 'far away').length, 1);
    }));

    // Chromium asks in a window that no test can reach; the lab answers it there.
    if (kind === 'firefox') test('from home, in a browser that has the file', async () => {
      const other = await open(kind, { 'security.default_personal_cert': 'Select Automatically' }, [kept.get(kind + tag)]);
      try {
        const page = await other.newPage();
        await network(page, 'home');
        await page.goto(`${demo.sso}/help?lang=${tag}`, { waitUntil: 'load' });
        await page.goto(`${demo.sso}/portal/sessions`, { waitUntil: 'load' });
        await signIn(page, who);
        await look(page, `${kind}-${tag}-cert-step`);
        await press(page, 'a.primary, button.primary');
        for (let i = 0; i < 50 && !page.url().includes('/portal/sessions'); i++) await new Promise((r) => setTimeout(r, 200));
        await says(page, say[tag].proof);
        await visit(sizes.phone, async (desk) => {
          await desk.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
          await signIn(desk, who);
          const links = await desk.$$eval('.cards h3 a', (all) => all.filter((a) => a.textContent === 'laptop 2026').map((a) => a.href));
          await desk.goto(links[0] + '/revoke', { waitUntil: 'load' });
          if (await desk.$('input[name=password]')) await signIn(desk, who);
          await desk.click('input[value=lost]');
          await press(desk, 'button.danger');
          const revoked = Date.now();
          await page.goto(`${demo.sso}/portal/sessions`, { waitUntil: 'load' });
          assert.ok(page.url().includes('/login/'), 'the session lives on: ' + page.url());
          for (let told = ''; !say[tag].list.test(told); told = await text(desk)) {
            assert.ok(Date.now() - revoked < 5000, 'five seconds later the record says:\n' + told);
            await desk.reload({ waitUntil: 'load' });
          }
          await says(desk, say[tag].cut);
          await look(desk, `${kind}-${tag}-cert-cut`);
        });
      } finally {
        await other.close();
      }
    });

    test('a request of one’s own, without script', () => visit(sizes.desk, async (page) => {
      // Firefox cannot be told to do without script here; there the same form is unfolded.
      if (kind === 'chrome') await page.setJavaScriptEnabled(false);
      await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
      await signIn(page, who);
      await page.goto(`${demo.sso}/portal/certificates/new`, { waitUntil: 'load' });
      if (kind === 'firefox') await page.click('#plain summary');
      const csr = `${work}/own.csr`;
      execFileSync('openssl', ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${work}/own.key`, '-out', csr, '-subj', '/CN=anything'], { stdio: 'ignore' });
      await type(page, '#label-plain', 'lab PC');
      await put(page, '#request', readFileSync(csr, 'utf8'));
      await press(page, '#plain button[type=submit]');
      await says(page, say[tag].issued, 'lab PC');
      const pem = await page.$eval('a[href$="/file/pem"]', (a) => a.getAttribute('href'));
      const cookies = (await page.cookies()).map((c) => `${c.name}=${c.value}`).join('; ');
      const got = execFileSync('curl', ['-s', '--cacert', demo.ca_file, '-b', cookies, demo.sso + pem]).toString();
      const leaf = new X509Certificate(got);
      assert.equal(createPublicKey(readFileSync(`${work}/own.key`)).export({ type: 'spki', format: 'pem' }), leaf.publicKey.export({ type: 'spki', format: 'pem' }));
    }));

    // One person of the demo has a certificate that ends soon; it is renewed once.
    if (nth === 0) test('one that ends soon is renewed', () => visit(sizes.phone, async (page) => {
      const holder = demo.people.find((p) => p.certificates?.length > 1);
      await page.goto(`${demo.sso}/portal`, { waitUntil: 'load' });
      await signIn(page, holder);
      await look(page, `${kind}-${tag}-cert-todo`);
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await look(page, `${kind}-${tag}-cert-soon`);
      await press(page, 'a.button.primary');
      if (await page.$('input[name=password]')) await signIn(page, holder);
      if (await page.$('input[name=code]')) {
        await page.evaluate(() => document.querySelector('input[name=code]').removeAttribute('data-code'));
        await page.$eval('input[name=code]', (e, c) => { e.value = c; }, code(holder.totp_secret));
        await press(page, primary);
      }
      assert.equal(await page.$eval('#label-browser', (e) => e.value), 'old phone');
      await look(page, `${kind}-${tag}-cert-renew`);
      await page.click('#cert button.primary');
      await page.waitForSelector('#ready:not([hidden])', { timeout: 30000 });
      page.once('dialog', (d) => d.accept());
      await page.goto(`${demo.sso}/portal/certificates`, { waitUntil: 'load' });
      await says(page, say[tag].past);
      assert.equal(await page.$('a.button.primary'), null, 'it is offered again');
    }));

    test('guides for every system', () => visit(nth % 2 ? sizes.desk : sizes.phone, async (page) => {
      await page.goto(`${demo.sso}/help/certificates`, { waitUntil: 'load' });
      assert.ok(page.url().endsWith(kind === 'chrome' ? '/linux' : '/firefox'), page.url());
      for (const system of ['windows', 'macos', 'ios', 'android', 'linux', 'chrome', 'firefox', 'thunderbird']) {
        await page.goto(`${demo.sso}/help/certificates/${system}`, { waitUntil: 'load' });
        await look(page, `${kind}-${tag}-cert-guide-${system}`);
      }
    }));
  });
}


/** secret checks that neither key nor passphrase was in anything sent. */
function secret(sent, key, passphrase) {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const jwk = key.export({ format: 'jwk' });
  const bare = Buffer.from(jwk.d, 'base64url');
  const all = sent.map((s) => decodeURIComponent(s.replace(/\+/g, ' '))).join('\n');
  for (const form of [passphrase, der.toString('base64'), bare.toString('base64'), bare.toString('hex'), jwk.d]) {
    assert.ok(!all.includes(form) && !sent.join('\n').includes(form), 'a secret was sent');
  }
  assert.ok(all.includes('BEGIN CERTIFICATE REQUEST'), 'no request was sent');
}
