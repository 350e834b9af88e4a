/* SPDX-License-Identifier: Apache-2.0 */
/* A document of the query language that is JSON text, and what tests ask of it. */
#ifndef GEMEL_TEST_QUERY_HARNESS_H
#define GEMEL_TEST_QUERY_HARNESS_H

#include "query.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

struct text_document {
    struct query_source source;
    struct span json;
};

struct text_document document_of(const char *json);

extern struct arena test_arena; /* of a test */
int arena_open(void **state);
int arena_close(void **state);

/* Reads a query that must be good. */
struct query *parse(const char *text);
/* The sentence of one that must not be. */
const char *refusal(const char *text);
bool matches(const struct query *query, const char *json);
const char *row_of(const struct query *query, const char *json);

#endif
