/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 (RFC 4648, section 4), strict: the standard alphabet, padding required, no blanks or line
 * ends. Unused bits of the last character are not looked at, as the Azure SDKs do not either.
 */
#ifndef GEMEL_BASE64_H
#define GEMEL_BASE64_H

#include "buf.h"

void base64_write(struct span bytes, struct buf *out);

/* Decodes into the caller's buffer of `size` bytes. ERR_FORMAT if it is no base64 or has no place;
 * the sentence never holds the text, which may be a key. */
enum err base64_decode(
    struct span text, void *buffer, size_t size, size_t *ret_len, struct why *why) MUST_USE;

/* A base64 key of 16 to 64 bytes, as symmetric keys must be. ERR_ARGUMENT. */
enum err base64_check_key(struct span text, struct why *why) MUST_USE;
#define BASE64_KEY_MIN_BYTES 16
#define BASE64_KEY_MAX_BYTES 64

#endif
