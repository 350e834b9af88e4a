/* SPDX-License-Identifier: Apache-2.0 */
#include "schema_check.h"

#include "file.h"

#include <regex.h>

struct place {
    const char *dir;
    struct arena *arena;
    const struct json *root; /* of the schema's file */
    struct why *why;
};

static bool check(struct place place, const struct json *schema, const struct json *value);

static bool load(const struct place *place, struct span name, const struct json **ret_root)
{
    AUTO(buf_done) struct buf text = {0};
    struct json *root;
    char *file = arena_text(place->arena, name);
    if (file == NULL || !file_read(place->dir, file, 1u << 20, &text)) {
        why_set(place->why, "%.*s cannot be read", SPAN_ARG(name));
        return false;
    }
    if (json_parse(place->arena, buf_span(&text), 0, &root, place->why) != ERR_NONE)
        return false;
    *ret_root = root;
    return true;
}

static bool is_type(const struct json *value, struct span type)
{
    int64_t number;
    if (span_is(type, "object"))
        return value->kind == JSON_OBJECT;
    if (span_is(type, "array"))
        return value->kind == JSON_ARRAY;
    if (span_is(type, "boolean"))
        return json_is(value, JSON_BOOL);
    if (span_is(type, "string"))
        return value->kind == JSON_STRING;
    if (span_is(type, "boolean"))
        return value->kind == JSON_BOOL;
    return span_is(type, "integer") && json_int64(value, &number);
}

static bool check_type(struct place place UNUSED, const struct json *said, const struct json *value)
{
    return is_type(value, said->text);
}

static bool check_const(
    struct place place UNUSED, const struct json *said, const struct json *value)
{
    return json_equal(said, value);
}

static bool check_enum(struct place place UNUSED, const struct json *said, const struct json *value)
{
    json_each (word, said)
        if (json_equal(word, value))
            return true;
    return false;
}

static bool check_required(
    struct place place UNUSED, const struct json *said, const struct json *value)
{
    json_each (name, said)
        if (value->kind == JSON_OBJECT && json_find(value, name->text) == NULL)
            return false;
    return true;
}

static bool check_properties(struct place place, const struct json *said, const struct json *value)
{
    if (value->kind != JSON_OBJECT)
        return true;
    json_each (property, said) {
        const struct json *member = json_find(value, property->key);
        if (member != NULL && !check(place, property, member)) {
            why_prefix(place.why, "%.*s", SPAN_ARG(property->key));
            return false;
        }
    }
    return true;
}

static bool check_items(struct place place, const struct json *said, const struct json *value)
{
    if (value->kind != JSON_ARRAY)
        return true;
    json_each (item, value)
        if (!check(place, said, item))
            return false;
    return true;
}

static bool check_one_of(struct place place, const struct json *said, const struct json *value)
{
    unsigned good = 0;
    struct why why = {""}, first = {""};
    struct why *outer = place.why;
    place.why = &why;
    json_each (branch, said) {
        if (check(place, branch, value))
            good++;
        else if (first.text[0] == '\0')
            first = why;
    }
    *outer = first;
    return good == 1;
}

static bool check_min_items(
    struct place place UNUSED, const struct json *said, const struct json *value)
{
    int64_t least;
    return value->kind != JSON_ARRAY || (json_int64(said, &least) && value->count >= least);
}

static bool check_min_length(
    struct place place UNUSED, const struct json *said, const struct json *value)
{
    int64_t least;
    return value->kind != JSON_STRING ||
           (json_int64(said, &least) && (int64_t)value->text.len >= least);
}

static bool check_minimum(
    struct place place UNUSED, const struct json *said, const struct json *value)
{
    int64_t least, number;
    return !json_int64(value, &number) || (json_int64(said, &least) && number >= least);
}

static bool check_maximum(
    struct place place UNUSED, const struct json *said, const struct json *value)
{
    int64_t most, number;
    return !json_int64(value, &number) || (json_int64(said, &most) && number <= most);
}

static bool check_pattern(struct place place, const struct json *said, const struct json *value)
{
    regex_t regex;
    if (value->kind != JSON_STRING)
        return true;
    const char *pattern = arena_text(place.arena, said->text);
    const char *text = arena_text(place.arena, value->text);
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool good = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return good;
}

static bool check_ref(struct place place, const struct json *said, const struct json *value)
{
    struct span rest = said->text, file;
    if (!span_starts(rest, SPAN_LIT("#"))) {
        span_cut(&rest, '#', &file);
        if (!load(&place, file, &place.root))
            return false;
        return check(place, place.root, value);
    }
    const struct json *at = place.root;
    struct span part;
    rest = span_from(rest, 2); /* "#/" */
    while (at != NULL && span_cut(&rest, '/', &part))
        at = json_find(at, part);
    return at != NULL && check(place, at, value);
}

static bool check_nothing(
    struct place place UNUSED, const struct json *said UNUSED, const struct json *value UNUSED)
{
    return true;
}

static const struct {
    const char *name;
    bool (*check)(struct place place, const struct json *said, const struct json *value);
} keywords[] = {
    {"$schema", check_nothing},
    {"$id", check_nothing},
    {"$defs", check_nothing},
    {"title", check_nothing},
    {"description", check_nothing},
    {"additionalProperties", check_nothing}, /* see check_known() */
    {"$ref", check_ref},
    {"type", check_type},
    {"const", check_const},
    {"enum", check_enum},
    {"required", check_required},
    {"properties", check_properties},
    {"items", check_items},
    {"minItems", check_min_items},
    {"minLength", check_min_length},
    {"minimum", check_minimum},
    {"maximum", check_maximum},
    {"pattern", check_pattern},
    {"oneOf", check_one_of},
};

/* additionalProperties: false looks at its neighbour. */
static bool check_known(const struct json *schema, const struct json *value, struct why *why)
{
    const struct json *more = json_find_text(schema, "additionalProperties");
    if (more == NULL || more->truth || value->kind != JSON_OBJECT)
        return true;
    json_each (member, value) {
        if (json_find(json_find_text(schema, "properties"), member->key) == NULL) {
            why_set(why, "%.*s is not in the schema", SPAN_ARG(member->key));
            return false;
        }
    }
    return true;
}

static bool check(struct place place, const struct json *schema, const struct json *value)
{
    json_each (said, schema) {
        size_t at = 0;
        while (at < COUNT_OF(keywords) && !span_is(said->key, keywords[at].name))
            at++;
        if (at == COUNT_OF(keywords)) {
            why_set(place.why, "the schema's \"%.*s\" is not checked here", SPAN_ARG(said->key));
            return false;
        }
        why_set(place.why, "%.*s", SPAN_ARG(said->key));
        if (!keywords[at].check(place, said, value))
            return false;
    }
    return check_known(schema, value, place.why);
}

bool schema_check(const char *dir, const char *file, const struct json *value, struct why *why)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct place place = {.dir = dir, .arena = &arena, .why = why};
    bool good = load(&place, span_of(file), &place.root) && check(place, place.root, value);
    arena_done(&arena);
    return good;
}
