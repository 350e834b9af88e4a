/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions. Those that count characters count UTF-16 units, as IoT Hub does, whose strings are
 * made of them: a character beyond the first 65,536 counts twice. Case is that of ASCII letters.
 */
#include "query_priv.h"

#include <ctype.h>
#include <math.h>

static const struct function functions[] = {
#define FUNCTION(name, other, fewest, most, gives, call) {name, other, fewest, most, gives, call},
#include "functions.def"
#undef FUNCTION
};

const struct function *function_find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if (span_eq_nocase(name, span_of(functions[i].name)) ||
            (functions[i].other[0] != '\0' && span_eq_nocase(name, span_of(functions[i].other))))
            return &functions[i];
    return NULL;
}

#define CALL(name)                                                                                 \
    void name(struct eval *eval UNUSED, const struct query_value *arguments, size_t count UNUSED,  \
        struct query_value *ret_value)

/* ---- kinds --------------------------------------------------------------------------------- */

CALL(call_is_defined)
{
    *ret_value = query_value_bool(arguments[0].kind != VALUE_UNDEFINED);
}

CALL(call_is_null)
{
    *ret_value = query_value_bool(arguments[0].kind == VALUE_NULL);
}

CALL(call_is_bool)
{
    *ret_value = query_value_bool(arguments[0].kind == VALUE_BOOL);
}

CALL(call_is_number)
{
    *ret_value = query_value_bool(arguments[0].kind == VALUE_NUMBER);
}

CALL(call_is_string)
{
    *ret_value = query_value_bool(arguments[0].kind == VALUE_STRING);
}

CALL(call_is_array)
{
    *ret_value = query_value_bool(arguments[0].kind == VALUE_ARRAY);
}

CALL(call_is_object)
{
    *ret_value = query_value_bool(arguments[0].kind == VALUE_OBJECT);
}

CALL(call_is_primitive)
{
    *ret_value = query_value_bool(query_value_is_primitive(&arguments[0]));
}

CALL(call_array_contains)
{
    size_t at = 0;
    struct span item;
    bool found = false;
    if (arguments[0].kind != VALUE_ARRAY || arguments[1].kind == VALUE_UNDEFINED)
        return;
    while (!found && query_value_next_item(arguments[0].text, &at, &item)) {
        struct query_value value = {0};
        int order = 1;
        if (!query_value_of_json(eval->arena, item, &value))
            eval->failed = true;
        found = (query_value_compare(&value, &arguments[1], &order) && order == 0) ||
                (value.kind == VALUE_NULL && arguments[1].kind == VALUE_NULL);
    }
    *ret_value = query_value_bool(found);
}

/* ---- strings ------------------------------------------------------------------------------- */

static bool are_strings(const struct query_value *arguments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (arguments[i].kind != VALUE_STRING)
            return false;
    return true;
}

CALL(call_starts_with)
{
    if (are_strings(arguments, 2))
        *ret_value = query_value_bool(span_starts(arguments[0].text, arguments[1].text));
}

CALL(call_ends_with)
{
    if (!are_strings(arguments, 2))
        return;
    struct span text = arguments[0].text;
    struct span end = arguments[1].text;
    bool fits = text.len >= end.len;
    *ret_value = query_value_bool(
        end.len == 0 || (fits && span_eq(span_from(text, text.len - end.len), end)));
}

/* The byte at which it begins; the text's length + 1: nowhere. */
static size_t find_text(struct span text, struct span part)
{
    if (part.len == 0)
        return 0;
    const char *found = text.len < part.len ? NULL : memmem(text.ptr, text.len, part.ptr, part.len);
    return found == NULL ? text.len + 1 : (size_t)(found - text.ptr);
}

CALL(call_contains)
{
    if (are_strings(arguments, 2))
        *ret_value = query_value_bool(
            find_text(arguments[0].text, arguments[1].text) <= arguments[0].text.len);
}

static unsigned units_of(char c)
{
    unsigned char byte = (unsigned char)c;
    return (byte & 0xC0) == 0x80 ? 0 : byte >= 0xF0 ? 2 : 1;
}

static size_t count_units(struct span text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++)
        units += units_of(text.ptr[i]);
    return units;
}

CALL(call_length)
{
    if (are_strings(arguments, 1))
        *ret_value = query_value_number((double)count_units(arguments[0].text));
}

CALL(call_index_of)
{
    if (!are_strings(arguments, 2))
        return;
    struct span text = arguments[0].text;
    size_t at = find_text(text, arguments[1].text);
    *ret_value = query_value_number(at > text.len ? -1 : (double)count_units(span_first(text, at)));
}

/* The byte at which so many units have passed; half a character counts to the one before it. */
static size_t byte_of_unit(struct span text, double unit)
{
    double passed = 0;
    size_t at = 0;
    while (at < text.len && passed + units_of(text.ptr[at]) <= unit) {
        passed += units_of(text.ptr[at++]);
        while (at < text.len && units_of(text.ptr[at]) == 0)
            at++;
    }
    return at;
}

/* Text, the unit it begins with, and how many units (without: to the end). */
CALL(call_substring)
{
    if (!are_strings(arguments, 1) || arguments[1].kind != VALUE_NUMBER ||
        (count > 2 && arguments[2].kind != VALUE_NUMBER))
        return;
    double from = floor(arguments[1].number);
    double length = count > 2 ? floor(arguments[2].number) : 0;
    if (from < 0 || length < 0)
        return;
    struct span text = arguments[0].text;
    size_t begin = byte_of_unit(text, from);
    size_t end = count > 2 ? byte_of_unit(text, from + length) : text.len;
    *ret_value = query_value_string(span_first(span_from(text, begin), end - begin));
}

static void change_case(
    struct eval *eval, struct span text, int (*change)(int), struct query_value *ret_value)
{
    char *copy = arena_text(eval->arena, text);
    if (copy == NULL) {
        eval->failed = true;
        return;
    }
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)copy[i] < 0x80)
            copy[i] = (char)change(copy[i]);
    *ret_value = query_value_string((struct span){copy, text.len});
}

CALL(call_lower)
{
    if (are_strings(arguments, 1))
        change_case(eval, arguments[0].text, tolower, ret_value);
}

CALL(call_upper)
{
    if (are_strings(arguments, 1))
        change_case(eval, arguments[0].text, toupper, ret_value);
}

CALL(call_concat)
{
    size_t size = 0;
    if (!are_strings(arguments, count))
        return;
    for (size_t i = 0; i < count; i++)
        size += arguments[i].text.len;
    char *text = arena_alloc(eval->arena, size + 1);
    if (text == NULL) {
        eval->failed = true;
        return;
    }
    size = 0;
    for (size_t i = 0; i < count; i++) {
        if (arguments[i].text.len > 0)
            memcpy(text + size, arguments[i].text.ptr, arguments[i].text.len);
        size += arguments[i].text.len;
    }
    *ret_value = query_value_string((struct span){text, size});
}

/* ---- numbers ------------------------------------------------------------------------------- */

CALL(call_as_number)
{
    double number;
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = arguments[0];
    else if (arguments[0].kind == VALUE_STRING &&
             query_value_parse_number(span_trim(arguments[0].text), &number))
        *ret_value = query_value_number(number);
}

CALL(call_abs)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number(fabs(arguments[0].number));
}

CALL(call_exp)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number(exp(arguments[0].number));
}

CALL(call_power)
{
    if (arguments[0].kind == VALUE_NUMBER && arguments[1].kind == VALUE_NUMBER)
        *ret_value = query_value_number(pow(arguments[0].number, arguments[1].number));
}

CALL(call_square)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number(arguments[0].number * arguments[0].number);
}

CALL(call_ceiling)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number(ceil(arguments[0].number));
}

CALL(call_floor)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number(floor(arguments[0].number));
}

CALL(call_sign)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number((arguments[0].number > 0) - (arguments[0].number < 0));
}

CALL(call_sqrt)
{
    if (arguments[0].kind == VALUE_NUMBER)
        *ret_value = query_value_number(sqrt(arguments[0].number));
}
