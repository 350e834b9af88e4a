/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From check files to the checks that are for this system: read, verified, chosen, laid over each
 * other.
 */
#ifndef GEMEL_BASELINE_SELECT_PRIV_H
#define GEMEL_BASELINE_SELECT_PRIV_H

#include "baseline.h"
#include "reader_priv.h"

#define CHECK_FILES_MAX 64u
#define CHECK_FILE_BYTES_MAX (1024u * 1024)
#define EXTENDS_MAX 8u
#define DOCUMENT_ARENA_BYTES (8u * 1024 * 1024)

struct loaded {
    char *name; /* of the file, without ".json"; owned */
    bool own;   /* from the operator's directory */
    struct arena arena;
    struct document document;
};

struct selection {
    struct loaded *files[CHECK_FILES_MAX];
    size_t file_count;
    const struct check **checks; /* owned; what they name lives in the files' arenas */
    size_t check_count;
    size_t refused;
    struct why refusals; /* the sentences, as many as have room */
};

/* ERR_MEMORY; refused files are counted. */
enum err selection_open(const struct baseline_options *options, struct selection *ret_selection,
    struct why *why) MUST_USE;
void selection_close(struct selection *selection);

#endif
