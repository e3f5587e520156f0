// The demo's own pages and services: every page in both browsers and languages, on a
// phone and at a desk, with a screen reader's eyes (axe).
import { after, before, describe, test } from 'node:test';
import { demo, look, open, person, service, sizes } from './browser.mjs';

for (const kind of ['chrome', 'firefox']) {
  describe(`${kind}: the town`, () => {
    let browser;
    before(async () => { browser = await open(kind); });
    after(async () => { await browser?.close(); });
    for (const tag of ['ja', 'en']) {
      for (const size of ['phone', 'desk']) {
        test(`${tag}, ${size}`, async () => {
          const page = await browser.newPage();
          await page.setViewport(sizes[size]);
          const replaced = person((p) => p.trouble === 'replaced');
          const home = demo.home.replace(/\/$/, '');
          for (const path of ['/', '/people?kind=trouble', `/people/${replaced.user}`, '/mailbox', '/network', '/trust', '/people/nobody']) {
            await page.goto(`${home}${path}${path.includes('?') ? '&' : '?'}lang=${tag}`, { waitUntil: 'load' });
            await look(page, `town-${kind}-${tag}-${size}-${path.replace(/\W+/g, '-')}`);
          }
          await page.goto(`${service('library').url}?lang=${tag}`, { waitUntil: 'load' });
          await look(page, `town-${kind}-${tag}-${size}-library`);
          await page.close();
        });
      }
    }
  });
}
