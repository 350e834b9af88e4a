/* SPDX-License-Identifier: Apache-2.0 */
#include "data_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err fail_system(struct why *why, const char *path)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return fail(full ? ERR_STORAGE_FULL : ERR_IO, why, "%s: %s", path, strerror(errno));
}

static enum err sync_path(const char *path, struct why *why)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    enum err err = file >= 0 && fsync(file) == 0 ? ERR_NONE : fail_system(why, path);
    if (file >= 0)
        close(file);
    return err;
}

static enum err sync_parent(const char *path, struct why *why)
{
    char parent[DATA_DIRECTORY_PATH_SIZE];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        snprintf(parent, sizeof(parent), ".");
    else
        slash[slash == parent] = '\0';
    return sync_path(parent, why);
}

/* ---- the directory --------------------------------------------------------------------------- */

static enum err check_free(const char *place, struct why *why)
{
    DIR *list = opendir(place);
    if (list == NULL && errno == ENOENT)
        return ERR_NONE;
    if (list == NULL && errno == ENOTDIR)
        return fail(ERR_CONFLICT, why, "%s is there already and is no directory", place);
    if (list == NULL)
        return fail_system(why, place);
    size_t entries = 0;
    while (readdir(list) != NULL)
        entries++;
    closedir(list);
    if (entries > 2) /* "." and ".." */
        return fail(ERR_CONFLICT, why,
            "%s is not empty: nothing in it was touched (choose another directory, or remove it)",
            place);
    return ERR_NONE;
}

enum err data_directory_begin(
    const char *place, struct data_directory *ret_directory, struct why *why)
{
    struct data_directory directory = {0};
    size_t length = strlen(place);
    while (length > 1 && place[length - 1] == '/')
        length--;
    if (length == 0 || length + sizeof(".making-XXXXXX") > sizeof(directory.building))
        return fail(ERR_ARGUMENT, why, "the data directory's path is empty or too long");
    memcpy(directory.place, place, length);
    enum err err = check_free(directory.place, why);
    if (err != ERR_NONE)
        return err;
    memcpy(directory.building, directory.place, length);
    memcpy(directory.building + length, ".making-XXXXXX", sizeof(".making-XXXXXX"));
    if (mkdtemp(directory.building) == NULL)
        return fail_system(why, directory.place);
    *ret_directory = directory;
    return ERR_NONE;
}

enum err data_directory_finish(struct data_directory *directory, struct why *why)
{
    enum err err = sync_path(directory->building, why);
    if (err != ERR_NONE)
        return err;
    /* Renaming over an empty directory is one step; over any other thing it fails. */
    if (rename(directory->building, directory->place) != 0)
        return fail_system(why, directory->place);
    directory->building[0] = '\0';
    return sync_parent(directory->place, why);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void data_directory_done(struct data_directory *directory)
{
    if (directory->building[0] != '\0')
        nftw(directory->building, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    directory->building[0] = '\0';
}

/* ---- its files ------------------------------------------------------------------------------- */

static bool write_all(int file, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(file, bytes.ptr, bytes.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes = span_from(bytes, (size_t)written);
    }
    return fsync(file) == 0;
}

static enum err path_of(const char *directory, const char *name, const char *suffix,
    char ret_path[DATA_DIRECTORY_PATH_SIZE], struct why *why)
{
    int length = snprintf(ret_path, DATA_DIRECTORY_PATH_SIZE, "%s/%s%s", directory, name, suffix);
    if (length < 0 || length >= DATA_DIRECTORY_PATH_SIZE)
        return fail(ERR_ARGUMENT, why, "the data directory's path is too long");
    return ERR_NONE;
}

enum err data_file_write(
    const char *directory, const char *name, struct span bytes, struct why *why)
{
    char path[DATA_DIRECTORY_PATH_SIZE];
    char fresh[DATA_DIRECTORY_PATH_SIZE];
    enum err err = path_of(directory, name, "", path, why);
    if (err == ERR_NONE)
        err = path_of(directory, name, ".new", fresh, why);
    if (err != ERR_NONE)
        return err;
    int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return fail_system(why, fresh);
    if (!write_all(file, bytes))
        err = fail_system(why, fresh);
    close(file);
    if (err == ERR_NONE && rename(fresh, path) != 0)
        err = fail_system(why, path);
    if (err != ERR_NONE) {
        unlink(fresh);
        return err;
    }
    return sync_path(directory, why);
}

enum err data_file_read(const char *directory, const char *name, struct buf *out, struct why *why)
{
    char path[DATA_DIRECTORY_PATH_SIZE];
    enum err err = path_of(directory, name, "", path, why);
    if (err != ERR_NONE)
        return err;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? fail(ERR_NOT_FOUND, why, "there is no file %s", path)
                               : fail_system(why, path);
    ssize_t got = 1;
    while (got > 0 && err == ERR_NONE) {
        char *room = buf_reserve(out, 4096);
        got = room == NULL ? 0 : read(file, room, 4096);
        if (room == NULL)
            err = fail(ERR_MEMORY, why, "no memory to read %s", path);
        else if (got < 0)
            err = fail_system(why, path);
        else
            out->len += (size_t)got;
    }
    close(file);
    return err;
}
