// One person at the application in Chromium: a password on campus, one more step when
// the session comes home, and a sign-out at the gate that reaches the application.
import assert from 'node:assert/strict';
import { code, demo, network, open, press, primary, put, says, type } from '../../e2e/browser.mjs';

const { APP, SAYS, WHO, PASSWORD, SECRET } = process.env;
const browser = await open('chrome');
try {
  const page = await browser.newPage();
  await network(page, 'campus');
  await page.goto(demo.sso + '/portal', { waitUntil: 'load' });
  await type(page, 'input[name=username]:not([hidden])', WHO);
  await press(page, primary);
  await type(page, 'input[name=password]', PASSWORD);
  await press(page, primary);
  if (await page.$('[name=agree]')) { // asked once of everybody
    await page.click('[name=agree]');
    await press(page, primary);
  }
  await says(page, WHO);
  await network(page, 'home');
  await page.goto(APP, { waitUntil: 'load' });
  assert.equal(await page.$('input[name=password]'), null, 'what was proved on campus is asked again');
  await put(page, 'input[name=code]', code(SECRET));
  await press(page, primary);
  await says(page, SAYS);
  assert.equal(page.url(), APP);

  await page.goto(demo.sso + '/signout', { waitUntil: 'load' });
  await press(page, primary);
  let gone = false;
  for (const end = Date.now() + 60000; !gone && Date.now() < end;) {
    await page.goto(APP, { waitUntil: 'load' });
    gone = page.url().startsWith(demo.sso) && await page.$('input[name=username]') !== null;
    if (!gone) await new Promise((r) => setTimeout(r, 200));
  }
  assert.ok(gone, 'the application still knows the session: ' + page.url());
} finally {
  await browser.close();
}
