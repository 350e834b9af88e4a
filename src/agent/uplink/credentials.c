/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include "files.h"
#include "mem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[CREDENTIAL_COUNT] = {
    [CREDENTIAL_CONNECTION_STRING] = "connection_string.txt",
    [CREDENTIAL_CA] = "ca.pem",
    [CREDENTIAL_CERTIFICATE] = "certificate_public.pem",
    [CREDENTIAL_KEY] = "certificate_private.pem",
};

const char *credentials_changed(struct credentials *credentials)
{
    const char *changed = NULL;
    for (size_t i = 0; i < CREDENTIAL_COUNT; i++) {
        struct stat now = {.st_ino = 0};
        if (stat(credentials->files[i].path, &now) != 0)
            now = (struct stat){.st_ino = 0};
        if (now.st_ino == credentials->files[i].inode &&
            now.st_size == credentials->files[i].size &&
            now.st_mtim.tv_sec == credentials->files[i].modified.tv_sec &&
            now.st_mtim.tv_nsec == credentials->files[i].modified.tv_nsec)
            continue;
        credentials->files[i].inode = now.st_ino;
        credentials->files[i].size = now.st_size;
        credentials->files[i].modified = now.st_mtim;
        if (changed == NULL)
            changed = names[i];
    }
    return changed;
}

const char *credentials_name(enum credential which)
{
    return names[which];
}

enum err credentials_init(const char *config_dir, struct credentials *ret_credentials)
{
    *ret_credentials = (struct credentials){0};
    for (size_t i = 0; i < CREDENTIAL_COUNT; i++) {
        ret_credentials->files[i].path = files_path(config_dir, names[i]);
        if (ret_credentials->files[i].path == NULL) {
            credentials_done(ret_credentials);
            return ERR_MEMORY;
        }
    }
    credentials_changed(ret_credentials);
    return ERR_NONE;
}

void credentials_done(struct credentials *credentials)
{
    for (size_t i = 0; i < CREDENTIAL_COUNT; i++)
        mem_free(credentials->files[i].path);
    *credentials = (struct credentials){0};
}

/* ---- what is in them ---- */

/* There is nobody to ask for a pass phrase. */
static int no_pass_phrase(
    char *room UNUSED, int size UNUSED, int for_writing UNUSED, void *self UNUSED)
{
    return -1;
}

static enum err check_pair(struct span certificate, struct span key, struct why *why)
{
    BIO *certificate_bio = BIO_new_mem_buf(certificate.ptr, (int)certificate.len);
    BIO *key_bio = BIO_new_mem_buf(key.ptr, (int)key.len);
    X509 *x509 = certificate_bio == NULL
                     ? NULL
                     : PEM_read_bio_X509(certificate_bio, NULL, no_pass_phrase, NULL);
    EVP_PKEY *pkey =
        key_bio == NULL ? NULL : PEM_read_bio_PrivateKey(key_bio, NULL, no_pass_phrase, NULL);
    enum err err = ERR_NONE;
    if (x509 == NULL)
        err =
            fail(ERR_FORMAT, why, "%s does not hold a certificate", names[CREDENTIAL_CERTIFICATE]);
    else if (pkey == NULL)
        err = fail(ERR_FORMAT, why, "%s does not hold a private key without a pass phrase",
            names[CREDENTIAL_KEY]);
    else if (X509_check_private_key(x509, pkey) != 1)
        err = fail(ERR_FORMAT, why, "%s is not the key of %s", names[CREDENTIAL_KEY],
            names[CREDENTIAL_CERTIFICATE]);
    EVP_PKEY_free(pkey);
    X509_free(x509);
    BIO_free(key_bio);
    BIO_free(certificate_bio);
    ERR_clear_error();
    return err;
}

/* Reads one that must be there, or may be missing. */
static enum err read_pem(const char *path, bool needed, struct buf *content, struct why *why)
{
    static const char begins[] = "-----BEGIN ";
    struct why reason = {""};
    enum err err = files_read(path, CREDENTIAL_MAX_BYTES, content, &reason);
    if (err == ERR_NOT_FOUND && !needed)
        return ERR_NONE;
    if (err != ERR_NONE)
        return fail(err, why, "%s%s", why_text(&reason, err),
            needed ? "; a certificate is to prove who this is (x509=true)" : "");
    if (content->len == 0 || memmem(content->ptr, content->len, begins, sizeof(begins) - 1) == NULL)
        return fail(ERR_FORMAT, why, "%s is no PEM file", path);
    return ERR_NONE;
}

enum err credentials_check(
    const struct credentials *credentials, bool by_certificate, struct why *why)
{
    struct buf contents[CREDENTIAL_COUNT] = {BUF_EMPTY};
    struct buf *certificate = &contents[CREDENTIAL_CERTIFICATE];
    struct buf *key = &contents[CREDENTIAL_KEY];
    int last = by_certificate ? CREDENTIAL_KEY : CREDENTIAL_CA;
    enum err err = ERR_NONE;
    for (int i = CREDENTIAL_CA; i <= last && err == ERR_NONE; i++)
        err = read_pem(credentials->files[i].path, i != CREDENTIAL_CA, &contents[i], why);
    if (err == ERR_NONE && by_certificate)
        err = check_pair(buf_span(certificate), buf_span(key), why);
    for (int i = 0; i < CREDENTIAL_COUNT; i++)
        buf_wipe(&contents[i]);
    return err;
}

const char *credentials_path(const struct credentials *credentials, enum credential which)
{
    const char *path = credentials->files[which].path;
    return access(path, F_OK) == 0 ? path : NULL;
}
