/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span is borrowed bytes with a length: input of every parser. It owns nothing, need not end in
 * NUL and may hold any byte. An empty span has length 0; its pointer may then be NULL.
 */
#ifndef GEMEL_SPAN_H
#define GEMEL_SPAN_H

#include "base.h"

#include <string.h>

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN_LIT(literal) ((struct span){"" literal, sizeof(literal) - 1})
/* The same as an initializer, for static tables. */
#define SPAN_INIT(literal)                                                                         \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define SPAN_NONE ((struct span){NULL, 0})

/* For printf: "%.*s", SPAN_ARG(span). */
#define SPAN_ARG(span) (int)((span).len > 4096 ? 4096 : (span).len), (span).ptr ? (span).ptr : ""

/* Borrows a NUL-terminated string; NULL gives the empty span. */
static inline struct span span_of(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

static inline bool span_starts(struct span a, struct span start)
{
    return a.len >= start.len && (start.len == 0 || memcmp(a.ptr, start.ptr, start.len) == 0);
}

/* Returns the part from byte `from` on; past the end, the empty span. */
static inline struct span span_from(struct span a, size_t from)
{
#ifdef __clang_analyzer__ /* it loses sight of the length, and would see NULL read */
    return (struct span){a.ptr + from, from >= a.len ? 0 : a.len - from};
#endif
    return from >= a.len ? SPAN_NONE : (struct span){a.ptr + from, a.len - from};
}

static inline struct span span_first(struct span a, size_t len)
{
    return (struct span){a.ptr, len < a.len ? len : a.len};
}

/* Compares as bytes: negative, 0 or positive. A prefix sorts first. */
int span_compare(struct span a, struct span b);

/* Compares without regard to the case of ASCII letters. */
bool span_eq_nocase(struct span a, struct span b);

/* Returns the position of a byte, or the span's length if it is not there. */
size_t span_find(struct span a, char byte);

/*
 * Cuts `*rest` at the first `separator`: `*ret_part` is what stands before it, `*rest` what
 * follows. Without a separator the part is all of it. False once nothing is left to cut; a text
 * that ends in a separator gives a last empty part.
 */
bool span_cut(struct span *rest, char separator, struct span *ret_part);

/* Drops ASCII blanks, tabs, line ends at both ends. */
struct span span_trim(struct span a);

/* Copies into a NUL-terminated buffer; false (buffer untouched) if it does not fit or holds NUL. */
bool span_copy(struct span a, char *ret_text, size_t size);

/* Reads a decimal number: only digits, at least one, no sign; false if it passes `max`. */
bool span_u64(struct span a, uint64_t max, uint64_t *ret_value);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool span_is_utf8(struct span a);

/*
 * Returns how many bytes of a text that is not empty are its first character; or, where it begins
 * with none, how many stand for one U+FFFD: the longest beginning of a character that breaks off,
 * or a single byte. So decoders do it (Unicode 15, section 3.9, substitution of maximal subparts).
 */
size_t span_utf8(struct span a, bool *ret_well_formed);

#endif
