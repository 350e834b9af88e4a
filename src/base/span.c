/* SPDX-License-Identifier: Apache-2.0 */
#include "span.h"

int span_compare(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    if (order != 0)
        return order;
    return a.len == b.len ? 0 : (a.len < b.len ? -1 : 1);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

size_t span_find(struct span a, char byte)
{
    const char *found = a.len == 0 ? NULL : memchr(a.ptr, byte, a.len);
    return found == NULL ? a.len : (size_t)(found - a.ptr);
}

bool span_cut(struct span *rest, char separator, struct span *ret_part)
{
    if (rest->ptr == NULL)
        return false;
    size_t at = span_find(*rest, separator);
    *ret_part = span_first(*rest, at);
    if (at == rest->len)
        *rest = SPAN_NONE;
    else
        *rest = (struct span){rest->ptr + at + 1, rest->len - at - 1};
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span span_trim(struct span a)
{
    while (a.len > 0 && is_blank(a.ptr[0]))
        a = (struct span){a.ptr + 1, a.len - 1};
    while (a.len > 0 && is_blank(a.ptr[a.len - 1]))
        a.len--;
    return a;
}

bool span_copy(struct span a, char *ret_text, size_t size)
{
    if (a.len >= size || (a.len > 0 && memchr(a.ptr, '\0', a.len) != NULL))
        return false;
    if (a.len > 0)
        memcpy(ret_text, a.ptr, a.len);
    ret_text[a.len] = '\0';
    return true;
}

bool span_u64(struct span a, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (a.len == 0)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] < '0' || a.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(a.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *ret_value = value;
    return true;
}

/* How long the sequence is that a lead byte begins; 0: it begins none (RFC 3629, section 4). */
static size_t utf8_length(unsigned char lead)
{
    return lead < 0x80   ? 1
           : lead < 0xC2 ? 0
           : lead < 0xE0 ? 2
           : lead < 0xF0 ? 3
           : lead < 0xF5 ? 4
                         : 0;
}

/* Whether a byte may follow a lead byte: no overlong forms, no surrogates, none past U+10FFFF. */
static bool utf8_may_follow(unsigned char lead, unsigned char second)
{
    unsigned char least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return second >= least && second <= most;
}

size_t span_utf8(struct span a, bool *ret_well_formed)
{
    must(a.len > 0);
    const unsigned char *bytes = (const unsigned char *)a.ptr;
    size_t len = utf8_length(bytes[0]), at = 1;
    while (at < len && at < a.len &&
           (at == 1 ? utf8_may_follow(bytes[0], bytes[1]) : (bytes[at] & 0xC0) == 0x80))
        at++;
    *ret_well_formed = at == len;
    return at;
}

bool span_is_utf8(struct span a)
{
    bool well_formed = true;
    while (well_formed && a.len > 0)
        a = span_from(a, span_utf8(a, &well_formed));
    return well_formed;
}
