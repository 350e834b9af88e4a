/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_priv.h"

#include "files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#define SIGNATURE_BYTES 64
#define SIGNATURE_CHARACTERS 88 /* ends in one or two '=' */

/* Takes one PEM block in. */
static enum err add_key(struct trusted *trusted, const char *name, const unsigned char *der,
    long size, const char *path, struct why *why)
{
    if (strcmp(name, PEM_STRING_PUBLIC) != 0)
        return fail(ERR_FORMAT, why, "%s holds \"%s\", not public keys alone", path, name);
    if (trusted->count == TRUSTED_KEYS_MAX)
        return fail(ERR_FORMAT, why, "%s holds more than %u keys", path, TRUSTED_KEYS_MAX - 1);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, size);
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(key);
        return fail(ERR_FORMAT, why, "%s: key %zu is no Ed25519 key", path, trusted->count);
    }
    trusted->keys[trusted->count++] = key;
    return ERR_NONE;
}

static enum err read_keys(
    struct span text, struct trusted *trusted, const char *path, struct why *why)
{
    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    if (bio == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    enum err err = ERR_NONE;
    size_t before = trusted->count;
    char *name, *header;
    unsigned char *der;
    long size;
    while (err == ERR_NONE && PEM_read_bio(bio, &name, &header, &der, &size) == 1) {
        err = add_key(trusted, name, der, size, path, why);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    /* At the end of the text there is no further block, which is no fault; anything else is. */
    if (err == ERR_NONE &&
        (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || trusted->count == before))
        err = fail(ERR_FORMAT, why, "%s: key %zu is no public key in PEM", path,
            trusted->count - before + 1);
    while (err != ERR_NONE && trusted->count > before)
        EVP_PKEY_free(trusted->keys[--trusted->count]);
    ERR_clear_error();
    BIO_free(bio);
    return err;
}

enum err trusted_open(const char *keys_path, struct trusted *ret_trusted, struct why *why)
{
    *ret_trusted = (struct trusted){.count = 0};
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, baseline_key, sizeof(baseline_key));
    if (key == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    ret_trusted->keys[ret_trusted->count++] = key;
    struct stat file;
    if (keys_path == NULL || stat(keys_path, &file) != 0)
        return ERR_NONE;
    if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(ERR_FORMAT, why, "%s can be written to by others than its owner: mode %04o",
            keys_path, file.st_mode & 07777u);
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    enum err err = files_read(keys_path, KEYS_FILE_MAX, &text, why);
    return err == ERR_NONE ? read_keys(buf_span(&text), ret_trusted, keys_path, why) : err;
}

void trusted_close(struct trusted *trusted)
{
    while (trusted->count > 0)
        EVP_PKEY_free(trusted->keys[--trusted->count]);
}

/* Of the many texts that decode to the same bytes only one is a signature: nothing in the file can
 * be altered unnoticed. */
static bool decode(struct span text, unsigned char ret_bytes[SIGNATURE_CHARACTERS])
{
    unsigned char again[SIGNATURE_CHARACTERS + 1];
    if (text.len != SIGNATURE_CHARACTERS + 1 || text.ptr[SIGNATURE_CHARACTERS] != '\n')
        return false;
    if (EVP_DecodeBlock(ret_bytes, (const unsigned char *)text.ptr, SIGNATURE_CHARACTERS) < 0)
        return false;
    EVP_EncodeBlock(again, ret_bytes, SIGNATURE_BYTES);
    return memcmp(again, text.ptr, SIGNATURE_CHARACTERS) == 0;
}

enum err signature_check(
    const struct trusted *trusted, struct span bytes, struct span signature, struct why *why)
{
    unsigned char raw[SIGNATURE_CHARACTERS];
    if (!decode(signature, raw))
        return fail(ERR_FORMAT, why, "the signature is not 64 bytes in base64 on one line");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    enum err err = ERR_UNAUTHORIZED;
    for (size_t i = 0; i < trusted->count && err != ERR_NONE; i++) {
        EVP_MD_CTX_reset(context);
        if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, trusted->keys[i]) == 1 &&
            EVP_DigestVerify(
                context, raw, SIGNATURE_BYTES, (const unsigned char *)bytes.ptr, bytes.len) == 1)
            err = ERR_NONE;
    }
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (err != ERR_NONE)
        return fail(err, why, "the signature is not by a trusted key, or the file was altered");
    return ERR_NONE;
}
