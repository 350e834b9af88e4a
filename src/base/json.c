/* SPDX-License-Identifier: Apache-2.0 */
#include "json_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct json *json_new(struct arena *arena, enum json_kind kind)
{
    struct json *value = arena_alloc(arena, sizeof(*value));
    if (value != NULL)
        value->kind = kind;
    return value;
}

struct json *json_new_bool(struct arena *arena, bool truth)
{
    struct json *value = json_new(arena, JSON_BOOL);
    if (value != NULL)
        value->truth = truth;
    return value;
}

struct json *json_new_int(struct arena *arena, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)number);
    struct json *value = json_new(arena, JSON_NUMBER);
    if (value == NULL || !arena_span(arena, (struct span){text, (size_t)len}, &value->text))
        return NULL;
    return value;
}

struct json *json_new_string(struct arena *arena, struct span text)
{
    struct json *value = json_new(arena, JSON_STRING);
    if (value == NULL || !arena_span(arena, text, &value->text))
        return NULL;
    return value;
}

struct json *json_copy(struct arena *arena, const struct json *value)
{
    struct json *copy = json_new(arena, value->kind);
    if (copy == NULL || !arena_span(arena, value->text, &copy->text) ||
        !arena_span(arena, value->key, &copy->key))
        return NULL;
    copy->truth = value->truth;
    copy->offset = value->offset;
    json_each (child, value) {
        struct json *child_copy = json_copy(arena, child);
        if (child_copy == NULL)
            return NULL;
        json_link(copy, child_copy);
    }
    return copy;
}

bool json_append(struct json *array, struct json *item)
{
    must(array->kind == JSON_ARRAY);
    if (item == NULL)
        return false;
    item->next = NULL;
    json_link(array, item);
    return true;
}

bool json_set(struct arena *arena, struct json *object, struct span name, struct json *value)
{
    must(object->kind == JSON_OBJECT);
    if (value == NULL || !arena_span(arena, name, &value->key))
        return false;
    value->next = NULL;
    struct json **link = &object->first;
    while (*link != NULL && !span_eq((*link)->key, name))
        link = &(*link)->next;
    if (*link == NULL) {
        json_link(object, value);
        return true;
    }
    value->next = (*link)->next;
    if (object->last == *link)
        object->last = value;
    *link = value;
    return true;
}

bool json_add(struct arena *arena, struct json *object, struct span name, struct json *value)
{
    must(object->kind == JSON_OBJECT);
    if (value == NULL || !arena_span(arena, name, &value->key))
        return false;
    value->next = NULL;
    json_link(object, value);
    return true;
}

bool json_set_text(struct arena *arena, struct json *object, const char *name, struct span text)
{
    return json_set(arena, object, span_of(name), json_new_string(arena, text));
}

bool json_set_int(struct arena *arena, struct json *object, const char *name, int64_t number)
{
    return json_set(arena, object, span_of(name), json_new_int(arena, number));
}

bool json_set_bool(struct arena *arena, struct json *object, const char *name, bool truth)
{
    return json_set(arena, object, span_of(name), json_new_bool(arena, truth));
}

struct json *json_take(struct json *object, struct span name)
{
    struct json *before = NULL;
    json_each (member, object) {
        if (!span_eq(member->key, name)) {
            before = member;
            continue;
        }
        if (before == NULL)
            object->first = member->next;
        else
            before->next = member->next;
        if (object->last == member)
            object->last = before;
        object->count--;
        member->next = NULL;
        return member;
    }
    return NULL;
}

struct json *json_find(const struct json *object, struct span name)
{
    if (object == NULL || object->kind != JSON_OBJECT)
        return NULL;
    json_each (member, object)
        if (span_eq(member->key, name))
            return member;
    return NULL;
}

struct json *json_find_text(const struct json *object, const char *name)
{
    return json_find(object, span_of(name));
}

struct span json_string_of(const struct json *object, const char *name)
{
    const struct json *member = json_find_text(object, name);
    return json_is(member, JSON_STRING) ? member->text : SPAN_NONE;
}

bool json_int64(const struct json *value, int64_t *ret_value)
{
    if (!json_is(value, JSON_NUMBER))
        return false;
    bool negative = value->text.len > 0 && value->text.ptr[0] == '-';
    uint64_t size;
    uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (!span_u64(span_from(value->text, negative ? 1 : 0), max, &size))
        return false;
    if (negative)
        *ret_value = size == 0 ? 0 : -(int64_t)(size - 1) - 1;
    else
        *ret_value = (int64_t)size;
    return true;
}

bool json_double(const struct json *value, double *ret_value)
{
    if (!json_is(value, JSON_NUMBER))
        return false;
    /* Literals of this module end in NUL; the program never leaves the "C" locale. */
    double number = strtod(value->text.ptr, NULL);
    if (!isfinite(number))
        return false;
    *ret_value = number;
    return true;
}

const char *json_kind_name(const struct json *value)
{
    static const char *const names[] = {
        "null", "a boolean", "a number", "a string", "an array", "an object"};
    if (value == NULL)
        return "nothing";
    if (value->kind == JSON_NUMBER && value->text.ptr != NULL &&
        strpbrk(value->text.ptr, ".eE") == NULL)
        return "an integer";
    return names[value->kind];
}

static bool equal_members(const struct json *a, const struct json *b)
{
    const struct json *same_place = b->first;
    json_each (member, a) {
        const struct json *other = same_place != NULL && span_eq(same_place->key, member->key)
                                       ? same_place
                                       : json_find(b, member->key);
        if (other == NULL || !json_equal(member, other))
            return false;
        same_place = same_place == NULL ? NULL : same_place->next;
    }
    return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
    double x;
    double y;
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->truth == b->truth;
    case JSON_STRING:
        return span_eq(a->text, b->text);
    case JSON_NUMBER:
        if (span_eq(a->text, b->text))
            return true;
        /* Not for two integers: a double would call 2^53 and 2^53 + 1 the same. */
        if (strpbrk(a->text.ptr, ".eE") == NULL && strpbrk(b->text.ptr, ".eE") == NULL)
            return false;
        return json_double(a, &x) && json_double(b, &y) && !(x < y) && !(x > y);
    case JSON_OBJECT:
        return equal_members(a, b);
    case JSON_ARRAY:
        break;
    }
    const struct json *other = b->first;
    json_each (item, a) {
        if (!json_equal(item, other))
            return false;
        other = other->next;
    }
    return true;
}
