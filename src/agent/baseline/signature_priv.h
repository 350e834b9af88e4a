/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may say what is checked: Ed25519 signatures of check files (RFC 8032), over their bytes as
 * they are. A signature file holds 64 bytes in base64 and one line end, in just one spelling.
 */
#ifndef GEMEL_BASELINE_SIGNATURE_PRIV_H
#define GEMEL_BASELINE_SIGNATURE_PRIV_H

#include "err.h"
#include "span.h"

#define TRUSTED_KEYS_MAX 16u
#define KEYS_FILE_MAX (64u * 1024)
#define SIGNATURE_FILE_MAX 256u

/* The key that was compiled in; sign.c writes the file that defines it. */
extern const unsigned char baseline_key[32];

struct trusted {
    void *keys[TRUSTED_KEYS_MAX]; /* EVP_PKEY */
    size_t count;
};

/* Trusts the key that was compiled in, and those of a PEM file if it exists. A file that others may
 * write to, or that holds anything but Ed25519 public keys, adds none: ERR_FORMAT or ERR_IO, and
 * the compiled-in key counts all the same. */
enum err trusted_open(const char *keys_path, struct trusted *ret_trusted, struct why *why) MUST_USE;
void trusted_close(struct trusted *trusted);

/* ERR_UNAUTHORIZED: no trusted key made this signature of the bytes. ERR_FORMAT: it is none. */
enum err signature_check(const struct trusted *trusted, struct span bytes, struct span signature,
    struct why *why) MUST_USE;

#endif
