/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what hubs export, one document after the other, with memory for one:
 *
 *   one JSON object a line     device import/export files of IoT Hub (devices.txt)
 *   [ {…}, {…} ]               lists, as of twins and identities that az prints
 *   { "devices": {…} … }       what az iot hub state export writes; this is read as a whole
 *
 * A document that is broken is told with its number, and the next one is read.
 */
#ifndef GEMEL_CLI_IMPORT_READER_H
#define GEMEL_CLI_IMPORT_READER_H

#include "json.h"

#include <stdio.h>

struct import_reader;

struct import_document {
    uint64_t number;         /* its line; in a list or a state, which one it is; the first is 1 */
    const struct json *json; /* in the arena that was given */
    const struct json
        *twin;      /* of a state file: the twin that stands beside the identity, or NULL */
    bool of_module; /* of a state file: the identity is a module's */
};

/* The stream stays the caller's. Documents before number `from` are passed over. ERR_MEMORY. */
enum err import_reader_new(FILE *stream, uint64_t from, struct import_reader **ret_reader) MUST_USE;
void import_reader_free(struct import_reader *reader); /* NULL is fine */

/*
 * Reads the next document. ERR_FORMAT: this one is broken, and only its number is set;
 * ERR_NOT_FOUND: there are no more; ERR_IO, ERR_TOO_LARGE, ERR_CORRUPT, ERR_MEMORY: it cannot go
 * on.
 */
enum err import_reader_next(struct import_reader *reader, struct arena *arena,
    struct import_document *ret_document, struct why *why) MUST_USE;

/* "line" or "item": what the numbers count. */
const char *import_reader_unit(const struct import_reader *reader);

/* How many bytes were read so far. */
uint64_t import_reader_bytes(const struct import_reader *reader);

#endif
