/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the query language: JSON's kinds, and undefined for what is not there. Numbers are
 * doubles, as JSON's readers elsewhere take them. A container stays JSON text: most are only passed
 * through, and a path into one is followed in the text, so that a row of a long scan builds no
 * tree.
 */
#ifndef GEMEL_QUERY_VALUE_H
#define GEMEL_QUERY_VALUE_H

#include "buf.h"
#include "mem.h"

enum value_kind {
    VALUE_UNDEFINED,
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT
};

struct query_value {
    enum value_kind kind;
    bool truth;
    double number;
    struct span text; /* a string's characters; JSON text of a container; a number's literal where
                       * it was read from one */
};

static inline struct query_value query_value_bool(bool truth)
{
    return (struct query_value){.kind = VALUE_BOOL, .truth = truth};
}

static inline struct query_value query_value_string(struct span text)
{
    return (struct query_value){.kind = VALUE_STRING, .text = text};
}

/* Undefined if it is no finite number. */
struct query_value query_value_number(double number);

static inline struct query_value query_value_json(enum value_kind kind, struct span text)
{
    return (struct query_value){.kind = kind, .text = text};
}

static inline bool query_value_is_primitive(const struct query_value *value)
{
    return value->kind >= VALUE_NULL && value->kind <= VALUE_STRING;
}

/* Compares: both booleans, numbers or strings of one kind, or false: they do not compare. */
bool query_value_compare(const struct query_value *a, const struct query_value *b, int *ret_order);

/* Reads the number that fills a text, in JSON's form. */
bool query_value_parse_number(struct span text, double *ret_number);

/* Writes JSON; undefined writes nothing. */
void query_value_write(const struct query_value *value, struct buf *out);

/* The shortest literal that reads as this number again. */
#define VALUE_NUMBER_SIZE 32
const char *query_value_format_number(double number, char ret_text[VALUE_NUMBER_SIZE]);

/* ---- in JSON text ---------------------------------------------------------------------------- */

/* What is read is JSON that was checked when it was stored; damaged text gives undefined, never a
 * read beyond it. Decoded strings that had escapes lie in the arena. */

/* Reads the value that begins a text. False: no memory. */
bool query_value_of_json(
    struct arena *arena, struct span json, struct query_value *ret_value) MUST_USE;

/* Follows names into an object; undefined where there is no such member. False: no memory. */
bool query_value_at(struct arena *arena, struct span json, const struct span *names, size_t count,
    struct query_value *ret_value) MUST_USE;

/* Walks the items of an array: `*at` is 0 at first. False behind the last. */
bool query_value_next_item(struct span array, size_t *at, struct span *ret_item);

#endif
