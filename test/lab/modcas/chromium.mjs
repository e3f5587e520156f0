// One person signs in to the application from home, in Chromium.
import assert from 'node:assert/strict';
import { code, network, open, press, primary, type } from '../../e2e/browser.mjs';

const { APP, WHO, PASSWORD, SECRET } = process.env;
const browser = await open('chrome');
try {
  const page = await browser.newPage();
  await network(page, 'home');
  await page.goto(APP, { waitUntil: 'load' });
  await type(page, 'input[name=username]:not([hidden])', WHO);
  await press(page, primary);
  await type(page, 'input[name=password]', PASSWORD);
  await press(page, primary);
  await type(page, 'input[name=code]', code(SECRET));
  await press(page, primary);
  assert.equal(page.url(), APP);
  assert.equal(await page.evaluate(() => document.body.innerText), 'secure');
} finally {
  await browser.close();
}
