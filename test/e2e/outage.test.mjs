// The database is out of order while somebody wants to sign in: the page says since
// when, what still works and what to try, in both browsers and languages, and the
// sign-in goes on once the database is back.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { demo, language, look, open, press, says, sizes } from './browser.mjs';

const words = {
  ja: ['サインインが故障しています', 'から、', 'もうサインインしているサービス', '数分待って', 'もう一度開く'],
  en: ['Signing in is out of order', 'since', 'already signed in go on working', 'wait a few minutes', 'Open it again'],
};

/** locked keeps the demo's database from being written to, as another program would. */
async function locked(during) {
  const keeper = spawn(`${process.env.WORK}/outage`, ['-lock', demo.config.replace(/[^/]*$/, 'seimon.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(keeper, 'exit');
  try {
    await once(keeper.stdout, 'data');
    await during();
  } finally {
    keeper.stdin.end();
    await ended;
  }
}

/** meets is a person who opens the page during the outage. */
async function meets(page, kind, tag) {
  const answer = await page.goto(`${demo.sso}/portal`, { waitUntil: 'load', timeout: 40000 });
  assert.equal(answer.status(), 503);
  assert.ok(answer.headers()['retry-after']);
  await says(page, ...words[tag], /[0-9A-Z]{4}-[0-9A-Z]{4}/);
  await look(page, `${kind}-${tag}-outage`);
  await page.goto(`${demo.sso}/help`, { waitUntil: 'load' });
  await says(page, words[tag][2]);
  await look(page, `${kind}-${tag}-outage-help`);
  await page.goto(`${demo.sso}/portal`, { waitUntil: 'load', timeout: 40000 });
}

for (const kind of ['chrome', 'firefox']) {
  test(`an outage of the database (${kind})`, { timeout: 120000 }, async () => {
    const browser = await open(kind);
    try {
      const pages = [];
      for (const tag of Object.keys(words)) {
        const context = await browser.createBrowserContext(); // each person has a browser
        const page = await context.newPage();
        await page.setViewport(sizes.phone);
        await language(page, tag);
        pages.push([page, tag]);
      }
      await locked(() => Promise.all(pages.map(([page, tag]) => meets(page, kind, tag))));
      for (const [page] of pages) {
        for (let tries = 0; !(await page.$('input[name=username]')); tries++) {
          assert.ok(tries < 20, 'the sign-in does not come back');
          await press(page, 'a.button.primary');
        }
      }
    } finally {
      await browser.close();
    }
  });
}
