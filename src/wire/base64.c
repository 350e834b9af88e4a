/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include "mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct span bytes, struct buf *out)
{
    char *to = buf_reserve(out, (bytes.len + 2) / 3 * 4);
    if (to == NULL)
        return;
    const unsigned char *from = (const unsigned char *)bytes.ptr;
    for (size_t left = bytes.len; left > 0;) {
        size_t take = left < 3 ? left : 3;
        uint32_t group = (uint32_t)from[0] << 16;
        group |= take > 1 ? (uint32_t)from[1] << 8 : 0;
        group |= take > 2 ? (uint32_t)from[2] : 0;
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[(group >> 12) & 63];
        *to++ = take > 1 ? alphabet[(group >> 6) & 63] : '=';
        *to++ = take > 2 ? alphabet[group & 63] : '=';
        from += take;
        left -= take;
    }
    *to = '\0';
    out->len = (size_t)(to - out->ptr);
}

/* 0 to 63, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : (c == '/' ? 63 : -1);
}

enum err base64_decode(
    struct span text, void *buffer, size_t size, size_t *ret_len, struct why *why)
{
    if (text.len % 4 != 0)
        return fail(
            ERR_FORMAT, why, "base64 has %zu characters, which is no multiple of four", text.len);
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    size_t len = text.len / 4 * 3 - padding;
    if (len > size)
        return fail(ERR_FORMAT, why, "base64 of %zu bytes, the most is %zu", len, size);
    for (size_t i = 0; i < text.len - padding; i++)
        if (value_of(text.ptr[i]) < 0)
            return fail(ERR_FORMAT, why, "character %zu is none of base64", i + 1);
    uint8_t *to = buffer;
    for (size_t i = 0; i < len; i++) {
        size_t bit = i * 8;
        const char *at = text.ptr + bit / 6;
        unsigned pair = (unsigned)value_of(at[0]) << 6 | (unsigned)value_of(at[1]);
        to[i] = (uint8_t)(pair >> (4 - bit % 6));
    }
    *ret_len = len;
    return ERR_NONE;
}

enum err base64_check_key(struct span text, struct why *why)
{
    uint8_t key[BASE64_KEY_MAX_BYTES];
    size_t len = 0;
    enum err err = base64_decode(text, key, sizeof(key), &len, why);
    mem_wipe(key, sizeof(key));
    if (err != ERR_NONE) {
        why_prefix(why, "the key is not accepted");
        return ERR_ARGUMENT;
    }
    if (len < BASE64_KEY_MIN_BYTES)
        return fail(ERR_ARGUMENT, why, "the key has %zu bytes, allowed are %d to %d", len,
            BASE64_KEY_MIN_BYTES, BASE64_KEY_MAX_BYTES);
    return ERR_NONE;
}
