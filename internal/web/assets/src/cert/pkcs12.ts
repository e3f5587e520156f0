// A PKCS#12 file (RFC 7292) with one private key and its certificates, in one of two
// forms. "modern": PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256 (RFC 8018), MAC with
// SHA-256. "compatible": pbeWithSHAAnd3-KeyTripleDES-CBC and a SHA-1 MAC, for systems
// that read nothing else; its strength is the password's alone.
import { bmp, bmpString, type Bytes, explicit, integer, join, nothing, octets, oid, sequence, set, tlv } from "./asn1";
import { des3cbc } from "./des3";

export type Form = "modern" | "compatible";

export interface Contents {
  /** PKCS#8, as WebCrypto exports it */
  key: Uint8Array;
  /** the person's certificate first, then its issuers, in DER */
  certificates: Uint8Array[];
  /** the name under which systems list it */
  name: string;
  password: string;
  form: Form;
}

const ids = {
  data: "1.2.840.113549.1.7.1",
  encrypted: "1.2.840.113549.1.7.6",
  shroudedKey: "1.2.840.113549.1.12.10.1.2",
  certBag: "1.2.840.113549.1.12.10.1.3",
  x509: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKey: "1.2.840.113549.1.9.21",
  pbe3des: "1.2.840.113549.1.12.1.3",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacSHA256: "1.2.840.113549.2.9",
  aes256cbc: "2.16.840.1.101.3.4.1.42",
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
};

/** Rounds of key derivation. The compatible form goes with a long password of chance. */
const rounds = { modern: 100_000, mac: 10_000, compatible: 2048 };

/** macSalt is eight bytes: some readers refuse any other length. */
const macSalt = 8;

const chance = (n: number) => crypto.getRandomValues(new Uint8Array(n));
const hash = async (name: string, data: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.digest(name, data));

/**
 * derive is the key derivation of RFC 7292 appendix B.2. id: 1 a key, 2 a start
 * value, 3 a MAC key. The password is in BMP form with two zero bytes at its end (B.1).
 */
export async function derive(name: "SHA-1" | "SHA-256", id: number, password: Uint8Array, salt: Uint8Array, n: number, length: number): Promise<Bytes> {
  const block = 64;
  const stretched = (from: Uint8Array) => Uint8Array.from({ length: block * Math.ceil(from.length / block) }, (_, i) => from[i % from.length]);
  const diversifier = new Uint8Array(block).fill(id);
  const input = join(stretched(salt), stretched(password));
  let out = new Uint8Array(0);
  for (;;) {
    let a = await hash(name, join(diversifier, input));
    for (let i = 1; i < n; i++) a = await hash(name, a);
    out = join(out, a);
    if (out.length >= length) return out.slice(0, length);
    for (let at = 0; at < input.length; at += block) {
      let carry = 1; // each block of the input grows by the stretched result and one
      for (let i = block - 1; i >= 0; i--) {
        carry += input[at + i] + a[i % a.length];
        input[at + i] = carry & 0xff;
        carry >>= 8;
      }
    }
  }
}

/** bmpPassword is a password as the derivation reads it. */
export const bmpPassword = (password: string) => join(bmp(password), new Uint8Array(2));

interface Sealed {
  algorithm: Bytes;
  bytes: Bytes;
}

async function seal(form: Form, password: string, plain: Uint8Array<ArrayBuffer>): Promise<Sealed> {
  if (form === "compatible") {
    const salt = chance(8);
    const typed = bmpPassword(password);
    const key = await derive("SHA-1", 1, typed, salt, rounds.compatible, 24);
    const iv = await derive("SHA-1", 2, typed, salt, rounds.compatible, 8);
    return { algorithm: sequence(oid(ids.pbe3des), sequence(octets(salt), integer(rounds.compatible))), bytes: des3cbc(key, iv, plain) };
  }
  const [salt, iv] = [chance(16), chance(16)];
  const base = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds.modern }, base, { name: "AES-CBC", length: 256 }, false, ["encrypt"]);
  const bytes = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, plain));
  const kdf = sequence(oid(ids.pbkdf2), sequence(octets(salt), integer(rounds.modern), sequence(oid(ids.hmacSHA256), nothing())));
  return { algorithm: sequence(oid(ids.pbes2), sequence(kdf, sequence(oid(ids.aes256cbc), octets(iv)))), bytes };
}

/** setOf puts the members in the order that DER asks for (X.690 11.6). */
function setOf(members: Uint8Array[]): Bytes {
  const order = (a: Uint8Array, b: Uint8Array) => {
    for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
    return a.length - b.length;
  };
  return set(...[...members].sort(order));
}

const attribute = (id: string, value: Uint8Array) => sequence(oid(id), set(value));
const bag = (id: string, value: Uint8Array, ...attributes: Uint8Array[]) =>
  sequence(oid(id), explicit(0, value), ...(attributes.length ? [setOf(attributes)] : []));
const data = (bytes: Uint8Array) => sequence(oid(ids.data), explicit(0, octets(bytes)));

async function mac(form: Form, password: string, over: Uint8Array<ArrayBuffer>): Promise<Bytes> {
  const [name, id, size, n] = form === "modern" ? (["SHA-256", ids.sha256, 32, rounds.mac] as const) : (["SHA-1", ids.sha1, 20, rounds.compatible] as const);
  const salt = chance(macSalt);
  const raw = await derive(name, 3, bmpPassword(password), salt, n, size);
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: name }, false, ["sign"]);
  const sum = new Uint8Array(await crypto.subtle.sign("HMAC", key, over));
  return sequence(sequence(sequence(oid(id), nothing()), octets(sum)), octets(salt), integer(n));
}

/** pkcs12 makes the file. */
export async function pkcs12(c: Contents): Promise<Bytes> {
  const own = await hash("SHA-1", c.certificates[0] as Bytes); // ties key and certificate together
  const ties = [attribute(ids.friendlyName, bmpString(c.name)), attribute(ids.localKey, octets(own))];
  const bags = c.certificates.map((der, i) =>
    bag(ids.certBag, sequence(oid(ids.x509), explicit(0, octets(der))), ...(i === 0 ? ties : [])));
  const certs = await seal(c.form, c.password, sequence(...bags));
  const key = await seal(c.form, c.password, c.key as Bytes);
  const safe = sequence(
    sequence(oid(ids.encrypted), explicit(0, sequence(integer(0),
      sequence(oid(ids.data), certs.algorithm, tlv(0x80, certs.bytes))))),
    data(sequence(bag(ids.shroudedKey, sequence(key.algorithm, octets(key.bytes)), ...ties))),
  );
  return sequence(integer(3), data(safe), await mac(c.form, c.password, safe));
}
