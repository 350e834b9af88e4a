/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay.h"

#include "twin.h"

#define SECTION "properties.desired"

/* Deeper than any twin may be: nothing below follows a longer path. */
#define MAX_NAMES 64

/* Every path is compared with every other. */
#define MAX_PATHS 256

/* The names below the section, with dots between; empty: the section itself. */
static struct span names_of(struct span path)
{
    return span_from(path, sizeof(SECTION));
}

/* Whether a path is another, or leads to it. */
static bool covers(struct span path, struct span other)
{
    if (!span_starts(other, path))
        return false;
    return other.len == path.len || other.ptr[path.len] == '.';
}

/* ---- judging --------------------------------------------------------------------------------- */

static enum err check_path(struct span path, struct why *why)
{
    struct span names = names_of(path);
    struct span name;
    unsigned count = 0;
    bool good =
        covers(SPAN_LIT(SECTION), path) && (path.len == sizeof(SECTION) - 1 || names.len > 0);
    while (good && span_cut(&names, '.', &name))
        good = name.len > 0 && name.ptr[0] != '$' && ++count <= MAX_NAMES;
    if (good)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "\"%.*s\" is no path, it must be \"" SECTION "\" or \"" SECTION ".NAME\"", SPAN_ARG(path));
}

static enum err check_alone(const struct json *content, const struct json *member, struct why *why)
{
    for (const struct json *other = content->first; other != member; other = other->next)
        if (covers(other->key, member->key) || covers(member->key, other->key))
            return fail(ERR_ARGUMENT, why, "\"%.*s\" and \"%.*s\" are about the same property",
                SPAN_ARG(other->key), SPAN_ARG(member->key));
    return ERR_NONE;
}

static bool holds_null(const struct json *value)
{
    if (value->kind == JSON_NULL)
        return true;
    if (value->kind != JSON_OBJECT && value->kind != JSON_ARRAY)
        return false;
    json_each (child, value)
        if (holds_null(child))
            return true;
    return false;
}

static bool holds_reserved(const struct json *section)
{
    json_each (member, section)
        if (span_starts(member->key, SPAN_LIT("$")))
            return true;
    return false;
}

static enum err check_member(const struct json *content, const struct json *member, struct why *why)
{
    enum err err = check_path(member->key, why);
    if (err == ERR_NONE)
        err = check_alone(content, member, why);
    if (err != ERR_NONE)
        return err;
    if (names_of(member->key).len == 0 && member->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, why, "\"" SECTION "\" is %s, it must be an object",
            json_kind_name(member));
    if (names_of(member->key).len == 0 && holds_reserved(member))
        return fail(ERR_ARGUMENT, why, "\"" SECTION "\" holds a name with '$', which is reserved");
    if (holds_null(member))
        return fail(ERR_ARGUMENT, why, "\"%.*s\" holds null, which a content cannot set",
            SPAN_ARG(member->key));
    return ERR_NONE;
}

enum err overlay_check(struct arena *arena, const struct json *content,
    const struct twin_limits *limits, struct why *why)
{
    struct twin_doc empty;
    struct twin_change change;
    struct overlay_layer layer = {.content = content};
    struct overlay overlay;
    if (content->kind != JSON_OBJECT || content->count == 0)
        return fail(ERR_ARGUMENT, why, "it must be an object of paths and values, and not empty");
    if (content->count > MAX_PATHS)
        return fail(ERR_ARGUMENT, why, "it has %u paths, at most %d are allowed", content->count,
            MAX_PATHS);
    json_each (member, content) {
        enum err err = check_member(content, member, why);
        if (err != ERR_NONE)
            return err;
    }
    enum err err = overlay_apply(arena, SPAN_LIT("{}"), SPAN_NONE, &layer, 1, &overlay);
    if (err == ERR_NONE)
        err = twin_new(arena, 0, &empty);
    if (err != ERR_NONE || overlay.patch == NULL)
        return err;
    return twin_apply(arena, &empty, TWIN_PATCH, overlay.patch, limits, 0, &change, why);
}

/* ---- laying ---------------------------------------------------------------------------------- */

static void drop_all(struct json *object)
{
    object->first = NULL;
    object->last = NULL;
    object->count = 0;
}

/* Takes out what stands at a path, and the objects on the way that become empty by it. */
static void take_out(struct json *object, struct span names)
{
    struct span name;
    if (names.len == 0) {
        drop_all(object);
        return;
    }
    if (!span_cut(&names, '.', &name))
        return;
    struct json *child = json_find(object, name);
    if (child == NULL)
        return;
    if (names.len > 0) {
        if (child->kind != JSON_OBJECT)
            return;
        take_out(child, names);
        if (child->count > 0)
            return;
    }
    (void)json_take(object, name);
}

/* Puts a value at a path; what is in the way of it goes. False: no memory. */
static bool put_in(
    struct arena *arena, struct json *object, struct span names, const struct json *value)
{
    struct span name;
    if (names.len == 0) {
        drop_all(object);
        json_each (member, value)
            if (!json_set(arena, object, member->key, json_copy(arena, member)))
                return false;
        return true;
    }
    if (!span_cut(&names, '.', &name))
        return true;
    if (names.len == 0)
        return json_set(arena, object, name, json_copy(arena, value));
    struct json *child = json_find(object, name);
    if (!json_is(child, JSON_OBJECT)) {
        child = json_new(arena, JSON_OBJECT);
        if (child == NULL || !json_set(arena, object, name, child))
            return false;
    }
    return put_in(arena, child, names, value);
}

static bool is_wanted(const struct overlay_layer *layers, size_t count, struct span path)
{
    for (size_t i = 0; i < count; i++)
        if (json_find(layers[i].content, path) != NULL)
            return true;
    return false;
}

static enum err take_out_owned(struct arena *arena, struct json *values, struct span owned,
    const struct overlay_layer *layers, size_t count)
{
    struct json *paths;
    if (owned.len == 0)
        return ERR_NONE;
    enum err err = json_parse(arena, owned, 0, &paths, NULL);
    if (err != ERR_NONE || paths->kind != JSON_ARRAY)
        return err == ERR_MEMORY ? err : ERR_CORRUPT;
    json_each (path, paths)
        if (!is_wanted(layers, count, path->text))
            take_out(values, names_of(path->text));
    return ERR_NONE;
}

static bool is_covered(const struct overlay_layer *higher, size_t count, struct span path)
{
    for (size_t i = 0; i < count; i++)
        json_each (member, higher[i].content)
            if (covers(member->key, path))
                return true;
    return false;
}

static bool lay(
    struct arena *arena, struct json *values, struct overlay_layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        layers[i].in_force = false;
        json_each (member, layers[i].content) {
            if (is_covered(layers + i + 1, count - i - 1, member->key))
                continue;
            layers[i].in_force = true;
            if (!put_in(arena, values, names_of(member->key), member))
                return false;
        }
    }
    return true;
}

/* ---- what that changes ----------------------------------------------------------------------- */

static struct json *difference(
    struct arena *arena, const struct json *before, const struct json *after);

static bool add_member(
    struct arena *arena, struct json *patch, const struct json *before, const struct json *after)
{
    if (before != NULL && json_equal(before, after))
        return true;
    struct json *value = json_is(before, JSON_OBJECT) && after->kind == JSON_OBJECT
                             ? difference(arena, before, after)
                             : json_copy(arena, after);
    return json_add(arena, patch, after->key, value);
}

/* The merge patch that makes the one of the other; NULL: no memory. */
static struct json *difference(
    struct arena *arena, const struct json *before, const struct json *after)
{
    struct json *patch = json_new(arena, JSON_OBJECT);
    if (patch == NULL)
        return NULL;
    json_each (member, after)
        if (!add_member(arena, patch, json_find(before, member->key), member))
            return NULL;
    json_each (member, before)
        if (json_find(after, member->key) == NULL &&
            !json_add(arena, patch, member->key, json_new(arena, JSON_NULL)))
            return NULL;
    return patch;
}

static bool wrap(struct arena *arena, struct json *desired, const struct json **ret_patch)
{
    struct json *properties = json_new(arena, JSON_OBJECT);
    struct json *patch = json_new(arena, JSON_OBJECT);
    if (desired == NULL || properties == NULL || patch == NULL ||
        !json_add(arena, properties, SPAN_LIT("desired"), desired) ||
        !json_add(arena, patch, SPAN_LIT("properties"), properties))
        return false;
    *ret_patch = desired->count == 0 ? NULL : patch;
    return true;
}

static bool write_owned(
    struct arena *arena, const struct overlay_layer *layers, size_t count, struct span *ret_owned)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    for (size_t i = 0; i < count; i++) {
        json_each (member, layers[i].content) {
            if (is_wanted(layers, i, member->key))
                continue;
            buf_add_byte(&out, out.len == 0 ? '[' : ',');
            json_write_string(member->key, &out);
        }
    }
    *ret_owned = SPAN_NONE;
    if (out.len == 0)
        return !out.failed;
    buf_add_byte(&out, ']');
    return !out.failed && arena_span(arena, buf_span(&out), ret_owned);
}

enum err overlay_apply(struct arena *arena, struct span values, struct span owned,
    struct overlay_layer *layers, size_t count, struct overlay *ret_overlay)
{
    struct json *before;
    struct overlay overlay = {0};
    enum err err = json_parse(arena, values, 0, &before, NULL);
    if (err != ERR_NONE || before->kind != JSON_OBJECT)
        return err == ERR_MEMORY ? err : ERR_CORRUPT;
    struct json *after = json_copy(arena, before);
    if (after == NULL)
        return ERR_MEMORY;
    err = take_out_owned(arena, after, owned, layers, count);
    if (err != ERR_NONE)
        return err;
    if (!lay(arena, after, layers, count) ||
        !wrap(arena, difference(arena, before, after), &overlay.patch) ||
        !write_owned(arena, layers, count, &overlay.owned))
        return ERR_MEMORY;
    *ret_overlay = overlay;
    return ERR_NONE;
}
