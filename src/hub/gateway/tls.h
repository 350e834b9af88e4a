/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's TLS: 1.2 and 1.3, in 1.2 only forward-secret suites with authenticated encryption
 * (RFC 7525), no renegotiation, no resumption: a session that is kept costs memory for each
 * connection, and a full handshake with an ECDSA key is cheap. So nobody inherits from an earlier
 * connection who he is. The certificate can be replaced while connections are open: each keeps what
 * it began with.
 *
 * Clients are asked for a certificate and may have none. Whatever one shows is let in, if he has
 * its key: what it is worth is judged where he says who he is.
 */
#ifndef GEMEL_GATEWAY_TLS_H
#define GEMEL_GATEWAY_TLS_H

#include "buf.h"

#include <openssl/ssl.h>

#define TLS_1_2_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

/*
 * Reads certificate, chain and key, and checks that they belong together. ERR_ARGUMENT. The context
 * that holds them is used for no connection; see SSL_CTX_up_ref() and SSL_CTX_free().
 */
enum err tls_load(const char *certificate_file, const char *key_file, SSL_CTX **ret_identity,
    struct why *why) MUST_USE;

/* Sets on a context what libwebsockets has no option for. New connections show `*identity`, as it
 * is at that moment: it may be replaced on the context's thread. `asks_clients`: for certificates.
 */
void tls_configure(SSL_CTX *context, SSL_CTX **identity, bool asks_clients);

/* Adds the certificates that the client showed, DER, its own first; nothing: none. */
void tls_add_client_chain(const SSL *ssl, struct buf *out);

#endif
