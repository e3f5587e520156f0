// IC cards with other people's middleware and with real browsers. Each test opens its
// own browser: NSS remembers a PIN as long as it runs.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { arrived, audit, cancelPIN, choose, demo, finish, goes, locked, move, open, says, seimon, shoot, text, toChooser, tool, typePIN, until, windows } from './browser.mjs';

const [mine, other] = demo.cards;
let pin = mine.pin;

/** inside opens a browser for one test. */
async function inside(kind, work) {
  await move(other.user, 'out');
  await move(mine.user, 'in', 1);
  const browser = await open(kind);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(120000);
    await work(page, browser);
  } finally {
    await browser.close();
  }
}

/** card is what the register says of a card. */
const card = (label) => JSON.parse(seimon(['card', 'status', label, '--json']));

/** signedIn waits for the portal and tells who is there. */
async function signedIn(page, user) {
  await finish(page, (url) => url.startsWith(demo.sso + '/portal'));
  assert.match(await text(page), new RegExp(`User name ${user}\\b`));
}

describe('OpenSC reads what seimon card personalise wrote', () => {
  test('opensc-tool knows the card', () => {
    assert.match(tool('opensc-tool', '-n'), /Personal Identity Verification Card/);
  });
  test('pkcs15-tool reads the certificate of slot 9A', () => {
    const pem = tool('sh', '-c', 'pkcs15-tool --read-certificate 01 | openssl x509 -noout -subject -ext extendedKeyUsage,keyUsage');
    assert.match(pem, new RegExp(`IC card ${mine.label}`));
    assert.match(pem, /TLS Web Client Authentication/);
    assert.match(pem, /Digital Signature/);
  });
  test('pkcs11-tool signs with the key and the PIN of the letter', () => {
    const out = tool('sh', '-ec', `cd "$WORK"; pkcs15-tool --read-certificate 01 | openssl x509 -noout -pubkey > card.pub
      head -c 32 /dev/urandom > digest
      pkcs11-tool --login --pin ${pin} --sign --mechanism ECDSA --signature-format openssl --id 01 --input-file digest --output-file signature
      openssl pkeyutl -verify -pubin -inkey card.pub -in digest -sigfile signature`);
    assert.match(out, /Signature Verified Successfully/);
  });
  test('a wrong PIN costs one try, and the right one gives it back', () => {
    assert.match(tool('pkcs11-tool', '--login', '--pin', '000001', '--test'), /CKR_PIN_INCORRECT/);
    assert.equal(JSON.parse(seimon(['card', 'status', '--json'])).inserted.tries, 9);
    tool('pkcs11-tool', '--login', '--pin', pin, '--test');
    assert.equal(JSON.parse(seimon(['card', 'status', '--json'])).inserted.tries, 10);
  });
  test('the maker\'s keys of the factory no longer open the card', () => {
    assert.match(tool('opensc-tool', '-s', '00:A4:04:00:05:A0:00:00:03:08', '-s', '00:24:00:80:10:31:32:33:34:35:36:FF:FF:32:32:32:32:32:32:FF:FF'), /63C9|SW1=0x63, SW2=0xC9/);
    tool('pkcs11-tool', '--login', '--pin', pin, '--test');
  });
});

test('seimon card tells what is wrong at the reader', () => {
  assert.match(seimon(['card', 'readers']), /Virtual PCD 00 00: a card is in it\nVirtual PCD 00 01: empty/);
  assert.throws(() => seimon(['card', 'status', '--reader', '00 01']), /no card is in the reader/);
  assert.throws(() => seimon(['card', 'status', '--reader', 'Omnikey']), /no card reader is connected with "Omnikey"/);
  assert.throws(() => seimon(['card', 'personalise', mine.user]), /cannot become personalising/);
});

for (const kind of ['chrome', 'firefox']) {
  describe(kind, () => {
    test('signs in with card and PIN, without a user name', () => inside(kind, async (page, browser) => {
      await toChooser(page);
      await typePIN(pin);
      await choose(page);
      await signedIn(page, mine.user);
      if (kind === 'chrome') assert.equal(locked(browser), 0, 'OpenSC holds pages of the browser, which will end when it gives them back');
      const c = card(mine.label);
      assert.equal(c.state, 'active');
      assert.ok(c.used, 'the register does not know of the sign-in');
      await page.goto(demo.sso + '/portal/cards?lang=en');
      await audit(page, `${kind}-my-card`);
      assert.match(await text(page), /in use/);
    }));

    test('the pages about cards, for everybody, in both languages', () => inside(kind, async (page) => {
      for (const [path, ja, en] of [['/card/number', '証明書の番号', 'My certificate number'], ['/card/locked', 'ロックされている', 'Is my card locked?']]) {
        for (const [tag, words] of [['ja', ja], ['en', en]]) {
          for (const width of [390, 1280]) {
            await page.setViewport({ width, height: 844 });
            await page.goto(`${demo.sso}${path}?lang=${tag}`, { waitUntil: 'load' });
            assert.ok((await text(page)).includes(words), words);
            await audit(page, `${kind}${path.replaceAll('/', '-')}-${tag}-${width}`);
          }
        }
      }
    }));

    test('a wrong PIN, then the right one', () => inside(kind, async (page) => {
      await toChooser(page);
      const first = await typePIN('000001');
      await typePIN(pin, { not: [first] });
      await choose(page);
      await signedIn(page, mine.user);
    }));

    test('cancelled at the PIN, then chosen again without a restart', () => inside(kind, async (page) => {
      await toChooser(page);
      await cancelPIN();
      await finish(page, () => says(page, /No certificate was chosen/));
      await shoot(page, `${kind}-cancelled`);
      await goes(page, 'a.button.primary');
      await typePIN(pin);
      await choose(page);
      await signedIn(page, mine.user);
    }));

    test('the card is not in the reader, then it is', () => inside(kind, async (page) => {
      await move(mine.user, 'out', 0);
      await toChooser(page);
      await finish(page, () => says(page, /No certificate was chosen/));
      await shoot(page, `${kind}-no-card`);
      await move(mine.user, 'in', 1);
      for (let n = 0; n < 3 && !windows('pin').length; n++) { // the browser may notice the card a moment later
        await goes(page, 'a.button.primary');
        await until('a dialog or another page', async () => windows('pin').length || (await arrived(page)));
        await new Promise((r) => setTimeout(r, 1000));
      }
      await typePIN(pin);
      await choose(page);
      await signedIn(page, mine.user);
    }));

    test('a suspended card says so, and works again when the desk lifts it', () => inside(kind, async (page) => {
      seimon(['card', 'suspend', mine.label, '--why', 'left at home']);
      await toChooser(page);
      await typePIN(pin);
      await choose(page);
      await finish(page, () => says(page, /This card is suspended/));
      await shoot(page, `${kind}-suspended`);
      seimon(['card', 'resume', mine.label]);
      await goes(page, 'a.button.primary');
      await choose(page);
      await signedIn(page, mine.user);
    }));
  });
}

test('two people\'s cards at one computer: each chooses the own one', async () => {
  // NSS unlocks every card before it lists certificates, in its own order: both get one PIN.
  await move(other.user, 'in', 2);
  seimon(['card', 'unblock', other.label, '--why', 'one PIN for both', '--document', 'staff-card', '--reader', '00 01', '--pin', '-'], pin);
  const who = [];
  for (const keys of [[], ['Down']]) {
    await inside('chrome', async (page) => {
      await move(other.user, 'in', 2);
      await toChooser(page);
      const first = await typePIN(pin);
      await typePIN(pin, { not: [first] });
      await choose(page, keys, `chrome-two-cards-${who.length}`);
      await finish(page, (url) => url.startsWith(demo.sso + '/portal'));
      who.push((await text(page)).match(/User name (\S+)/)[1]);
    });
  }
  assert.deepEqual(who.sort(), [mine.user, other.user].sort());
});

test('ten wrong PINs lock the card; taking it out does not help; the desk unblocks it; it signs in', async () => {
  await inside('chrome', async (page, browser) => {
    await toChooser(page);
    const seen = [];
    for (let n = 0; n < 10; n++) seen.push(await typePIN('00000' + n, { not: seen.slice(-1) }));
    await until('the last window to close', () => !windows('pin').includes(seen.at(-1)));
    await finish(page, async () => {
      if (windows('pin').length) await cancelPIN(); // the browser may ask again and does not say why
      return says(page, /No certificate was chosen/);
    });
    assert.ok(await page.$('a[href="/card/locked"]'), 'the page does not lead to: is my card locked?');
    await shoot(page, 'chrome-locked');
    await move(mine.user, 'out', 0);
    await move(mine.user, 'in', 1);
    const desk = await browser.newPage();
    await desk.goto(`${demo.home}people/${mine.user}?lang=en`);
    assert.match(await text(desk), /the card is locked/);
    await shoot(desk, 'demo-locked');
  });
  assert.match(tool('pkcs11-tool', '-L'), /user PIN locked/);
  assert.match(tool('pkcs11-tool', '--login', '--pin', pin, '--test'), /CKR_PIN_LOCKED/);
  assert.match(seimon(['card', 'status']), /LOCKED/);
  await inside('chrome', async (page) => {
    await page.goto(demo.sso + '/portal/cards?lang=en', { waitUntil: 'load' });
    const person = demo.people.find((p) => p.user === mine.user);
    await page.type('input[name=username]', person.user);
    await Promise.all([page.waitForNavigation(), page.click('form button.primary')]);
    await page.type('input[name=password]', person.password);
    await Promise.all([page.waitForNavigation(), page.click('form button.primary')]);
    await finish(page, (url) => url.startsWith(demo.sso + '/portal/cards'));
    assert.match(await text(page), /it was locked when the desk last read it/);
    await shoot(page, 'chrome-portal-locked');
  });
  assert.match(seimon(['card', 'unblock', mine.label, '--why', 'ten wrong PINs', '--document', 'staff-card', '--pin', '-'], '271934\n'), /10 tries again/);
  pin = '271934';
  await inside('chrome', async (page) => {
    await toChooser(page);
    await typePIN(pin);
    await choose(page);
    await signedIn(page, mine.user);
  });
});

test('the card of a returned row is wiped and begins a new life', async () => {
  seimon(['card', 'return', mine.label, '--wipe']);
  assert.match(tool('sh', '-c', 'pkcs15-tool --read-certificate 01 2>&1'), /not found|error|Error|exit [1-9]/);
  seimon(['card', 'stock', '--label', 'NEW-1']);
  seimon(['card', 'personalise', other.user, '--algorithm', 'RSA-2048']);
  const letter = process.env.WORK + '/letter.txt';
  seimon(['card', 'letter', 'NEW-1', '--out', letter, '--format', 'text']);
  const own = tool('cat', letter).match(/^Your PIN: (\d{6})$/m)[1];
  seimon(['card', 'handover', 'NEW-1', '--document', 'passport', '--pin', '-'], own);
  assert.match(tool('pkcs11-tool', '--login', '--pin', own, '--test'), /all 4 signature functions seem to work/);
  await inside('firefox', async (page) => {
    await toChooser(page);
    await typePIN(own);
    await choose(page);
    await signedIn(page, other.user);
  });
});
