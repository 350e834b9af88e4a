/* SPDX-License-Identifier: Apache-2.0 */
/* Places in the source: its text was read before, so it is known to be good. */
#include "json.h"

#include <string.h>

/* Behind the string that begins at `at`. */
static size_t behind_string(struct span text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++)
        if (text.ptr[at] == '\\')
            at++;
    return at + 1;
}

static size_t behind_container(struct span text, size_t at)
{
    size_t depth = 0;
    do {
        char c = text.ptr[at];
        if (c == '"') {
            at = behind_string(text, at);
            continue;
        }
        depth += c == '{' || c == '[' ? 1 : 0;
        depth -= c == '}' || c == ']' ? 1 : 0;
        at++;
    } while (depth > 0 && at < text.len);
    return at;
}

static size_t behind_word(struct span text, size_t at)
{
    while (at < text.len && text.ptr[at] != '\0' && strchr(",]} \t\r\n", text.ptr[at]) == NULL)
        at++;
    return at;
}

static struct span part_of(struct span text, size_t from, size_t to)
{
    return span_first(span_from(text, from), (to < text.len ? to : text.len) - from);
}

struct span json_source(struct span text, const struct json *value)
{
    size_t at = value->offset;
    if (at >= text.len)
        return SPAN_NONE;
    size_t end = value->kind == JSON_STRING ? behind_string(text, at)
                 : value->kind == JSON_OBJECT || value->kind == JSON_ARRAY
                     ? behind_container(text, at)
                     : behind_word(text, at);
    return part_of(text, at, end);
}

/* The byte before `at` that is no blank; SIZE_MAX at the text's beginning. */
static size_t before_blanks(struct span text, size_t at)
{
    while (at > 0 && strchr(" \t\r\n", text.ptr[at - 1]) != NULL)
        at--;
    return at - 1;
}

static bool is_escaped(struct span text, size_t at)
{
    size_t backslashes = 0;
    while (backslashes < at && text.ptr[at - backslashes - 1] == '\\')
        backslashes++;
    return backslashes % 2 == 1;
}

/* Backwards over ':' and the name: before its opening quote stands no backslash, before a quote
 * inside an odd number of them. */
struct span json_name_source(struct span text, const struct json *member)
{
    if (member->offset > text.len)
        return SPAN_NONE;
    size_t colon = before_blanks(text, member->offset);
    size_t closing = colon < text.len && text.ptr[colon] == ':' ? before_blanks(text, colon) : 0;
    if (closing == 0 || closing >= text.len || text.ptr[closing] != '"')
        return SPAN_NONE;
    size_t opening = closing - 1;
    while (opening > 0 && (text.ptr[opening] != '"' || is_escaped(text, opening)))
        opening--;
    return part_of(text, opening, closing + 1);
}
