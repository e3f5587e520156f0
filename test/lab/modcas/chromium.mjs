// One person signs in to the application from home, in Chromium.
import assert from 'node:assert/strict';
import { code, network, open, press, primary, says, type } from '../../e2e/browser.mjs';

const { APP, SAYS, WHO, PASSWORD, SECRET } = process.env;
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
  if (await page.$('[name=agree]')) { // asked once of everybody
    await page.click('[name=agree]');
    await press(page, primary);
  }
  await says(page, SAYS);
  assert.equal(page.url(), APP);
} finally {
  await browser.close();
}
