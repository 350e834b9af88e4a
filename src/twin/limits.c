/* SPDX-License-Identifier: Apache-2.0 */
#include "twin_priv.h"

#include <inttypes.h>
#include <stdio.h>

const struct twin_limits twin_limits_default = TWIN_LIMITS_DEFAULT;

/* Far more than any double needs; the counting rule takes every number for 8 bytes. */
#define LITERAL_BYTES 128u

/* What the counting rule takes for nothing (control characters, empty arrays) has a bound too: the
 * text of a section may be this many times its limit. Plain content stays below three times. */
#define TEXT_FACTOR 8u

/* Where we are: a chain of frames on the stack, written out only for a sentence. */
struct place {
    const struct place *up;
    struct span key; /* ptr NULL: an array's element */
    size_t index;
};

struct check {
    const struct twin_limits *limits;
    const char *section;
    bool (*skip)(struct span key);
    struct why *why;
};

#define PLACE_SIZE 200
#define SHOWN_KEY_BYTES 60u

/* Cuts on a character's border and marks control characters, so that a log line stays one. */
static void add_shown(char *text, size_t size, size_t *len, struct span key)
{
    size_t take = key.len > SHOWN_KEY_BYTES ? SHOWN_KEY_BYTES : key.len;
    while (take > 0 && take < key.len && ((unsigned char)key.ptr[take] & 0xC0) == 0x80)
        take--;
    for (size_t i = 0; i < take && *len + 1 < size; i++) {
        unsigned char c = (unsigned char)key.ptr[i];
        text[(*len)++] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    for (unsigned i = 0; take < key.len && i < 3 && *len + 1 < size; i++)
        text[(*len)++] = '.';
    text[*len] = '\0';
}

static void add_place(char *text, size_t *len, const struct place *place)
{
    if (place == NULL)
        return;
    add_place(text, len, place->up);
    if (*len + 24 > PLACE_SIZE)
        return;
    if (place->key.ptr == NULL) {
        *len += (size_t)snprintf(text + *len, 24, "[%zu]", place->index);
        return;
    }
    text[(*len)++] = '.';
    add_shown(text, PLACE_SIZE, len, place->key);
}

static const char *place_text(
    const struct check *check, const struct place *place, char ret_text[PLACE_SIZE])
{
    size_t len = (size_t)snprintf(ret_text, PLACE_SIZE, "%s", check->section);
    add_place(ret_text, &len, place);
    return ret_text;
}

/* Reads one character of well-formed UTF-8 (json_parse() has checked) and moves on. */
static uint32_t next_character(struct span text, size_t *at)
{
    unsigned char lead = (unsigned char)text.ptr[(*at)++];
    if (lead < 0x80)
        return lead;
    uint32_t code = lead >= 0xF0 ? lead & 0x07u : lead >= 0xE0 ? lead & 0x0Fu : lead & 0x1Fu;
    while (*at < text.len && ((unsigned char)text.ptr[*at] & 0xC0) == 0x80)
        code = code << 6 | ((unsigned char)text.ptr[(*at)++] & 0x3Fu);
    return code;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

/* Unicode's White_Space but for what is a control character. */
static bool is_blank(uint32_t c)
{
    return c == 0x20 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static const char *forbidden_in_name(struct span key)
{
    for (size_t at = 0; at < key.len;) {
        uint32_t c = next_character(key, &at);
        if (c == '.')
            return "a '.'";
        if (c == '$')
            return "a '$'";
        if (c == '#')
            return "a '#'";
        if (is_blank(c))
            return "a blank";
        if (is_control(c))
            return "a control character";
    }
    return NULL;
}

static enum err check_name(const struct check *check, const struct place *place)
{
    char where[PLACE_SIZE];
    struct span key = place->key;
    if (key.len == 0)
        return fail(ERR_ARGUMENT, check->why, "%s has a member with an empty name",
            place_text(check, place->up, where));
    if (key.len > check->limits->key_bytes)
        return fail(ERR_ARGUMENT, check->why,
            "the name of %s takes %zu bytes of UTF-8, at most %zu are allowed",
            place_text(check, place, where), key.len, check->limits->key_bytes);
    const char *forbidden = forbidden_in_name(key);
    if (forbidden != NULL)
        return fail(ERR_ARGUMENT, check->why,
            "the name of %s contains %s, names must be free of '.', '$', '#', blanks and control "
            "characters",
            place_text(check, place, where), forbidden);
    return ERR_NONE;
}

static bool is_integer(struct span literal)
{
    for (size_t i = 0; i < literal.len; i++)
        if (literal.ptr[i] == '.' || literal.ptr[i] == 'e' || literal.ptr[i] == 'E')
            return false;
    return true;
}

static enum err check_number(
    const struct check *check, const struct place *place, const struct json *value)
{
    char where[PLACE_SIZE];
    int64_t integer;
    double number;
    const struct twin_limits *limits = check->limits;
    if (value->text.len > LITERAL_BYTES)
        return fail(ERR_ARGUMENT, check->why,
            "%s is a number of %zu characters, at most %u are allowed",
            place_text(check, place, where), value->text.len, LITERAL_BYTES);
    if (!is_integer(value->text)) {
        if (json_double(value, &number))
            return ERR_NONE;
        return fail(ERR_ARGUMENT, check->why, "%s is %.*s, which is beyond a double's range",
            place_text(check, place, where), SPAN_ARG(value->text));
    }
    if (json_int64(value, &integer) && integer >= limits->integer_min &&
        integer <= limits->integer_max)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, check->why,
        "%s is %.*s, integers from %" PRId64 " to %" PRId64 " are allowed",
        place_text(check, place, where), SPAN_ARG(value->text), limits->integer_min,
        limits->integer_max);
}

static enum err check_value(const struct check *check, const struct place *place,
    const struct json *value, unsigned depth, bool in_array);

static enum err check_members(const struct check *check, const struct place *place,
    const struct json *object, unsigned depth, bool in_array)
{
    enum err err = ERR_NONE;
    json_each (member, object) {
        if (depth == 0 && check->skip != NULL && check->skip(member->key))
            continue;
        struct place inner = {place, member->key, 0};
        err = check_name(check, &inner);
        if (err == ERR_NONE)
            err = check_value(check, &inner, member, depth + 1, in_array);
        if (err != ERR_NONE)
            return err;
    }
    return err;
}

static enum err check_elements(
    const struct check *check, const struct place *place, const struct json *array, unsigned depth)
{
    struct place inner = {place, SPAN_NONE, 0};
    json_each (element, array) {
        enum err err = check_value(check, &inner, element, depth + 1, true);
        if (err != ERR_NONE)
            return err;
        inner.index++;
    }
    return ERR_NONE;
}

/* `depth`: how many containers below the section's object this value would be, were it one. */
static enum err check_value(const struct check *check, const struct place *place,
    const struct json *value, unsigned depth, bool in_array)
{
    char where[PLACE_SIZE];
    switch (value->kind) {
    case JSON_BOOL:
        return ERR_NONE;
    case JSON_NUMBER:
        return check_number(check, place, value);
    case JSON_NULL:
        if (!in_array)
            return ERR_NONE;
        return fail(ERR_ARGUMENT, check->why, "%s is null, arrays must be free of null",
            place_text(check, place, where));
    case JSON_STRING:
        if (value->text.len <= check->limits->string_bytes)
            return ERR_NONE;
        return fail(ERR_ARGUMENT, check->why,
            "%s is a string of %zu bytes of UTF-8, at most %zu are allowed",
            place_text(check, place, where), value->text.len, check->limits->string_bytes);
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    if (depth > check->limits->depth)
        return fail(ERR_ARGUMENT, check->why, "%s is %s at level %u, at most %u levels are allowed",
            place_text(check, place, where), json_kind_name(value), depth, check->limits->depth);
    return value->kind == JSON_ARRAY ? check_elements(check, place, value, depth)
                                     : check_members(check, place, value, depth, in_array);
}

enum err limits_check_patch(const struct twin_limits *limits, const char *name,
    const struct json *patch, bool (*skip)(struct span key), struct why *why)
{
    struct check check = {limits, name, skip, why};
    return check_members(&check, NULL, patch, 0, false);
}

/* What the hub's counting rule and the text itself make of a value. */
struct size {
    size_t counted;
    size_t text;
};

static void add_string(struct span text, struct size *size)
{
    size->text += text.len + 3;
    for (size_t at = 0; at < text.len;)
        size->counted += !is_control(next_character(text, &at));
}

static void add_leaf(const struct json *value, struct size *size)
{
    switch (value->kind) {
    case JSON_NULL:
        break;
    case JSON_BOOL:
        size->counted += 4;
        size->text += 5;
        break;
    case JSON_NUMBER:
        size->counted += 8;
        size->text += value->text.len + 1;
        break;
    case JSON_STRING:
        add_string(value->text, size);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        size->text += 3;
        json_each (child, value) {
            size->counted += child->key.len;
            size->text += child->key.len + 4;
            add_leaf(child, size);
        }
    }
}

static void add_object(const struct prop *object, struct size *size)
{
    size->text += 3;
    prop_each(child, object)
    {
        size->counted += child->key.len;
        size->text += child->key.len + 4;
        if (child->leaf != NULL)
            add_leaf(child->leaf, size);
        else
            add_object(child, size);
    }
}

static struct size size_of(const struct prop *prop)
{
    struct size size = {0, 0};
    if (prop->leaf != NULL)
        add_leaf(prop->leaf, &size);
    else
        add_object(prop, &size);
    return size;
}

static enum err check_property(const struct twin_limits *limits, const char *name,
    const struct prop *before, const struct prop *after, struct why *why)
{
    struct check check = {limits, name, NULL, why};
    char where[PLACE_SIZE];
    size_t counted = size_of(after).counted;
    if (limits->property_bytes == 0 || counted <= limits->property_bytes)
        return ERR_NONE;
    const struct prop *was = NULL;
    if (before != NULL) {
        const struct lookup old = {.object = before, .count = before->count};
        was = lookup_find(&old, after->key);
    }
    if (was != NULL && size_of(was).counted >= counted)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "the value of %s would take %zu bytes, at most %zu are allowed for one property",
        place_text(&check, &(struct place){NULL, after->key, 0}, where), counted,
        limits->property_bytes);
}

enum err limits_check_size(const struct twin_limits *limits, const char *name, size_t limit_bytes,
    const struct prop *before, const struct prop *after, struct why *why)
{
    prop_each(member, after)
    {
        enum err err = check_property(limits, name, before, member, why);
        if (err != ERR_NONE)
            return err;
    }
    struct size size = size_of(after);
    if (size.counted <= limit_bytes && size.text / TEXT_FACTOR <= limit_bytes)
        return ERR_NONE;
    struct size old = before == NULL ? (struct size){0, 0} : size_of(before);
    if (size.counted > limit_bytes && size.counted > old.counted)
        return fail(ERR_ARGUMENT, why, "%s would take %zu bytes, at most %zu are allowed", name,
            size.counted, limit_bytes);
    if (size.text / TEXT_FACTOR > limit_bytes && size.text > old.text)
        return fail(ERR_ARGUMENT, why,
            "%s would take %zu bytes as JSON text, at most %zu are allowed", name, size.text,
            limit_bytes * TEXT_FACTOR);
    return ERR_NONE;
}
