/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 certificates that clients show, and those of the authorities that sign them. A chain is
 * DER, one certificate behind the other, the client's own first: as it came in the handshake, where
 * nothing of it was judged but that the client has the key of the first.
 */
#ifndef GEMEL_SERVICE_CERTIFICATE_H
#define GEMEL_SERVICE_CERTIFICATE_H

#include "mem.h"

#define CERTIFICATE_SHA1_SIZE 41
#define CERTIFICATE_SHA256_SIZE 65

struct certificate {
    char sha1[CERTIFICATE_SHA1_SIZE]; /* thumbprints: upper-case hex of the digest of the DER */
    char sha256[CERTIFICATE_SHA256_SIZE];
    struct span common_name; /* of the subject; empty: none, or more than one */
    struct span subject;     /* the whole of it, as text (RFC 2253) */
    int64_t from_us;
    int64_t until_us;
};

/* What the first certificate of a chain says. ERR_UNAUTHORIZED if it is none, ERR_MEMORY. */
enum err certificate_read(struct arena *arena, struct span chain,
    struct certificate *ret_certificate, struct why *why) MUST_USE;

/* Whether a thumbprint, of SHA-1 or SHA-256, in any case, is that of the certificate. */
bool certificate_has_thumbprint(const struct certificate *certificate, struct span thumbprint);

/* Whether it is valid at a time, of clocks that may differ by so much. ERR_UNAUTHORIZED. */
enum err certificate_check_time(const struct certificate *certificate, int64_t now_us,
    unsigned skew_s, struct why *why) MUST_USE;

/*
 * Whether the first certificate of the chain may be a client's, and leads to one of these
 * authorities; the others of the chain help on the way. All have to be valid at that time.
 * `*ret_which` is the authority, `*ret_until_us` when the first of them ends. ERR_UNAUTHORIZED,
 * ERR_MEMORY.
 */
enum err certificate_verify(struct span chain, const struct span *authorities, size_t count,
    int64_t now_us, unsigned skew_s, size_t *ret_which, int64_t *ret_until_us,
    struct why *why) MUST_USE;

/* Reads one certificate from a text: PEM, or DER in base64, which may be that of a PEM text.
 * ERR_ARGUMENT, ERR_MEMORY. */
enum err certificate_of_text(
    struct arena *arena, struct span text, struct span *ret_der, struct why *why) MUST_USE;

/* Whether it may sign others. ERR_ARGUMENT. */
enum err certificate_check_authority(struct span der, struct why *why) MUST_USE;

#endif
