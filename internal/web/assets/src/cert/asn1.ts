// A writer of ASN.1 DER (ITU-T X.690), as much as PKCS#8, #10 and #12 need, and the
// few steps of reading that a certificate takes. Bytes in, bytes out; nothing is kept.

export type Bytes = Uint8Array<ArrayBuffer>;

/** join puts bytes behind each other. */
export function join(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/** tlv writes one value with its tag and its length (X.690 8.1.3). */
export function tlv(tag: number, ...content: Uint8Array[]): Bytes {
  const body = join(...content);
  const head = [tag];
  if (body.length < 0x80) {
    head.push(body.length);
  } else {
    const size: number[] = [];
    for (let n = body.length; n > 0; n = Math.floor(n / 256)) size.unshift(n & 0xff);
    head.push(0x80 | size.length, ...size);
  }
  return join(new Uint8Array(head), body);
}

export const sequence = (...of: Uint8Array[]) => tlv(0x30, ...of);
export const set = (...of: Uint8Array[]) => tlv(0x31, ...of);
export const octets = (bytes: Uint8Array) => tlv(0x04, bytes);
export const nothing = () => tlv(0x05);
/** explicit is [n] EXPLICIT, constructed. */
export const explicit = (n: number, ...of: Uint8Array[]) => tlv(0xa0 | n, ...of);
/** bits is a BIT STRING without unused bits. */
export const bits = (bytes: Uint8Array) => tlv(0x03, new Uint8Array([0]), bytes);

/** integer writes a number that is not negative, or an unsigned big-endian one. */
export function integer(value: number | Uint8Array): Bytes {
  let bytes: number[] = [];
  if (typeof value === "number") {
    for (let n = value; n > 0; n = Math.floor(n / 256)) bytes.unshift(n & 0xff);
  } else {
    bytes = Array.from(value);
    while (bytes.length > 1 && bytes[0] === 0) bytes.shift();
  }
  if (bytes.length === 0) bytes = [0];
  if (bytes[0] & 0x80) bytes.unshift(0); // X.690 8.3: the first bit is the sign
  return tlv(0x02, new Uint8Array(bytes));
}

/** oid writes an object identifier given with dots (X.690 8.19). */
export function oid(dotted: string): Bytes {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const out: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc & 0x7f];
    for (let n = Math.floor(arc / 128); n > 0; n = Math.floor(n / 128)) septets.unshift(0x80 | (n & 0x7f));
    out.push(...septets);
  }
  return tlv(0x06, new Uint8Array(out));
}

/** bmp is the text in UTF-16, high byte first. */
export function bmp(text: string): Bytes {
  const out = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    out[2 * i] = text.charCodeAt(i) >> 8;
    out[2 * i + 1] = text.charCodeAt(i) & 0xff;
  }
  return out;
}

/** bmpString is a BMPString. */
export const bmpString = (text: string) => tlv(0x1e, bmp(text));

/** pem gives a block of RFC 7468. */
export function pem(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${base64(der).replace(/(.{64})(?=.)/g, "$1\n")}\n-----END ${label}-----\n`;
}

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (const b of bytes) text += String.fromCharCode(b);
  return btoa(text);
}

export function unbase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
