/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's TLS: 1.2 and 1.3, in 1.2 only forward-secret suites with authenticated encryption
 * (RFC 7525), no renegotiation, no resumption: a session that is kept costs memory for each
 * connection, and a full handshake with an ECDSA key is cheap.
 */
#ifndef GEMEL_GATEWAY_TLS_H
#define GEMEL_GATEWAY_TLS_H

#include "err.h"

#include <openssl/ssl.h>

#define TLS_1_2_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

/* Checks that certificate and key can be read, parsed, and belong together. ERR_ARGUMENT. */
enum err tls_check_files(
    const char *certificate_file, const char *key_file, struct why *why) MUST_USE;

/* Sets on a context what libwebsockets has no option for. */
void tls_configure(SSL_CTX *context);

#endif
