// Passphrases for the file: made by chance, or the person's own with an estimate of
// how much work it takes to find.

/** Thirty-one letters and digits that nobody takes for another. */
const letters = "abcdefghjkmnpqrstuvwxyz23456789";

/** generated makes groups of five; five groups hold 123 bits. */
export function generated(groups: number): string {
  const out: string[] = [];
  while (out.length < groups * 5) {
    for (const byte of crypto.getRandomValues(new Uint8Array(64))) {
      // Bytes from 248 on would make the first letters likelier than the others.
      if (byte < 248 && out.length < groups * 5) out.push(letters[byte % letters.length]);
    }
  }
  return out.join("").replace(/(.{5})(?=.)/g, "$1-");
}

/** What everybody types first, and what stands beside each other on the keyboard. */
const common = [
  "password", "passw0rd", "qwerty", "asdf", "zxcv", "1q2w3e", "letmein", "welcome", "admin", "iloveyou", "sakura", "himitsu",
  "daigaku", "certificate", "university", "0123456789", "9876543210", "abcdefghijklmnopqrstuvwxyz",
];

/**
 * strength estimates the bits of a passphrase: the kinds of characters times the
 * length, where repetitions, runs and well-known words count little.
 */
export function strength(passphrase: string): number {
  let rest = passphrase.toLowerCase();
  let bits = 0;
  for (const word of common) {
    for (let size = word.length; size >= 4; size--) {
      for (let at = 0; at + size <= word.length; at++) {
        const part = word.slice(at, at + size);
        if (rest.includes(part)) {
          rest = rest.replace(part, " ");
          bits += 5;
        }
      }
    }
  }
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(passphrase)).length;
  const each = [0, 3, 3.6, 4, 4.3][kinds] ?? 0;
  let before = "";
  for (const letter of rest) {
    const run = before !== "" && Math.abs(letter.charCodeAt(0) - before.charCodeAt(0)) <= 1;
    bits += letter === " " ? 0 : run ? 1 : each;
    before = letter;
  }
  return Math.round(bits);
}

/** grade is 0 (found within the hour) to 3 (nobody finds it). */
export function grade(passphrase: string): 0 | 1 | 2 | 3 {
  const bits = strength(passphrase);
  return bits < 36 ? 0 : bits < 50 ? 1 : bits < 70 ? 2 : 3;
}

/** typeable tells whether every system can be given this passphrase. */
export const typeable = (passphrase: string) => /^[\x20-\x7e]*$/.test(passphrase);
