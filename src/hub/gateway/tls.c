/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

/* What a client may show of itself: a chain of a few certificates. */
#define CLIENT_CHAIN_BYTES 32768

static enum err check_readable(const char *what, const char *file, struct why *why)
{
    FILE *stream = fopen(file, "re");
    if (stream == NULL)
        return fail(ERR_ARGUMENT, why, "the server's %s, %s, cannot be read: %s", what, file,
            strerror(errno));
    fclose(stream);
    return ERR_NONE;
}

static enum err refuse(const char *what, const char *file, struct why *why)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    enum err err = fail(ERR_ARGUMENT, why, "the server's %s, %s, is not usable: %s", what, file,
        reason == NULL ? "not in PEM form" : reason);
    ERR_clear_error();
    return err;
}

enum err tls_load(
    const char *certificate_file, const char *key_file, SSL_CTX **ret_identity, struct why *why)
{
    enum err err = check_readable("certificate", certificate_file, why);
    if (err == ERR_NONE)
        err = check_readable("key", key_file, why);
    if (err != ERR_NONE)
        return err;

    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return fail(ERR_MEMORY, why, "no memory for TLS");
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
        err = refuse("certificate", certificate_file, why);
    else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        err = refuse("key", key_file, why);
    if (err == ERR_NONE)
        *ret_identity = context;
    else
        SSL_CTX_free(context);
    return err;
}

/* Per connection, because a context cannot forget a certificate: one of another kind of key would
 * be offered beside the new one. */
static int show_identity(SSL *ssl, void *self)
{
    SSL_CTX *identity = *(SSL_CTX **)self;
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(identity, &chain);
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(
        ssl, SSL_CTX_get0_certificate(identity), SSL_CTX_get0_privatekey(identity), chain, 1);
}

static int accept_any(X509_STORE_CTX *context, void *self)
{
    (void)self;
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

static void add_certificate(const X509 *certificate, struct buf *out)
{
    unsigned char *der = NULL;
    int size = i2d_X509(certificate, &der);
    if (size < 0)
        out->failed = true;
    else
        buf_add(out, (struct span){(const char *)der, (size_t)size});
    OPENSSL_free(der);
}

void tls_add_client_chain(const SSL *ssl, struct buf *out)
{
    const X509 *own = SSL_get0_peer_certificate(ssl);
    STACK_OF(X509) *others = SSL_get_peer_cert_chain(ssl);
    if (own == NULL)
        return;
    add_certificate(own, out);
    for (int i = 0; i < sk_X509_num(others); i++)
        add_certificate(sk_X509_value(others, i), out);
}

void tls_configure(SSL_CTX *context, SSL_CTX **identity, bool asks_clients)
{
    SSL_CTX_set_cert_cb(context, show_identity, identity);
    SSL_CTX_set_verify(context, asks_clients ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
    SSL_CTX_set_max_cert_list(context, CLIENT_CHAIN_BYTES);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    /* libwebsockets leaves one curve only, which costs most TLS 1.3 clients a round trip. */
    SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}
