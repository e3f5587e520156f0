import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { answer, demo, goes, open, seimon, shots, text, titles, tool, typePIN, until, windows } from './browser.mjs';

for (const kind of ['chrome', 'firefox']) test('look '+kind, async () => {
  const browser = await open(kind);
  const page = await browser.newPage();
  await page.goto(demo.sso + '/demo/network/campus');
  await page.goto(demo.sso + '/portal?lang=en');
  await page.goto(page.url().replace(/\?.*/, '') + '?way=clientcert');
  console.log(page.url(), await text(page));
  console.log(await page.evaluate(() => [...document.querySelectorAll('form,button,a')].map((e) => e.outerHTML.slice(0, 200)).join('\n')));
  await goes(page, 'a.button.primary');
  await new Promise((r) => setTimeout(r, 3000));
  console.log(titles());
  tool('import', '-window', 'root', shots + '/root-'+kind+'.png');
  await typePIN(demo.cards[0].pin);
  await new Promise((r) => setTimeout(r, 2000));
  console.log(titles());
  console.log(page.url());
  tool('import', '-window', 'root', shots + '/root2-'+kind+'.png');
  tool('xdotool', 'key', 'Return');
  await new Promise((r) => setTimeout(r, 3000));
  console.log(page.url(), titles());
  console.log(await text(page));
  await page.screenshot({ path: shots + '/1.png', fullPage: true });
  await browser.close();
});
