/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of the agent: read whole, replaced as a whole. Sentences name the path, never the
 * content.
 */
#ifndef GEMEL_FILES_H
#define GEMEL_FILES_H

#include "buf.h"

/* Reads a file into `body` (replaced). ERR_NOT_FOUND if it does not exist, ERR_TOO_LARGE, ERR_IO,
 * ERR_MEMORY. */
enum err files_read(const char *path, size_t max_bytes, struct buf *body, struct why *why) MUST_USE;

/* Puts a file in place of the one with this name, or leaves that as it was: after a crash or a loss
 * of power there is the old one or the new one. ERR_IO, ERR_STORAGE_FULL, ERR_MEMORY. */
enum err files_replace(
    const char *dir, const char *name, struct span body, struct why *why) MUST_USE;

/* Moves a damaged file to "<name>.damaged", so that a person can look at it. */
void files_set_aside(const char *dir, const char *name);

/* Joins a directory and a name; NULL without memory; mem_free() it. */
char *files_path(const char *dir, const char *name) MUST_USE;

#endif
