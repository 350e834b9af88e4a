/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the machine that is judged, seen below one directory: its root. Symbolic links, also
 * absolute ones, stay inside (openat2, RESOLVE_IN_ROOT), so that a test's folder is a whole machine
 * and that what another mount namespace's root holds is read as it is seen there. Where the kernel
 * has no openat2 (before Linux 5.6), links are followed as always.
 *
 * What is read may be anything that somebody put there. Only regular files are opened: never a
 * device or a FIFO. A line is at most LINE_BYTES_MAX bytes, a file at most FILE_BYTES_MAX, a
 * pattern finds at most PATHS_MAX names and looks at GLOB_ENTRIES_MAX.
 */
#ifndef GEMEL_BASELINE_ROOT_PRIV_H
#define GEMEL_BASELINE_ROOT_PRIV_H

#include "err.h"
#include "mem.h"
#include "span.h"

#include <sys/stat.h>

#define LINE_BYTES_MAX 4096u
#define FILE_BYTES_MAX (32u * 1024 * 1024)
#define PATHS_MAX 1024u
#define GLOB_ENTRIES_MAX 65536u

struct root {
    int fd;
    bool plain; /* without openat2 */
};

/* ERR_IO. */
enum err root_open(const char *dir, struct root *ret_root, struct why *why) MUST_USE;
void root_close(struct root *root);

/* Opens a path below the root; `path` begins with '/'. Negative: -errno. */
int root_open_at(struct root *root, const char *path, int flags);

/* What stat(2) and lstat(2) say; 0 or -errno. */
int root_stat(struct root *root, const char *path, struct stat *ret_stat);
int root_lstat(struct root *root, const char *path, struct stat *ret_stat);

/* Reads where a link leads; false if it is none. */
bool root_readlink(struct root *root, const char *path, char *ret_target, size_t size);

/* Whether an errno says that there is nothing at the path. */
bool root_is_missing(int error);

enum looked { LOOKED_FOUND, LOOKED_MISSING, LOOKED_FAILED };

/* The lines of a file, or of a text (for what was read already). */
struct lines {
    int fd; /* negative: the text alone */
    size_t begin;
    size_t end;
    size_t left; /* bytes that may still be read */
    size_t number;
    bool over;                           /* nothing more comes from the file */
    bool cut;                            /* the line was longer than LINE_BYTES_MAX */
    bool skip;                           /* up to the next line's end */
    bool bounded;                        /* the file went on past FILE_BYTES_MAX */
    int error;                           /* errno of a failed read, else 0 */
    char buffer[2 * LINE_BYTES_MAX + 1]; /* a NUL stands at its end: the address sanitizer looks
                                            for one behind what regexec() is given */
};

/* Opens a file. LOOKED_FAILED: the sentence says why. */
enum looked lines_open(
    struct root *root, const char *path, struct lines *ret_lines, struct why *why) MUST_USE;
void lines_close(struct lines *lines);

/* Returns the next line, without its end; valid until the next call. False: there is no more, or it
 * could not be read (see lines_check). */
bool lines_next(struct lines *lines, struct span *ret_line);

/* False if the file was not read to its end; the sentence says why. */
bool lines_check(const struct lines *lines, const char *path, struct why *why) MUST_USE;

struct paths {
    const char **items; /* in alphabetical order */
    size_t count;
    size_t cap;
    bool bounded; /* there were more */
};

/* Adds the paths that a pattern matches ('*', '?', '[...]' within a name; a leading dot only by a
 * dot). ERR_MEMORY. */
enum err root_glob(
    struct root *root, struct arena *arena, const char *pattern, struct paths *paths) MUST_USE;

/* Whether a text is more than one path. */
bool root_is_pattern(const char *text);

/* Calls for each name in a directory but "." and "..", at most GLOB_ENTRIES_MAX; stops when told
 * false. Returns 0, 1 at the bound, -errno when it cannot be read. */
int root_each(
    struct root *root, const char *dir, bool (*each)(void *self, const char *name), void *self);

/* Takes the next word (without blanks) of a text; false if there is none. */
bool next_word(struct span *rest, struct span *ret_word);

#endif
