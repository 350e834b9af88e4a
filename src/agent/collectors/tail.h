/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows a file that others append to, of lines or of records of one size, through everything that
 * keeps such files short:
 *
 *   renamed, made anew    the old one is read to its end, for a while longer by whoever still
 *                         writes there, then those between (FILE.2, FILE.1), then the new one
 *   copied, cut to zero   what was not read yet is read from the copy, FILE.1
 *   removed, made later   as renamed
 *
 * A position tells how far a file was read. It holds the file's identity, and a hash of the bytes
 * before it, so that it is found again in a renamed file or in a copy, and never in a file that
 * only has the same inode or the same length. What is not complete yet is not passed.
 *
 * Nothing blocks, and one call reads a bounded piece. Not for two threads at once.
 */
#ifndef GEMEL_TAIL_H
#define GEMEL_TAIL_H

#include "err.h"
#include "span.h"

/* The longest line; what is longer is skipped as a whole. */
#define TAIL_LINE_MAX 8192u

struct tail_position {
    uint64_t device;
    uint64_t inode;
    uint64_t offset;
    uint64_t print; /* hash of the last bytes before the offset */
    bool in_line;   /* within a line that is being skipped */
};

struct tail_options {
    const char *path;
    size_t record_bytes; /* 0: lines */
    /* Takes a line without its end, or a record, and the position behind it. False, of a record: it
     * is none; the next is looked for a byte further on. */
    bool (*take)(void *self, struct span bytes, const struct tail_position *after);
    void *self;
};

struct tail;

/* Begins with nothing open; copies the options, borrows the path. */
enum err tail_new(const struct tail_options *options, struct tail **ret_tail) MUST_USE;
void tail_free(struct tail *tail); /* NULL is fine */

/* Where to begin, before the first tail_run(): at the end of what is there now (a file that appears
 * later is read from its beginning), or at a position of before. False: what stood there is gone;
 * it is then read from the beginning of the oldest file that was written to since a moment (wall
 * time), or of the one that is there. */
void tail_begin_at_end(struct tail *tail);
bool tail_begin_at(struct tail *tail, const struct tail_position *position, int64_t since_us);

/* Reads, at most about `budget` bytes; true: there may be more at once. */
bool tail_run(struct tail *tail, int64_t wall_us, int64_t mono_us, size_t budget);

/* How far it was read; all zero if no file was there yet. */
struct tail_position tail_position(const struct tail *tail);

/* Reads again at most `bytes` of what stands before the position, for `take`, without moving. */
void tail_look_back(struct tail *tail, size_t bytes,
    bool (*take)(void *self, struct span bytes, const struct tail_position *after));

/* Whether the file is there, by its path. */
bool tail_exists(const struct tail *tail);

/* The bytes of the file that is read; 0 if there is none, or the path names another by now. */
uint64_t tail_file_bytes(const struct tail *tail);

#endif
