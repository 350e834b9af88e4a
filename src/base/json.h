/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as a tree in an arena (RFC 8259, strict). It exists because a twin must come back as it was
 * sent: members keep their order and numbers keep their spelling, which the libraries at hand do
 * not offer together with refusing duplicate names (docs/adr/0002-json.md).
 *
 * Trees are small linked structures: a container knows its first and last child, a child its next
 * sibling. A node belongs to one container at a time; json_copy() makes another. Every node and
 * text lives as long as the arena it came from. Strings are decoded UTF-8 and may hold any byte.
 */
#ifndef GEMEL_JSON_H
#define GEMEL_JSON_H

#include "buf.h"
#include "mem.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    bool truth;         /* of a JSON_BOOL */
    uint32_t count;     /* children of a container */
    size_t offset;      /* where the value begins in the source, in bytes; 0 for built nodes */
    struct span key;    /* the member's name, inside an object */
    struct span text;   /* a string's bytes, a number's literal */
    struct json *next;  /* sibling */
    struct json *first; /* children of a container */
    struct json *last;
};

/* Walks the children of a container: `json_each(child, object) …`. Do not remove while walking. */
#define json_each(child, container)                                                                \
    for (struct json *child = (container)->first; child != NULL; child = child->next)

#define JSON_DEPTH_DEFAULT 64

/*
 * Reads one JSON value that fills the whole text. Refuses duplicate names, text that is not UTF-8,
 * lone surrogates, and containers nested deeper than `max_depth` (0: JSON_DEPTH_DEFAULT).
 * ERR_FORMAT with "line L, column C: …"; ERR_MEMORY at the arena's end.
 */
enum err json_parse(struct arena *arena, struct span text, unsigned max_depth,
    struct json **ret_value, struct why *why) MUST_USE;

/* The same, for who shows the place itself: with ERR_FORMAT the sentence names none, and
 * `*ret_fault` is the byte at which it is wrong. */
enum err json_parse_located(struct arena *arena, struct span text, unsigned max_depth,
    struct json **ret_value, size_t *ret_fault, struct why *why) MUST_USE;

/* Where a value that was read from `text`, and the name of a member with its quotes, stand there;
 * the empty span for the name of what is no member. */
struct span json_source(struct span text, const struct json *value);
struct span json_name_source(struct span text, const struct json *member);

/* Builders; NULL without memory. Strings and literals are copied. */
struct json *json_new(struct arena *arena, enum json_kind kind) MUST_USE;
struct json *json_new_bool(struct arena *arena, bool truth) MUST_USE;
struct json *json_new_int(struct arena *arena, int64_t value) MUST_USE;
struct json *json_new_string(struct arena *arena, struct span text) MUST_USE;
struct json *json_copy(struct arena *arena, const struct json *value) MUST_USE;

/* Puts a value at the end of an array. `item` NULL (a builder that failed) gives false. */
bool json_append(struct json *array, struct json *item) MUST_USE;

/* Sets a member: in place of one with that name, else at the end. The name is copied. False: no
 * memory, or `value` is NULL. Linear in the members. */
bool json_set(
    struct arena *arena, struct json *object, struct span name, struct json *value) MUST_USE;

/* Adds a member that the caller knows to be new, without looking. False: as above. */
bool json_add(
    struct arena *arena, struct json *object, struct span name, struct json *value) MUST_USE;

/* Set a member to a text, a whole number, a truth: the builders in one call. */
bool json_set_text(
    struct arena *arena, struct json *object, const char *name, struct span text) MUST_USE;
bool json_set_int(
    struct arena *arena, struct json *object, const char *name, int64_t number) MUST_USE;
bool json_set_bool(struct arena *arena, struct json *object, const char *name, bool truth) MUST_USE;

/* Takes a member out; NULL if there is none. */
struct json *json_take(struct json *object, struct span name);

/* Returns a member, or NULL; also NULL when `object` is NULL or no object. Linear in its members.
 */
struct json *json_find(const struct json *object, struct span name);
struct json *json_find_text(const struct json *object, const char *name);

/* The member as text; the empty span if it is absent or no string. */
struct span json_string_of(const struct json *object, const char *name);

/* Reads a number that is written as an integer and fits ("1.0" and "1e3" are none). */
bool json_int64(const struct json *value, int64_t *ret_value);

/* Reads a number of any spelling; false if it is no finite double. */
bool json_double(const struct json *value, double *ret_value);

static inline bool json_is(const struct json *value, enum json_kind kind)
{
    return value != NULL && value->kind == kind;
}

/* "null", "a boolean", "an integer", "a number", "a string", "an array", "an object": for
 * sentences. */
const char *json_kind_name(const struct json *value);

/* Compares deeply: members in any order, numbers by literal or, if those differ, as doubles. */
bool json_equal(const struct json *a, const struct json *b);

/* Writes a value compactly, or with line ends and `indent` blanks a level. */
void json_write(const struct json *value, struct buf *out);
void json_write_pretty(const struct json *value, unsigned indent, struct buf *out);

/* Writes a quoted, escaped string; bytes that are no UTF-8 become U+FFFD. */
void json_write_string(struct span text, struct buf *out);

#endif
