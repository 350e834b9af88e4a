/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the configuration directory that a connection is made of, and whether somebody put
 * others in their place since: a renewed certificate or key is used without a restart.
 */
#ifndef GEMEL_CREDENTIALS_H
#define GEMEL_CREDENTIALS_H

#include "err.h"

#include <sys/types.h>
#include <time.h>

enum credential {
    CREDENTIAL_CONNECTION_STRING,
    CREDENTIAL_CA,
    CREDENTIAL_CERTIFICATE,
    CREDENTIAL_KEY,
    CREDENTIAL_COUNT
};

struct credentials {
    struct {
        char *path;
        ino_t inode; /* 0: not there */
        off_t size;
        struct timespec modified;
    } files[CREDENTIAL_COUNT];
};

/* Begins with the files as they are. ERR_MEMORY; `ret_credentials` is then as after done. */
enum err credentials_init(const char *config_dir, struct credentials *ret_credentials) MUST_USE;
void credentials_done(struct credentials *credentials);

/* No file of certificates or keys is larger. */
#define CREDENTIAL_MAX_BYTES (512u << 10)

/*
 * Whether a connection can be made with the files of certificates: what is there can be read and is
 * PEM, and where the client proves itself by certificate, the key is the certificate's. Otherwise
 * the sentence names the file.
 */
enum err credentials_check(
    const struct credentials *credentials, bool by_certificate, struct why *why) MUST_USE;

/* Looks again; returns the name of a file that is another than at the last look, or NULL; that of
 * the connection string before others. */
const char *credentials_changed(struct credentials *credentials);

/* The name of the file; the same text each time. */
const char *credentials_name(enum credential which);

/* The path, or NULL where there is no such file. */
const char *credentials_path(const struct credentials *credentials, enum credential which);

#endif
