/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's certificates: a private CA (ECDSA P-256, 10 years) and a server certificate that it
 * signs (1 year), in a data directory:
 *
 *   ca.pem  ca.key  server.pem (server certificate, then the CA's)  server.key
 *
 * A renewal keeps the server's key and replaces server.pem alone, so that a crash never leaves a
 * certificate beside another one's key. A server.pem that the CA here did not sign, or whose CA's
 * key is not here, comes from elsewhere and is never replaced. Not for use from two threads at once
 * on one directory.
 */
#ifndef GEMEL_HUB_CERTIFICATES_H
#define GEMEL_HUB_CERTIFICATES_H

#include "err.h"
#include "span.h"

#define CERTIFICATES_CA_FILE "ca.pem"
#define CERTIFICATES_CA_KEY_FILE "ca.key"
#define CERTIFICATES_SERVER_FILE "server.pem"
#define CERTIFICATES_SERVER_KEY_FILE "server.key"

/* Makes CA and server certificate. A name that is an IP address becomes an address in the
 * certificate, any other a DNS name; localhost, 127.0.0.1 and ::1 are always added. */
enum err certificates_make(const char *directory, const struct span *names, size_t count,
    int64_t now_us, struct why *why) MUST_USE;

/*
 * Makes a new server certificate for the names of the present one if that ends in less than `days`
 * days, unless it comes from elsewhere. `*ret_renewed` tells. ERR_CORRUPT when a file is not what
 * it should be, ERR_NOT_FOUND, ERR_IO.
 */
enum err certificates_renew_if_due(const char *directory, unsigned days, int64_t now_us,
    bool *ret_renewed, struct why *why) MUST_USE;

/*
 * Sees to it that the server certificate stands for exactly these names (and the local ones): makes
 * a new one if it does not. One from elsewhere need only cover them: ERR_REFUSED with the names
 * that it does not. Other errors as above, and ERR_ARGUMENT, ERR_STORAGE_FULL.
 */
enum err certificates_cover(const char *directory, const struct span *names, size_t count,
    int64_t now_us, bool *ret_renewed, struct why *why) MUST_USE;

/* Whether the server's certificate and key can be read and belong together. ERR_CORRUPT,
 * ERR_NOT_FOUND, ERR_IO. */
enum err certificates_check(const char *directory, struct why *why) MUST_USE;

#endif
