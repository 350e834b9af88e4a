/* SPDX-License-Identifier: Apache-2.0 */
#include "ids.h"

#define HUB_MAX_BYTES 50

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_id_char(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("-:.+%_#*?!(),=@;$'", c) != NULL);
}

static bool is_hub_char(char c)
{
    return is_alnum(c) || c == '-';
}

/* A control character or a part of UTF-8 cannot be shown as it is. */
static enum err bad_char(const char *what, char c, size_t at, const char *allowed, struct why *why)
{
    if (c >= 0x20 && c < 0x7F)
        return fail(ERR_ARGUMENT, why, "the %s has '%c' at character %zu, allowed are %s", what, c,
            at + 1, allowed);
    return fail(ERR_ARGUMENT, why, "the %s has byte 0x%02X at character %zu, allowed are %s", what,
        (unsigned char)c, at + 1, allowed);
}

static enum err check(const char *what, struct span text, size_t max, bool (*is_char)(char),
    const char *allowed, struct why *why)
{
    if (text.len == 0)
        return fail(ERR_ARGUMENT, why, "the %s is empty", what);
    if (text.len > max)
        return fail(
            ERR_ARGUMENT, why, "the %s has %zu characters, the most is %zu", what, text.len, max);
    for (size_t i = 0; i < text.len; i++)
        if (!is_char(text.ptr[i]))
            return bad_char(what, text.ptr[i], i, allowed, why);
    return ERR_NONE;
}

/* The hub's error texts may hold no ';', so the list of what is allowed names it. */
#define ID_ALLOWED "ASCII letters, digits, semicolon and - : . + % _ # * ? ! ( ) , = @ $ '"

enum err ids_check_device(struct span id, struct why *why)
{
    return check("device id", id, ID_MAX_BYTES, is_id_char, ID_ALLOWED, why);
}

enum err ids_check_module(struct span id, struct why *why)
{
    return check("module id", id, ID_MAX_BYTES, is_id_char, ID_ALLOWED, why);
}

enum err ids_check_hub(struct span name, struct why *why)
{
    enum err err = check(
        "hub name", name, HUB_MAX_BYTES, is_hub_char, "ASCII letters, digits and hyphens", why);
    if (err != ERR_NONE)
        return err;
    if (name.ptr[0] == '-' || name.ptr[name.len - 1] == '-')
        return fail(ERR_ARGUMENT, why, "the hub name begins or ends with a hyphen");
    return ERR_NONE;
}
