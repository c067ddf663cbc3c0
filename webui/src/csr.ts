// SPDX-License-Identifier: Apache-2.0
// A key and a certification request made in the browser, so that the key never leaves it: P-256 by WebCrypto,
// PKCS#10 (RFC 2986) and PKCS#8 as PEM.

function der(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const n = parts.reduce((sum, p) => sum + p.length, 0);
  const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255];
  const out = new Uint8Array(1 + length.length + n);
  out.set([tag, ...length]);
  let at = 1 + length.length;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTF8_STRING = 0x0c;
const SEQUENCE = 0x30;
const SET = 0x31;
const commonName = new Uint8Array([0x06, 3, 0x55, 4, 3]);
const ecdsaWithSha256 = der(SEQUENCE, new Uint8Array([0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));

/** An unsigned number in as few bytes as DER wants. */
function integer(bytes: Uint8Array): Uint8Array {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const value = bytes.slice(from);
  return (value[0] ?? 0) >= 0x80 ? der(INTEGER, new Uint8Array([0]), value) : der(INTEGER, value);
}

function bitString(bytes: Uint8Array): Uint8Array {
  return der(BIT_STRING, new Uint8Array([0]), bytes);
}

function pem(label: string, bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  const lines = text.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

export interface KeyAndRequest {
  /** PKCS#8, PEM, not encrypted. */
  key: string;
  /** PKCS#10, PEM. */
  request: string;
}

export async function makeRequest(name: string): Promise<KeyAndRequest> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const cn = der(SET, der(SEQUENCE, commonName, der(UTF8_STRING, new TextEncoder().encode(name))));
  const info = der(SEQUENCE, der(INTEGER, new Uint8Array([0])), der(SEQUENCE, cn), spki, der(0xa0));
  const raw = new Uint8Array(
    await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, info),
  );
  const signature = der(SEQUENCE, integer(raw.slice(0, 32)), integer(raw.slice(32)));
  const request = der(SEQUENCE, info, ecdsaWithSha256, bitString(signature));
  return { key: pem("PRIVATE KEY", key), request: pem("CERTIFICATE REQUEST", request) };
}
