/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's certificates: a private CA (ECDSA P-256, 10 years) and a server certificate that it
 * signs (1 year), in a data directory:
 *
 *   ca.pem  ca.key  server.pem (server certificate, then the CA's)  server.key
 *
 * Keys are made readable by their owner only. Files are replaced as a whole.
 */
#ifndef GEMEL_HUB_CERTIFICATES_H
#define GEMEL_HUB_CERTIFICATES_H

#include "err.h"
#include "span.h"

/* Makes CA and server certificate. A name that is an IP address becomes an address in the
 * certificate, any other a DNS name; localhost, 127.0.0.1 and ::1 are always added. */
enum err certificates_make(const char *directory, const struct span *names, size_t count,
    int64_t now_us, struct why *why) MUST_USE;

/*
 * Makes a new server certificate, with a new key, for the names of the present one if that ends in
 * less than `days` days; does nothing if ca.key is absent (the files then come from elsewhere).
 * `*ret_renewed` tells. ERR_CORRUPT when a file is not what it should be, ERR_IO.
 */
enum err certificates_renew_if_due(const char *directory, unsigned days, int64_t now_us,
    bool *ret_renewed, struct why *why) MUST_USE;

/* Makes a server certificate for these names now (more host names than before). */
enum err certificates_renew(const char *directory, const struct span *names, size_t count,
    int64_t now_us, struct why *why) MUST_USE;

#endif
