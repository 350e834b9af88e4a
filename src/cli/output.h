/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How results are written. A writer is one row: it is given JSON and the columns of the command's
 * table, and appends text. A document is the whole result of a command, a record one of many that
 * come over time, each on a line of its own.
 */
#ifndef GEMEL_CLI_OUTPUT_H
#define GEMEL_CLI_OUTPUT_H

#include "json.h"

struct column {
    const char *title; /* NULL ends the list */
    const char *path;  /* members from the outside in: "properties.desired.$version" */
    unsigned width;    /* of records, which cannot wait for the widest */
};

struct writer {
    const char *name;
    void (*document)(const struct json *value, const struct column *columns, struct buf *out);
    void (*record)(
        const struct json *value, const struct column *columns, bool first, struct buf *out);
};

/* Finds "json" or "table"; NULL if it is neither. */
const struct writer *writer_find(struct span name);

#endif
