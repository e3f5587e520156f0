// The browser's own ASN.1, Triple DES, PKCS#10 and PKCS#12, by their published vectors.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createCipheriv, createHash, pbkdf2Sync, randomBytes } from 'node:crypto';

const m = await import(process.env.WRITER);
const hex = (text) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
const text = (bytes) => Buffer.from(bytes).toString('hex');

test('DER: lengths, numbers and identifiers (X.690)', () => {
  assert.equal(text(m.integer(0)), '020100');
  assert.equal(text(m.integer(127)), '02017f');
  assert.equal(text(m.integer(128)), '02020080');
  assert.equal(text(m.integer(100000)), '02030186a0');
  assert.equal(text(m.integer(hex('00 00 ff'))), '020200ff');
  assert.equal(text(m.integer(hex('00'))), '020100');
  assert.equal(text(m.oid('1.2.840.113549.1.7.1')), '06092a864886f70d010701');
  assert.equal(text(m.oid('2.16.840.1.101.3.4.1.42')), '060960864801650304012a');
  assert.equal(text(m.octets(new Uint8Array(127))).slice(0, 4), '047f');
  assert.equal(text(m.octets(new Uint8Array(128))).slice(0, 6), '048180');
  assert.equal(text(m.octets(new Uint8Array(256))).slice(0, 8), '04820100');
  assert.equal(text(m.octets(new Uint8Array(65536))).slice(0, 10), '0483010000');
  assert.equal(text(m.bmpString('é太')), '1e0400e9592a');
});

test('Triple DES: the example of NIST SP 800-67 and one block of each kind', () => {
  // SP 800-67 appendix B.1: three keys, three blocks, in ECB; chained here by hand.
  const key = hex('0123456789ABCDEF 23456789ABCDEF01 456789ABCDEF0123');
  const plain = ['5468652071756663', '6B2062726F776E20', '666F78206A756D70'];
  const want = ['a826fd8ce53b855f', 'cce21c8112256fe6', '68d5c05dd9b6b900'];
  plain.forEach((p, i) => assert.equal(text(m.des3cbc(key, new Uint8Array(8), hex(p))).slice(0, 16), want[i]));
  // FIPS 81: all three keys the same is DES.
  const one = hex('0123456789ABCDEF 0123456789ABCDEF 0123456789ABCDEF');
  assert.equal(text(m.des3cbc(one, hex('1234567890ABCDEF'), new TextEncoder().encode('Now is the time for all '))).slice(0, 48),
    'e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6');
});

test('Triple DES: what OpenSSL makes of the same, for every length', () => {
  for (let n = 0; n < 70; n++) {
    const [key, iv, plain] = [randomBytes(24), randomBytes(8), randomBytes(n)];
    const c = createCipheriv('des-ede3-cbc', key, iv);
    assert.equal(text(m.des3cbc(key, iv, plain)), Buffer.concat([c.update(plain), c.final()]).toString('hex'));
  }
  assert.throws(() => m.des3cbc(new Uint8Array(16), new Uint8Array(8), new Uint8Array(1)));
});

test('the key derivation of PKCS#12 (vectors that its implementers share)', async () => {
  // smeg and queeg: the vectors of the PKCS#12 tests of OpenSSL, BouncyCastle and Go.
  for (const [id, password, salt, n, length, want] of [
    [1, 'smeg', '0A58CF64530D823F', 1, 24, '8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3'],
    [2, 'smeg', '0A58CF64530D823F', 1, 8, '79993dfe048d3b76'],
    [3, 'smeg', '3D83C0E4546AC140', 1, 20, '8d967d88f6caa9d714800ab3d48051d63f73a312'],
    [1, 'queeg', '05DEC959ACFF72F7', 1000, 24, 'ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4'],
    [2, 'queeg', '05DEC959ACFF72F7', 1000, 8, '11dedad7758d4860'],
    [3, 'queeg', '263216FCC2FAB31C', 1000, 20, '5ec4c7a80df652294c3925b6489a7ab857c83476'],
  ]) {
    assert.equal(text(await m.derive('SHA-1', id, m.bmpPassword(password), hex(salt), n, length)), want, `${password} ${id}`);
  }
});

test('passphrases: evenly made, honestly judged', () => {
  const counts = {};
  const seen = new Set();
  for (let i = 0; i < 2000; i++) {
    const p = m.generated(3);
    assert.match(p, /^[a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5}$/);
    seen.add(p);
    for (const c of p.replace(/-/g, '')) counts[c] = (counts[c] ?? 0) + 1;
  }
  assert.equal(seen.size, 2000);
  const all = Object.values(counts);
  assert.equal(all.length, 31);
  assert.ok(!/[il1o0]/.test(Object.keys(counts).join('')), 'letters that look alike');
  assert.ok(Math.min(...all) > 0.8 * 30000 / 31 && Math.max(...all) < 1.2 * 30000 / 31, JSON.stringify(counts));
  for (const weak of ['', 'password', 'Password1', 'qwertyuiop', 'aaaaaaaaaaaaaa', '12345678901234', 'daigaku2026', 'sakura']) assert.equal(m.grade(weak), 0, weak);
  for (const good of [m.generated(3), m.generated(5), 'mizuumi-to-yama-no-asa-7']) assert.ok(m.grade(good) >= 2, good);
  assert.ok(m.typeable('abc-123 ~') && !m.typeable('ひみつ') && !m.typeable('é'));
});

test('what WebCrypto derives is what others derive', () => {
  // RFC 7914 11: PBKDF2-HMAC-SHA-256, so that the judge of the files below is right too.
  assert.equal(pbkdf2Sync('passwd', 'salt', 1, 64, 'sha256').toString('hex').slice(0, 32), '55ac046e56e3089fec1691c22544b605');
  assert.equal(createHash('sha1').update('abc').digest('hex'), 'a9993e364706816aba3e25717850c26c9cd0d89d');
});
