/* SPDX-License-Identifier: Apache-2.0 */
#include "query_value.h"

#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct query_value query_value_number(double number)
{
    if (!isfinite(number))
        return (struct query_value){0};
    return (struct query_value){.kind = VALUE_NUMBER, .number = number};
}

bool query_value_compare(const struct query_value *a, const struct query_value *b, int *ret_order)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VALUE_BOOL:
        *ret_order = (int)a->truth - (int)b->truth;
        return true;
    case VALUE_NUMBER:
        *ret_order = (a->number > b->number) - (a->number < b->number);
        return true;
    case VALUE_STRING:
        *ret_order = span_compare(a->text, b->text);
        return true;
    default:
        return false;
    }
}

bool query_value_parse_number(struct span text, double *ret_number)
{
    char digits[320]; /* the twin engine takes no literal beyond 128 characters */
    char *end;
    if (text.len == 0 || strchr("-0123456789", text.ptr[0]) == NULL ||
        !span_copy(text, digits, sizeof(digits)) || strspn(digits, "+-.0123456789eE") != text.len)
        return false;
    double number = strtod(digits, &end);
    if (*end != '\0' || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

const char *query_value_format_number(double number, char ret_text[VALUE_NUMBER_SIZE])
{
    if (number > -1e15 && number < 1e15 && !(number < floor(number)) && !(number > floor(number))) {
        snprintf(ret_text, VALUE_NUMBER_SIZE, "%lld", (long long)number);
        return ret_text;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(ret_text, VALUE_NUMBER_SIZE, "%.*g", digits, number);
        double again = strtod(ret_text, NULL);
        if (!(again < number) && !(again > number))
            break;
    }
    return ret_text;
}

void query_value_write(const struct query_value *value, struct buf *out)
{
    char digits[VALUE_NUMBER_SIZE];
    switch (value->kind) {
    case VALUE_UNDEFINED:
        return;
    case VALUE_NULL:
        buf_add_text(out, "null");
        return;
    case VALUE_BOOL:
        buf_add_text(out, value->truth ? "true" : "false");
        return;
    case VALUE_NUMBER:
        if (value->text.len > 0)
            buf_add(out, value->text);
        else
            buf_add_text(out, query_value_format_number(value->number, digits));
        return;
    case VALUE_STRING:
        json_write_string(value->text, out);
        return;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        buf_add(out, value->text);
        return;
    }
}

/* ---- skipping through JSON text ------------------------------------------------------------ */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(struct span json, size_t at)
{
    while (at < json.len && is_blank(json.ptr[at]))
        at++;
    return at;
}

/* From a quote to behind its end; the text's end where there is none. */
static size_t skip_string(struct span json, size_t at)
{
    for (at++; at < json.len; at++) {
        if (json.ptr[at] == '"')
            return at + 1;
        if (json.ptr[at] == '\\')
            at++;
    }
    return json.len;
}

static size_t skip_container(struct span json, size_t at)
{
    size_t depth = 0;
    while (at < json.len) {
        char c = json.ptr[at];
        if (c == '"') {
            at = skip_string(json, at);
            continue;
        }
        at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return at;
}

static size_t skip_value(struct span json, size_t at)
{
    if (at >= json.len)
        return json.len;
    char c = json.ptr[at];
    if (c == '"')
        return skip_string(json, at);
    if (c == '{' || c == '[')
        return skip_container(json, at);
    while (at < json.len && json.ptr[at] != ',' && json.ptr[at] != '}' && json.ptr[at] != ']' &&
           !is_blank(json.ptr[at]))
        at++;
    return at;
}

static struct span part(struct span json, size_t from, size_t to)
{
    return (struct span){json.ptr + from, to > from ? to - from : 0};
}

bool query_value_next_item(struct span array, size_t *at, struct span *ret_item)
{
    size_t from = skip_blanks(array, *at == 0 ? 1 : *at);
    if (from < array.len && array.ptr[from] == ',')
        from = skip_blanks(array, from + 1);
    if (from >= array.len || array.ptr[from] == ']')
        return false;
    size_t to = skip_value(array, from);
    *ret_item = part(array, from, to);
    *at = to;
    return to > from;
}

/* ---- strings ------------------------------------------------------------------------------- */

static unsigned hex4(struct span text, size_t at)
{
    unsigned value = 0;
    for (size_t i = at; i < at + 4 && i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 0;
        value = value << 4 | digit;
    }
    return value;
}

static char *put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

/* An escape is never shorter than what it stands for. `raw` has no quotes. */
static bool decode_string(struct arena *arena, struct span raw, struct span *ret_text)
{
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL) {
        *ret_text = raw;
        return true;
    }
    char *text = arena_alloc(arena, raw.len);
    if (text == NULL)
        return false;
    char *to = text;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] != '\\' || i + 1 == raw.len) {
            *to++ = raw.ptr[i];
            continue;
        }
        char c = raw.ptr[++i];
        const char *found = c == '\0' ? NULL : strchr("bfnrt", c);
        if (c == 'u' && i + 4 < raw.len) {
            unsigned code = hex4(raw, i + 1);
            i += 4;
            if (code >= 0xD800 && code < 0xDC00 && i + 6 < raw.len) {
                code = 0x10000 + ((code - 0xD800) << 10 | ((hex4(raw, i + 3) - 0xDC00) & 0x3FF));
                i += 6;
            }
            to = put_utf8(to, code);
        } else {
            *to++ = found == NULL ? c : "\b\f\n\r\t"[found - "bfnrt"];
        }
    }
    *ret_text = (struct span){text, (size_t)(to - text)};
    return true;
}

static bool read_string(struct arena *arena, struct span json, struct span *ret_text)
{
    return decode_string(arena, part(json, 1, json.len - 1), ret_text);
}

/* ---- values ---------------------------------------------------------------------------------- */

bool query_value_of_json(struct arena *arena, struct span json, struct query_value *ret_value)
{
    struct query_value value = {0};
    if (json.ptr == NULL) {
        *ret_value = value;
        return true;
    }
    size_t from = skip_blanks(json, 0);
    json = part(json, from, skip_value(json, from));
    char first = json.len == 0 ? '\0' : json.ptr[0];
    if (first == '{' || first == '[') {
        value = query_value_json(first == '{' ? VALUE_OBJECT : VALUE_ARRAY, json);
    } else if (first == '"' && json.len >= 2) {
        value.kind = VALUE_STRING;
        if (!read_string(arena, json, &value.text))
            return false;
    } else if (span_is(json, "null")) {
        value.kind = VALUE_NULL;
    } else if (span_is(json, "true") || span_is(json, "false")) {
        value = query_value_bool(first == 't');
    } else if (query_value_parse_number(json, &value.number)) {
        value.kind = VALUE_NUMBER;
        value.text = json;
    }
    *ret_value = value;
    return true;
}

/* `*ret_member` is the value's text, empty if there is none. False: no memory. */
static bool find_member(
    struct arena *arena, struct span object, struct span name, struct span *ret_member)
{
    size_t at = skip_blanks(object, 1);
    *ret_member = SPAN_NONE;
    while (at < object.len && object.ptr[at] == '"') {
        size_t end = skip_string(object, at);
        struct span key;
        if (end - at < 2 || !read_string(arena, part(object, at, end), &key))
            return end - at < 2;
        at = skip_blanks(object, end);
        at = skip_blanks(object, at + 1); /* the colon */
        size_t behind = skip_value(object, at);
        if (span_eq(key, name)) {
            *ret_member = part(object, at, behind);
            return true;
        }
        at = skip_blanks(object, behind);
        if (at < object.len && object.ptr[at] == ',')
            at = skip_blanks(object, at + 1);
    }
    return true;
}

bool query_value_at(struct arena *arena, struct span json, const struct span *names, size_t count,
    struct query_value *ret_value)
{
    for (size_t i = 0; i < count && json.len > 0; i++) {
        if (json.ptr[0] != '{') {
            json = SPAN_NONE;
            break;
        }
        if (!find_member(arena, json, names[i], &json))
            return false;
    }
    return query_value_of_json(arena, json, ret_value);
}
