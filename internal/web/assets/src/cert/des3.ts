// Triple DES in CBC mode (FIPS 46-3, SP 800-67), which WebCrypto does not offer and
// which old systems need to open a PKCS#12 file. Written for clearness: a file has
// a few hundred blocks. Only encryption is here.
import type { Bytes } from "./asn1";

const IP = perm("58 50 42 34 26 18 10 2 60 52 44 36 28 20 12 4 62 54 46 38 30 22 14 6 64 56 48 40 32 24 16 8 57 49 41 33 25 17 9 1 59 51 43 35 27 19 11 3 61 53 45 37 29 21 13 5 63 55 47 39 31 23 15 7");
const FP = perm("40 8 48 16 56 24 64 32 39 7 47 15 55 23 63 31 38 6 46 14 54 22 62 30 37 5 45 13 53 21 61 29 36 4 44 12 52 20 60 28 35 3 43 11 51 19 59 27 34 2 42 10 50 18 58 26 33 1 41 9 49 17 57 25");
const E = perm("32 1 2 3 4 5 4 5 6 7 8 9 8 9 10 11 12 13 12 13 14 15 16 17 16 17 18 19 20 21 20 21 22 23 24 25 24 25 26 27 28 29 28 29 30 31 32 1");
const P = perm("16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25");
const PC1 = perm("57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36 63 55 47 39 31 23 15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4");
const PC2 = perm("14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2 41 52 31 37 47 55 30 40 51 45 33 48 44 49 39 56 34 53 46 42 50 36 29 32");
const shifts = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

// Each box: four rows of sixteen values, a hexadecimal digit each.
const boxes = [
  "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
  "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
  "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
  "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
  "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
  "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
  "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
  "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
].map((box) => Array.from(box, (digit) => parseInt(digit, 16)));

function perm(list: string): number[] {
  return list.split(" ").map((n) => Number(n) - 1);
}

const pick = (bits: number[], by: number[]) => by.map((i) => bits[i]);

function toBits(bytes: Uint8Array): number[] {
  return Array.from(bytes).flatMap((b) => [7, 6, 5, 4, 3, 2, 1, 0].map((i) => (b >> i) & 1));
}

function toBytes(bits: number[]): Bytes {
  const out = new Uint8Array(bits.length / 8);
  bits.forEach((bit, i) => (out[i >> 3] |= bit << (7 - (i & 7))));
  return out;
}

/** schedule makes the sixteen round keys of one DES key. */
function schedule(key: Uint8Array): number[][] {
  const halves = pick(toBits(key), PC1);
  let [c, d] = [halves.slice(0, 28), halves.slice(28)];
  return shifts.map((n) => {
    c = [...c.slice(n), ...c.slice(0, n)];
    d = [...d.slice(n), ...d.slice(0, n)];
    return pick([...c, ...d], PC2);
  });
}

/** pass is DES on one block; backwards when the round keys come in reverse. */
function pass(block: number[], keys: number[][]): number[] {
  const start = pick(block, IP);
  let [left, right] = [start.slice(0, 32), start.slice(32)];
  for (const key of keys) {
    const wide = pick(right, E).map((bit, i) => bit ^ key[i]);
    const narrow = boxes.flatMap((box, n) => {
      const six = wide.slice(6 * n, 6 * n + 6);
      const row = six[0] * 2 + six[5];
      const value = box[16 * row + six[1] * 8 + six[2] * 4 + six[3] * 2 + six[4]];
      return [3, 2, 1, 0].map((i) => (value >> i) & 1);
    });
    const mixed = pick(narrow, P);
    [left, right] = [right, left.map((bit, i) => bit ^ mixed[i])];
  }
  return pick([...right, ...left], FP);
}

/**
 * des3cbc encrypts with three keys of eight bytes (encrypt, decrypt, encrypt) and
 * fills the last block as PKCS#7 does (RFC 5652 6.3).
 */
export function des3cbc(key: Uint8Array, iv: Uint8Array, plain: Uint8Array): Bytes {
  if (key.length !== 24 || iv.length !== 8) throw new Error("3DES needs a key of 24 bytes and a start of 8");
  const fill = 8 - (plain.length % 8);
  const padded = new Uint8Array(plain.length + fill).fill(fill);
  padded.set(plain);
  const [k1, k2, k3] = [0, 8, 16].map((at) => schedule(key.subarray(at, at + 8)));
  const back = [...k2].reverse();
  const out = new Uint8Array(padded.length);
  let last = toBits(iv);
  for (let at = 0; at < padded.length; at += 8) {
    const mixed = toBits(padded.subarray(at, at + 8)).map((bit, i) => bit ^ last[i]);
    last = pass(pass(pass(mixed, k1), back), k3);
    out.set(toBytes(last), at);
  }
  return out;
}
