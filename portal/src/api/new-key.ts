// SPDX-License-Identifier: Apache-2.0

const KEY_BYTES = 32;

/** A fresh symmetric key in Base64, from the browser's random generator for cryptography. */
export function newKey(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(KEY_BYTES))));
}
