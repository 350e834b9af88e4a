/* SPDX-License-Identifier: Apache-2.0 */
#include "certificates.h"
#include "data_directory.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#define CA_DAYS 3653
#define SERVER_DAYS 365
/* Clients whose clock is behind must not refuse a certificate that was just made. */
#define HEAD_START_SECONDS 86400

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_certificate(X509 **certificate)
{
    X509_free(*certificate);
}

static void free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static enum err fail_crypto(struct why *why, const char *doing)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    return fail(ERR_SERVER, why, "%s: %s", doing, text);
}

/* ---- names ----------------------------------------------------------------------------------- */

static GENERAL_NAME *new_name(struct span text)
{
    char name[256];
    if (!span_copy(text, name, sizeof(name)))
        return NULL;
    GENERAL_NAME *general = GENERAL_NAME_new();
    if (general == NULL)
        return NULL;
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    if (address != NULL) {
        GENERAL_NAME_set0_value(general, GEN_IPADD, address);
        return general;
    }
    ERR_clear_error();
    ASN1_IA5STRING *dns = ASN1_IA5STRING_new();
    if (dns == NULL || !ASN1_STRING_set(dns, name, -1)) {
        ASN1_IA5STRING_free(dns);
        GENERAL_NAME_free(general);
        return NULL;
    }
    GENERAL_NAME_set0_value(general, GEN_DNS, dns);
    return general;
}

static bool add_name(GENERAL_NAMES *names, struct span text)
{
    GENERAL_NAME *name = new_name(text);
    if (name == NULL)
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0) {
            GENERAL_NAME_free(name);
            return true;
        }
    }
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static GENERAL_NAMES *new_names(const struct span *texts, size_t count)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    bool complete = names != NULL;
    for (size_t i = 0; i < count && complete; i++)
        complete = add_name(names, texts[i]);
    for (size_t i = 0; i < COUNT_OF(always) && complete; i++)
        complete = add_name(names, span_of(always[i]));
    if (complete)
        return names;
    GENERAL_NAMES_free(names);
    return NULL;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7F) | 0x40; /* positive, and never short */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool done =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool set_times(X509 *certificate, const X509 *issuer, int64_t now_us, int days)
{
    time_t now = (time_t)(now_us / 1000000);
    if (X509_time_adj_ex(X509_getm_notBefore(certificate), 0, -HEAD_START_SECONDS, &now) == NULL ||
        X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, &now) == NULL)
        return false;
    /* What outlives its issuer is refused by some clients. */
    if (issuer != NULL &&
        ASN1_TIME_compare(X509_get0_notAfter(issuer), X509_get0_notAfter(certificate)) < 0)
        return X509_set1_notAfter(certificate, X509_get0_notAfter(issuer)) == 1;
    return true;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool add_subject(X509_NAME *subject, const char *common_name)
{
    return X509_NAME_add_entry_by_txt(
               subject, "O", MBSTRING_UTF8, (const unsigned char *)"Gemel", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(
               subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1;
}

/* The part that both kinds share; `issuer` NULL: signed by itself. */
static bool begin_certificate(X509 *certificate, X509 *issuer, EVP_PKEY *key,
    const char *common_name, int64_t now_us, int days)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_times(certificate, issuer, now_us, days) && add_subject(subject, common_name) &&
           X509_set_issuer_name(
               certificate, issuer == NULL ? subject : X509_get_subject_name(issuer)) == 1 &&
           X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NULL, NID_subject_key_identifier, "hash");
}

static enum err make_ca(EVP_PKEY *key, int64_t now_us, X509 **ret_ca, struct why *why)
{
    /* A name of its own for each CA: people put several into one trust store. */
    unsigned char random[4];
    char name[64];
    if (RAND_bytes(random, sizeof(random)) != 1)
        return fail_crypto(why, "making the CA's name");
    snprintf(name, sizeof(name), "Gemel private CA %02x%02x%02x%02x", random[0], random[1],
        random[2], random[3]);
    X509 *ca = X509_new();
    if (ca == NULL || !begin_certificate(ca, NULL, key, name, now_us, CA_DAYS) ||
        !add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        X509_sign(ca, key, EVP_sha256()) == 0) {
        X509_free(ca);
        return fail_crypto(why, "making the CA certificate");
    }
    *ret_ca = ca;
    return ERR_NONE;
}

static enum err make_server(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key, GENERAL_NAMES *names,
    int64_t now_us, X509 **ret_server, struct why *why)
{
    X509 *server = X509_new();
    if (server == NULL || !begin_certificate(server, ca, key, "gemel-hub", now_us, SERVER_DAYS) ||
        !add_extension(server, ca, NID_authority_key_identifier, "keyid:always") ||
        !add_extension(server, ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(server, ca, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(server, ca, NID_ext_key_usage, "serverAuth") ||
        X509_add1_ext_i2d(server, NID_subject_alt_name, names, 0, 0) != 1 ||
        X509_sign(server, ca_key, EVP_sha256()) == 0) {
        X509_free(server);
        return fail_crypto(why, "making the server certificate");
    }
    *ret_server = server;
    return ERR_NONE;
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum err write_bio(const char *directory, const char *name, BIO *bio, struct why *why)
{
    char *ptr = NULL;
    long len = BIO_get_mem_data(bio, &ptr);
    if (len <= 0)
        return fail_crypto(why, name);
    return data_file_write(directory, name, (struct span){ptr, (size_t)len}, why);
}

static enum err write_certificates(
    const char *directory, const char *name, X509 *first, X509 *second, struct why *why)
{
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_X509(bio, first) != 1 ||
        (second != NULL && PEM_write_bio_X509(bio, second) != 1))
        return fail_crypto(why, name);
    return write_bio(directory, name, bio, why);
}

static enum err write_key(const char *directory, const char *name, EVP_PKEY *key, struct why *why)
{
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return fail_crypto(why, name);
    return write_bio(directory, name, bio, why);
}

static void wipe_and_free(struct buf *bytes)
{
    OPENSSL_cleanse(bytes->ptr, bytes->len);
    buf_done(bytes);
}

/* No file of a key or of certificates comes near this; BIO_new_mem_buf() takes an int. */
#define FILE_MAX_BYTES 1048576

static enum err open_file(
    const char *directory, const char *name, struct buf *bytes, BIO **ret_bio, struct why *why)
{
    bytes->limit_bytes = FILE_MAX_BYTES;
    enum err err = data_file_read(directory, name, bytes, why);
    if (err != ERR_NONE)
        return err;
    BIO *bio = BIO_new_mem_buf(bytes->ptr == NULL ? "" : bytes->ptr, (int)bytes->len);
    if (bio == NULL)
        return fail(ERR_MEMORY, why, "no memory for %s", name);
    *ret_bio = bio;
    return ERR_NONE;
}

static enum err read_certificate(
    const char *directory, const char *name, X509 **ret_certificate, struct why *why)
{
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    AUTO(free_bio) BIO *bio = NULL;
    enum err err = open_file(directory, name, &bytes, &bio, why);
    if (err != ERR_NONE)
        return err;
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ERR_clear_error();
    if (certificate == NULL)
        return fail(ERR_CORRUPT, why, "%s/%s holds no certificate", directory, name);
    *ret_certificate = certificate;
    return ERR_NONE;
}

/* A key with a passphrase is refused instead of asking the terminal for it. */
static int no_passphrase(char *text, int size, int writing, void *self)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)self;
    return -1;
}

static enum err read_key(
    const char *directory, const char *name, EVP_PKEY **ret_key, struct why *why)
{
    AUTO(wipe_and_free) struct buf bytes = BUF_EMPTY;
    AUTO(free_bio) BIO *bio = NULL;
    enum err err = open_file(directory, name, &bytes, &bio, why);
    if (err != ERR_NONE)
        return err;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    if (key == NULL)
        return fail(ERR_CORRUPT, why, "%s/%s holds no private key", directory, name);
    *ret_key = key;
    return ERR_NONE;
}

/* ---- making ---------------------------------------------------------------------------------- */

static enum err renew(const char *directory, GENERAL_NAMES *names, int64_t now_us, struct why *why)
{
    AUTO(free_certificate) X509 *ca = NULL;
    AUTO(free_key) EVP_PKEY *ca_key = NULL;
    AUTO(free_key) EVP_PKEY *key = NULL;
    AUTO(free_certificate) X509 *server = NULL;
    enum err err = read_certificate(directory, CERTIFICATES_CA_FILE, &ca, why);
    if (err == ERR_NONE)
        err = read_key(directory, CERTIFICATES_CA_KEY_FILE, &ca_key, why);
    if (err == ERR_NONE)
        err = read_key(directory, CERTIFICATES_SERVER_KEY_FILE, &key, why);
    if (err == ERR_NONE && X509_check_private_key(ca, ca_key) != 1) {
        ERR_clear_error();
        err = fail(ERR_CORRUPT, why, "ca.key in %s is not the key of ca.pem", directory);
    }
    if (err == ERR_NONE)
        err = make_server(ca, ca_key, key, names, now_us, &server, why);
    if (err == ERR_NONE)
        err = write_certificates(directory, CERTIFICATES_SERVER_FILE, server, ca, why);
    return err;
}

enum err certificates_make(
    const char *directory, const struct span *names, size_t count, int64_t now_us, struct why *why)
{
    AUTO(free_key) EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    AUTO(free_key) EVP_PKEY *key = EVP_EC_gen("P-256");
    if (ca_key == NULL || key == NULL)
        return fail_crypto(why, "making the keys");
    AUTO(free_certificate) X509 *ca = NULL;
    enum err err = make_ca(ca_key, now_us, &ca, why);
    if (err == ERR_NONE)
        err = write_key(directory, CERTIFICATES_CA_KEY_FILE, ca_key, why);
    if (err == ERR_NONE)
        err = write_certificates(directory, CERTIFICATES_CA_FILE, ca, NULL, why);
    if (err == ERR_NONE)
        err = write_key(directory, CERTIFICATES_SERVER_KEY_FILE, key, why);
    if (err != ERR_NONE)
        return err;
    AUTO(free_names) GENERAL_NAMES *general = new_names(names, count);
    if (general == NULL)
        return fail(ERR_ARGUMENT, why, "a host name cannot stand in a certificate");
    return renew(directory, general, now_us, why);
}

/* ---- keeping --------------------------------------------------------------------------------- */

static bool ends_within(const X509 *certificate, unsigned days, int64_t now_us)
{
    time_t limit = (time_t)(now_us / 1000000) + (time_t)days * 86400;
    return X509_cmp_time(X509_get0_notAfter(certificate), &limit) <= 0;
}

static bool has_file(const char *directory, const char *name)
{
    AUTO(wipe_and_free) struct buf bytes = BUF_EMPTY;
    return data_file_read(directory, name, &bytes, NULL) != ERR_NOT_FOUND;
}

/* Whether the server certificate is ours to replace. */
static enum err is_ours(const char *directory, X509 *server, bool *ret_ours, struct why *why)
{
    *ret_ours = false;
    if (!has_file(directory, CERTIFICATES_CA_KEY_FILE) ||
        !has_file(directory, CERTIFICATES_CA_FILE))
        return ERR_NONE;
    AUTO(free_certificate) X509 *ca = NULL;
    enum err err = read_certificate(directory, CERTIFICATES_CA_FILE, &ca, why);
    if (err != ERR_NONE)
        return err;
    *ret_ours = X509_verify(server, X509_get0_pubkey(ca)) == 1;
    ERR_clear_error();
    return ERR_NONE;
}

static bool has_name(GENERAL_NAMES *names, GENERAL_NAME *wanted)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), wanted) == 0)
            return true;
    return false;
}

static bool same_names(GENERAL_NAMES *present, GENERAL_NAMES *wanted)
{
    if (present == NULL || sk_GENERAL_NAME_num(present) != sk_GENERAL_NAME_num(wanted))
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(wanted); i++)
        if (!has_name(present, sk_GENERAL_NAME_value(wanted, i)))
            return false;
    return true;
}

static bool covers(X509 *server, struct span name)
{
    char text[256];
    if (!span_copy(name, text, sizeof(text)))
        return false;
    return X509_check_ip_asc(server, text, 0) == 1 ||
           X509_check_host(server, text, 0, 0, NULL) == 1;
}

/* What to say of a certificate that is not ours. */
static enum err check_covered(X509 *server, const struct span *names, size_t count, struct why *why)
{
    AUTO(buf_done) struct buf missing = BUF_EMPTY;
    for (size_t i = 0; i < count; i++)
        if (!covers(server, names[i]))
            buf_add_format(&missing, "%s%.*s", missing.len == 0 ? "" : ", ", SPAN_ARG(names[i]));
    ERR_clear_error();
    if (missing.failed)
        return ERR_MEMORY;
    if (missing.len == 0)
        return ERR_NONE;
    return fail(ERR_REFUSED, why,
        "the server's certificate does not cover %.*s, and was not made here: put one that does "
        "into its place and send SIGHUP",
        SPAN_ARG(buf_span(&missing)));
}

enum err certificates_cover(const char *directory, const struct span *names, size_t count,
    int64_t now_us, bool *ret_renewed, struct why *why)
{
    AUTO(free_certificate) X509 *server = NULL;
    bool ours = false;
    enum err err = read_certificate(directory, CERTIFICATES_SERVER_FILE, &server, why);
    if (err == ERR_NONE)
        err = is_ours(directory, server, &ours, why);
    if (err == ERR_NONE && !ours) {
        err = check_covered(server, names, count, why);
        if (err == ERR_NONE)
            *ret_renewed = false;
    }
    if (err != ERR_NONE || !ours)
        return err;
    AUTO(free_names) GENERAL_NAMES *wanted = new_names(names, count);
    if (wanted == NULL)
        return fail(ERR_ARGUMENT, why, "a host name cannot stand in a certificate");
    AUTO(free_names)
    GENERAL_NAMES *present = X509_get_ext_d2i(server, NID_subject_alt_name, NULL, NULL);
    bool due = !same_names(present, wanted);
    if (due)
        err = renew(directory, wanted, now_us, why);
    if (err == ERR_NONE)
        *ret_renewed = due;
    return err;
}

enum err certificates_renew_if_due(
    const char *directory, unsigned days, int64_t now_us, bool *ret_renewed, struct why *why)
{
    AUTO(free_certificate) X509 *server = NULL;
    bool due = false;
    enum err err = read_certificate(directory, CERTIFICATES_SERVER_FILE, &server, why);
    if (err == ERR_NONE && ends_within(server, days, now_us))
        err = is_ours(directory, server, &due, why);
    if (err != ERR_NONE)
        return err;
    if (due) {
        AUTO(free_names)
        GENERAL_NAMES *names = X509_get_ext_d2i(server, NID_subject_alt_name, NULL, NULL);
        if (names == NULL)
            return fail(ERR_CORRUPT, why, "the certificate in %s/%s names no host", directory,
                CERTIFICATES_SERVER_FILE);
        err = renew(directory, names, now_us, why);
    }
    if (err == ERR_NONE)
        *ret_renewed = due;
    return err;
}

enum err certificates_check(const char *directory, struct why *why)
{
    AUTO(free_certificate) X509 *server = NULL;
    AUTO(free_key) EVP_PKEY *key = NULL;
    enum err err = read_certificate(directory, CERTIFICATES_SERVER_FILE, &server, why);
    if (err == ERR_NONE)
        err = read_key(directory, CERTIFICATES_SERVER_KEY_FILE, &key, why);
    if (err != ERR_NONE || X509_check_private_key(server, key) == 1)
        return err;
    ERR_clear_error();
    return fail(ERR_CORRUPT, why,
        "%s/" CERTIFICATES_SERVER_KEY_FILE " is not the key of " CERTIFICATES_SERVER_FILE,
        directory);
}
