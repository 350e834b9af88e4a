/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory appears as a whole or not at all: it is built beside its place, under a name of
 * its own, and renamed into it. Files in it are replaced as a whole too, and are on the disk when a
 * function returns. Nothing in it is readable by others than the owner.
 */
#ifndef GEMEL_HUB_DATA_DIRECTORY_H
#define GEMEL_HUB_DATA_DIRECTORY_H

#include "buf.h"

#define DATA_DIRECTORY_PATH_SIZE 4096

struct data_directory {
    char place[DATA_DIRECTORY_PATH_SIZE];    /* where it will be */
    char building[DATA_DIRECTORY_PATH_SIZE]; /* where it is meanwhile; empty: nowhere */
};

/* Makes an empty directory beside `place`. ERR_CONFLICT if something is at `place` that is no
 * empty directory; ERR_IO. */
enum err data_directory_begin(
    const char *place, struct data_directory *ret_directory, struct why *why) MUST_USE;

/* Puts it into its place. */
enum err data_directory_finish(struct data_directory *directory, struct why *why) MUST_USE;

/* Removes what was begun and not finished. */
void data_directory_done(struct data_directory *directory);

/* Writes directory/name: a reader finds the old file or the new one. ERR_IO, ERR_STORAGE_FULL. */
enum err data_file_write(
    const char *directory, const char *name, struct span bytes, struct why *why) MUST_USE;

/* Reads directory/name into `out`. ERR_NOT_FOUND, ERR_IO, ERR_MEMORY. */
enum err data_file_read(
    const char *directory, const char *name, struct buf *out, struct why *why) MUST_USE;

#endif
