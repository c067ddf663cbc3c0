// SPDX-License-Identifier: Apache-2.0
// Secrets that a page makes: of letters and digits that nobody takes for another one.
const letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/** 20 of them, each as likely as any other: 115 bits. */
export function randomWord(length = 20): string {
  let word = "";
  while (word.length < length) {
    // What lies above the largest multiple would favour the first letters.
    for (const n of crypto.getRandomValues(new Uint8Array(64)))
      if (n < 256 - (256 % letters.length) && word.length < length) word += letters[n % letters.length] ?? "";
  }
  return word;
}
