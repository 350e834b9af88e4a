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

/*
 * Replacing a file takes two steps, so that what is slow can come later:
 *
 *   files_stage()    writes "<name>.new": a crash of the process does not lose it any more
 *   files_commit()   makes it durable and puts it in place: nor does a loss of power
 *
 * In between a loss of power may leave anything in "<name>.new"; the file itself is always whole. A
 * step that fails removes "<name>.new". ERR_IO, ERR_STORAGE_FULL, ERR_MEMORY.
 */
enum err files_stage(const char *dir, const char *name, struct span body, struct why *why) MUST_USE;
enum err files_commit(const char *dir, const char *name, struct why *why) MUST_USE;

/* Moves a damaged file to "<name>.damaged", so that a person can look at it. */
void files_set_aside(const char *dir, const char *name);

/* Joins a directory and a name; NULL without memory; mem_free() it. */
char *files_path(const char *dir, const char *name) MUST_USE;

#endif
