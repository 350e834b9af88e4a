/* SPDX-License-Identifier: Apache-2.0 */
#include "urlcode.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void url_encode(struct span text, struct buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = text.len;
    for (size_t i = 0; i < text.len; i++)
        len += is_unreserved(text.ptr[i]) ? 0 : 2;
    char *to = buf_reserve(out, len);
    if (to == NULL)
        return;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (is_unreserved(text.ptr[i])) {
            *to++ = text.ptr[i];
            continue;
        }
        *to++ = '%';
        *to++ = hex[byte >> 4];
        *to++ = hex[byte & 15];
    }
    *to = '\0';
    out->len += len;
}

/* 0 to 15, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err url_decode(struct arena *arena, struct span text, struct span *ret_text, struct why *why)
{
    if (span_find(text, '%') == text.len) {
        *ret_text = text;
        return ERR_NONE;
    }
    char *copy = arena_alloc(arena, text.len + 1);
    if (copy == NULL)
        return fail(ERR_MEMORY, why, "no memory to decode %zu bytes", text.len);
    char *to = copy;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') {
            *to++ = text.ptr[i];
            continue;
        }
        int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
        int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;
        if (high < 0 || low < 0)
            return fail(ERR_FORMAT, why,
                "the '%%' at character %zu is not followed by two hexadecimal digits", i + 1);
        *to++ = (char)(high << 4 | low);
        i += 2;
    }
    *ret_text = (struct span){copy, (size_t)(to - copy)};
    return ERR_NONE;
}

enum err url_decode_text(
    struct arena *arena, struct span text, struct span *ret_text, struct why *why)
{
    struct span decoded;
    enum err err = url_decode(arena, text, &decoded, why);
    if (err != ERR_NONE)
        return err;
    if (!span_is_utf8(decoded))
        return fail(ERR_FORMAT, why, "the percent-encoded text is not UTF-8");
    if (span_find(decoded, '\0') < decoded.len)
        return fail(ERR_FORMAT, why, "the percent-encoded text has U+0000");
    *ret_text = decoded;
    return ERR_NONE;
}

typedef bool same_name(struct span a, struct span b);

static bool find(struct span query, struct span name, same_name *same, struct span *ret_value)
{
    struct span part;
    while (span_cut(&query, '&', &part)) {
        size_t equals = span_find(part, '=');
        if (!same(span_first(part, equals), name))
            continue;
        *ret_value = span_from(part, equals + 1);
        return true;
    }
    return false;
}

bool url_query_find(struct span query, const char *name, struct span *ret_value)
{
    return find(query, span_of(name), span_eq, ret_value);
}

bool url_query_find_nocase(struct span query, const char *name, struct span *ret_value)
{
    return find(query, span_of(name), span_eq_nocase, ret_value);
}
