/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include "files.h"
#include "mem.h"

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
        changed = names[i];
    }
    return changed;
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

const char *credentials_path(const struct credentials *credentials, enum credential which)
{
    const char *path = credentials->files[which].path;
    return access(path, F_OK) == 0 ? path : NULL;
}
