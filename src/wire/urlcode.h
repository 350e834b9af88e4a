/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Percent-encoding (RFC 3986, section 2.1). Everything but unreserved characters is encoded, in
 * upper case; decoding takes either case, leaves '+' alone, and refuses broken escapes.
 */
#ifndef GEMEL_URLCODE_H
#define GEMEL_URLCODE_H

#include "buf.h"
#include "mem.h"

void url_encode(struct span text, struct buf *out);

/* Decodes; a text without escapes is returned as it is, others live in the arena. Any byte may come
 * out. ERR_FORMAT, ERR_MEMORY. */
enum err url_decode(
    struct arena *arena, struct span text, struct span *ret_text, struct why *why) MUST_USE;

/* As url_decode, and the result must be UTF-8 without U+0000. */
enum err url_decode_text(
    struct arena *arena, struct span text, struct span *ret_text, struct why *why) MUST_USE;

/* Finds a parameter of a query string ("a=1&b=2", no '?'), its value still encoded; false if it is
 * not there. Names are compared exactly. A name without '=' gives the empty span. */
bool url_query_find(struct span query, const char *name, struct span *ret_value);
/* The same, in any case of the name, as HTTP services of Azure read theirs. */
bool url_query_find_nocase(struct span query, const char *name, struct span *ret_value);

#endif
