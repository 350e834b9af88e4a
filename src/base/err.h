/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A function that can fail returns `enum err`, and writes its outputs (`ret_…`) only when
 * it returns ERR_NONE. What an error means to a peer (HTTP status, IoT Hub's code and name, whether
 * a retry is worth it) stands in one table, err.def. The sentence for a person, which field, which
 * value and what was allowed, goes into a `struct why` that the caller owns.
 */
#ifndef GEMEL_ERR_H
#define GEMEL_ERR_H

#include "base.h"

enum err {
#define ERR(name, status, code, hub_name, retry, text) ERR_##name,
#include "err.def"
#undef ERR
    ERR_COUNT
};

struct err_row {
    const char *name;     /* "DEVICE_NOT_FOUND": for logs */
    int http_status;      /* 404 */
    int hub_code;         /* 404001; 0: none */
    const char *hub_name; /* "DeviceNotFound"; "": none */
    bool retry;           /* the same request may succeed later */
    const char *text;     /* the sentence when nothing more precise is known */
};

/* Returns the row of an error; never NULL. */
const struct err_row *err_row(enum err err);

/* A sentence for a person: no newline, no secret, cut with "..." at its bound. */
struct why {
    char text[480];
};

/* Writes a sentence, replacing what was there. `why` may be NULL. */
void why_set(struct why *why, const char *format, ...) PRINTF_LIKE(2, 3);

/* Writes "PREFIX: old sentence"; for saying where an error met us. `why` may be NULL. */
void why_prefix(struct why *why, const char *format, ...) PRINTF_LIKE(2, 3);

/* Writes the sentence and returns `err`: `return fail(ERR_ARGUMENT, why, "…");`. */
enum err fail(enum err err, struct why *why, const char *format, ...) PRINTF_LIKE(3, 4);
#ifdef __clang_analyzer__
/* It sees one file at a time: it must know that what went in comes out. */
#define fail(err, why, ...) (why_set((why), __VA_ARGS__), (err))
#endif

/* Returns the sentence, or the error's own text where none was written. */
const char *why_text(const struct why *why, enum err err);

#endif
