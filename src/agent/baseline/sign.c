/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs check files while the project is built:
 *
 *   gemel-baseline-sign KEY SOURCE DIR FILE…
 *
 * copies each file into DIR with FILE.sig beside it, and writes SOURCE, the public key as the agent
 * compiles it in. KEY is a private key in PEM; "-" makes one that is forgotten when this ends. It
 * runs on the machine that builds, so it stands alone: libc and OpenSSL.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)
#define PATH_SIZE 4096

static char content[FILE_MAX + 1];

static void stop(const char *what, const char *name)
{
    fprintf(stderr, "gemel-baseline-sign: %s %s\n", what, name);
    exit(1);
}

static EVP_PKEY *open_key(const char *path)
{
    if (strcmp(path, "-") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FILE *file = fopen(path, "r");
    if (file == NULL)
        stop("cannot read the key", path);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    return key;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        stop("cannot write", path);
}

static void write_source(EVP_PKEY *key, const char *path)
{
    unsigned char raw[32];
    size_t size = sizeof(raw);
    char text[512];
    if (EVP_PKEY_get_raw_public_key(key, raw, &size) != 1 || size != sizeof(raw))
        stop("no Ed25519 key:", path);
    size_t len = (size_t)snprintf(text, sizeof(text),
        "extern const unsigned char baseline_key[32];\n"
        "const unsigned char baseline_key[32] = {");
    for (size_t i = 0; i < size; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "0x%02x,", raw[i]);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "};\n");
    write_file(path, text, len);
}

static void sign_file(EVP_PKEY *key, const char *dir, const char *source)
{
    FILE *file = fopen(source, "r");
    if (file == NULL)
        stop("cannot read", source);
    size_t size = fread(content, 1, sizeof(content), file);
    fclose(file);
    if (size == 0 || size > FILE_MAX)
        stop("empty, or larger than 1 MiB:", source);

    unsigned char signature[64];
    char text[96];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &len, (const unsigned char *)content, size) != 1)
        stop("cannot sign", source);
    EVP_MD_CTX_free(context);
    int characters = EVP_EncodeBlock((unsigned char *)text, signature, (int)len);
    text[characters] = '\n';

    const char *slash = strrchr(source, '/');
    const char *name = slash == NULL ? source : slash + 1;
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    write_file(path, content, size);
    snprintf(path, sizeof(path), "%s/%s.sig", dir, name);
    write_file(path, text, (size_t)characters + 1);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        stop("usage: gemel-baseline-sign", "KEY SOURCE DIR FILE…");
    EVP_PKEY *key = open_key(argv[1]);
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
        stop("no Ed25519 private key in PEM:", argv[1]);
    write_source(key, argv[2]);
    for (int i = 4; i < argc; i++)
        sign_file(key, argv[3], argv[i]);
    EVP_PKEY_free(key);
    return 0;
}
