// People in Chromium for the SAML peer: reads one journey a line, walks it in a browser
// of its own, and writes a line with what was seen at the end.
import { createInterface } from 'node:readline';
import { code, network, open, press, put, type } from '../../e2e/browser.mjs';
import { readFileSync } from 'node:fs';

const lab = JSON.parse(readFileSync(process.env.LAB, 'utf8'));
const browser = await open('chrome');
const people = new Map(); // pages by the name of the browser

async function page(journey) {
  if (!people.has(journey.browser)) {
    const context = await browser.createBrowserContext();
    const fresh = await context.newPage();
    await network(fresh, journey.network);
    people.set(journey.browser, fresh);
  }
  return people.get(journey.browser);
}

/** settled waits until no form is about to send itself and the page has come to rest. */
async function settled(p) {
  for (const end = Date.now() + 30000; Date.now() < end;) {
    const busy = await p.evaluate(() => document.readyState !== 'complete' || Boolean(document.querySelector('form[data-auto], form[id^=SAML], a.primary[href*="SAMLRequest="]'))
      || /\/login\/\w+$/.test(location.pathname) && !document.querySelector('form, h1')).catch(() => true);
    if (!busy) return;
    await new Promise((r) => setTimeout(r, 100));
  }
}

async function walk(j) {
  const p = await page(j);
  const asked = [];
  await p.goto(j.url, { waitUntil: 'load' });
  for (let n = 0; n < 10; n++) {
    await settled(p);
    if (j.look) break;
    if (!p.url().startsWith(lab.sso + '/login/')) break;
    const kind = await p.evaluate(() => document.querySelector('form.step input[name=kind]')?.value
      ?? (document.querySelector('input[name=agree]') ? 'agree' : document.querySelector('input[name=username]') ? 'username' : 'end'));
    if (kind === 'totp' && !j.totp) break;
    asked.push(kind);
    if (kind === 'end') break;
    if (kind === 'username') await type(p, 'input[name=username]', j.user);
    else if (kind === 'password') await type(p, 'input[name=password]', j.password);
    else if (kind === 'totp') await put(p, 'input[name=code]', code(j.totp));
    else if (kind === 'agree') await p.click('input[name=agree]');
    await settled(p);
    if (p.url().startsWith(lab.sso + '/login/') && await p.$('form.step button.primary')) {
      await press(p, 'form.step button.primary');
    }
  }
  for (const selector of j.press ?? []) {
    await press(p, selector);
    await settled(p);
  }
  return { asked, url: p.url(), text: await p.evaluate(() => document.body?.innerText ?? '') };
}

for await (const line of createInterface({ input: process.stdin })) {
  const j = JSON.parse(line);
  try {
    console.log(JSON.stringify(await walk(j)));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e.message ?? e), url: (await page(j)).url() }));
  }
}
await browser.close();
