/* SPDX-License-Identifier: Apache-2.0 */
#include "certificate.h"

#include "base64.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

/* Of a chain: more is no chain of a device. */
#define DEPTH_MAX 8

/* MD5, SHA-1 and keys of less than 80 bits of strength sign nothing here. */
#define SECURITY_LEVEL 1

static void free_certificate(X509 **certificate)
{
    X509_free(*certificate);
}

static void free_stack(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Cuts one certificate off the front of a chain; NULL if there is none. */
static X509 *cut(struct span *chain)
{
    const unsigned char *at = (const unsigned char *)chain->ptr;
    if (chain->len == 0)
        return NULL;
    X509 *certificate = d2i_X509(NULL, &at, (long)chain->len);
    if (certificate == NULL)
        ERR_clear_error();
    else
        *chain = span_from(*chain, (size_t)((const char *)at - chain->ptr));
    return certificate;
}

static bool read_time(const ASN1_TIME *time, int64_t *ret_us)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *ret_us = (int64_t)timegm(&tm) * 1000000;
    return true;
}

static bool write_digest(const X509 *certificate, const EVP_MD *kind, char *ret_hex)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(certificate, kind, bytes, &size) != 1)
        return false;
    for (unsigned i = 0; i < size; i++)
        snprintf(ret_hex + (size_t)i * 2, 3, "%02X", bytes[i]);
    return true;
}

static enum err read_common_name(
    struct arena *arena, const X509 *certificate, struct span *ret_name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0)
        return ERR_NONE;
    unsigned char *text = NULL;
    int len =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)));
    if (len < 0)
        return ERR_NONE;
    bool copied = arena_span(arena, (struct span){(const char *)text, (size_t)len}, ret_name);
    OPENSSL_free(text);
    return copied ? ERR_NONE : ERR_MEMORY;
}

static enum err read_subject(struct arena *arena, const X509 *certificate, struct span *ret_text)
{
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio == NULL ||
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0)
        return ERR_MEMORY;
    long len = BIO_get_mem_data(bio, &text);
    return arena_span(arena, (struct span){text, (size_t)len}, ret_text) ? ERR_NONE : ERR_MEMORY;
}

enum err certificate_read(
    struct arena *arena, struct span chain, struct certificate *ret_certificate, struct why *why)
{
    AUTO(free_certificate) X509 *x509 = cut(&chain);
    struct certificate certificate = {.sha1 = ""};
    if (x509 == NULL || !read_time(X509_get0_notBefore(x509), &certificate.from_us) ||
        !read_time(X509_get0_notAfter(x509), &certificate.until_us))
        return fail(ERR_UNAUTHORIZED, why, "the client's certificate cannot be read");
    if (!write_digest(x509, EVP_sha1(), certificate.sha1) ||
        !write_digest(x509, EVP_sha256(), certificate.sha256))
        return ERR_MEMORY;
    enum err err = read_common_name(arena, x509, &certificate.common_name);
    if (err == ERR_NONE)
        err = read_subject(arena, x509, &certificate.subject);
    ERR_clear_error();
    if (err == ERR_NONE)
        *ret_certificate = certificate;
    return err;
}

bool certificate_has_thumbprint(const struct certificate *certificate, struct span thumbprint)
{
    return span_eq_nocase(thumbprint, span_of(certificate->sha1)) ||
           span_eq_nocase(thumbprint, span_of(certificate->sha256));
}

/* ---- judging --------------------------------------------------------------------------------- */

static enum err check_time(
    int64_t from_us, int64_t until_us, int64_t now_us, unsigned skew_s, struct why *why)
{
    int64_t skew_us = (int64_t)skew_s * 1000000;
    if (now_us + skew_us < from_us)
        return fail(ERR_UNAUTHORIZED, why, "a certificate is not valid yet");
    if (now_us - skew_us >= until_us)
        return fail(ERR_UNAUTHORIZED, why, "a certificate is not valid any more");
    return ERR_NONE;
}

enum err certificate_check_time(
    const struct certificate *certificate, int64_t now_us, unsigned skew_s, struct why *why)
{
    return check_time(certificate->from_us, certificate->until_us, now_us, skew_s, why);
}

/* The certificates of a chain behind the first. */
static STACK_OF(X509) * read_helpers(struct span chain)
{
    STACK_OF(X509) *helpers = sk_X509_new_null();
    X509 *helper;
    while (helpers != NULL && sk_X509_num(helpers) < DEPTH_MAX && (helper = cut(&chain)) != NULL)
        if (sk_X509_push(helpers, helper) == 0)
            X509_free(helper);
    return helpers;
}

static X509_STORE *trust(const struct span *authorities, size_t count)
{
    X509_STORE *store = X509_STORE_new();
    for (size_t i = 0; i < count && store != NULL; i++) {
        struct span der = authorities[i];
        AUTO(free_certificate) X509 *authority = cut(&der);
        if (authority != NULL)
            X509_STORE_add_cert(store, authority);
    }
    return store;
}

static bool is_same(X509 *certificate, struct span der)
{
    AUTO(free_certificate) X509 *other = cut(&der);
    return other != NULL && X509_cmp(certificate, other) == 0;
}

/* What OpenSSL found to be right, but for the times. */
static enum err judge_chain(STACK_OF(X509) * found, const struct span *authorities, size_t count,
    int64_t now_us, unsigned skew_s, size_t *ret_which, int64_t *ret_until_us, struct why *why)
{
    int64_t ends_us = INT64_MAX;
    int last = sk_X509_num(found) - 1;
    for (int i = 0; i <= last; i++) {
        int64_t from_us = 0;
        int64_t until_us = 0;
        const X509 *certificate = sk_X509_value(found, i);
        if (!read_time(X509_get0_notBefore(certificate), &from_us) ||
            !read_time(X509_get0_notAfter(certificate), &until_us))
            return fail(ERR_UNAUTHORIZED, why, "a certificate has no time that can be read");
        enum err err = check_time(from_us, until_us, now_us, skew_s, why);
        if (err != ERR_NONE)
            return err;
        ends_us = until_us < ends_us ? until_us : ends_us;
    }
    for (size_t i = 0; i < count && last >= 0; i++) {
        if (!is_same(sk_X509_value(found, last), authorities[i]))
            continue;
        *ret_which = i;
        *ret_until_us = ends_us;
        return ERR_NONE;
    }
    return fail(ERR_UNAUTHORIZED, why, "the certificate leads to no authority of the hub");
}

static void set_rules(X509_STORE_CTX *context)
{
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(context);
    /* An authority may be one in the middle; times are judged with the skew, by us. */
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
    X509_VERIFY_PARAM_set_depth(rules, DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(rules, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_CLIENT);
}

enum err certificate_verify(struct span chain, const struct span *authorities, size_t count,
    int64_t now_us, unsigned skew_s, size_t *ret_which, int64_t *ret_until_us, struct why *why)
{
    AUTO(free_certificate) X509 *leaf = cut(&chain);
    if (leaf == NULL)
        return fail(ERR_UNAUTHORIZED, why, "the client's certificate cannot be read");
    AUTO(free_stack) STACK_OF(X509) *helpers = read_helpers(chain);
    X509_STORE *store = trust(authorities, count);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    enum err err = ERR_MEMORY;
    if (helpers != NULL && store != NULL && context != NULL &&
        X509_STORE_CTX_init(context, store, leaf, helpers) == 1) {
        set_rules(context);
        if (X509_verify_cert(context) == 1)
            err = judge_chain(X509_STORE_CTX_get0_chain(context), authorities, count, now_us,
                skew_s, ret_which, ret_until_us, why);
        else
            err =
                fail(ERR_UNAUTHORIZED, why, "the certificate leads to no authority of the hub: %s",
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return err;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static X509 *read_pem(struct span text)
{
    AUTO(free_bio) BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ERR_clear_error();
    return certificate;
}

/* Base64 of DER, or, as Azure's tools send it, of a PEM text. */
static X509 *read_base64(struct arena *arena, struct span text)
{
    char *bytes = arena_alloc(arena, text.len);
    size_t size = 0;
    if (bytes == NULL || base64_decode(text, bytes, text.len, &size, NULL) != ERR_NONE)
        return NULL;
    struct span der = {bytes, size};
    X509 *certificate = span_starts(der, SPAN_LIT("-----BEGIN")) ? read_pem(der) : cut(&der);
    if (certificate == NULL || der.len == 0 || span_starts(der, SPAN_LIT("-----BEGIN")))
        return certificate;
    X509_free(certificate);
    return NULL;
}

enum err certificate_of_text(
    struct arena *arena, struct span text, struct span *ret_der, struct why *why)
{
    static const struct span begin = SPAN_INIT("-----BEGIN");
    text = span_trim(text);
    AUTO(free_certificate)
    X509 *certificate = span_starts(text, begin) ? read_pem(text) : read_base64(arena, text);
    if (certificate == NULL)
        return fail(ERR_ARGUMENT, why,
            "the certificate must be one X.509 certificate in PEM form, or its DER in base64");
    unsigned char *der = NULL;
    int size = i2d_X509(certificate, &der);
    if (size < 0)
        return ERR_MEMORY;
    bool copied = arena_span(arena, (struct span){(const char *)der, (size_t)size}, ret_der);
    OPENSSL_free(der);
    return copied ? ERR_NONE : ERR_MEMORY;
}

enum err certificate_check_authority(struct span der, struct why *why)
{
    AUTO(free_certificate) X509 *certificate = cut(&der);
    if (certificate != NULL && X509_check_ca(certificate) > 0)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "the certificate is none of an authority: its basic constraints do not say CA:TRUE");
}
