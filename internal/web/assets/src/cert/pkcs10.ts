// The key pair and the request for a certificate (PKCS#10, RFC 2986). The request
// says nothing but the public key and proves the possession of the private one:
// names are the university's business.
import { bits, explicit, integer, nothing, oid, pem, sequence } from "./asn1";

export type KeyKind = "p256" | "rsa";

/** newKey makes a key pair; the private key can be exported, for the PKCS#12 file. */
export function newKey(kind: KeyKind): Promise<CryptoKeyPair> {
  const how = kind === "rsa"
    ? { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" }
    : { name: "ECDSA", namedCurve: "P-256" };
  return crypto.subtle.generateKey(how, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

/** request makes and signs the request, as PEM. */
export async function request(keys: CryptoKeyPair): Promise<string> {
  const key = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  // RFC 2986 4.1: version, subject (empty), key, attributes (none)
  const info = sequence(integer(0), sequence(), key, explicit(0));
  const rsa = keys.publicKey.algorithm.name !== "ECDSA";
  const raw = new Uint8Array(await crypto.subtle.sign(rsa ? "RSASSA-PKCS1-v1_5" : { name: "ECDSA", hash: "SHA-256" }, keys.privateKey, info));
  const algorithm = rsa ? sequence(oid("1.2.840.113549.1.1.11"), nothing()) : sequence(oid("1.2.840.10045.4.3.2"));
  const signature = rsa ? raw : sequence(integer(raw.subarray(0, 32)), integer(raw.subarray(32))); // RFC 3279 2.2.3
  return pem("CERTIFICATE REQUEST", sequence(info, algorithm, bits(signature)));
}
