/* SPDX-License-Identifier: Apache-2.0 */
#include "twin_priv.h"

bool merge_is_reserved(struct span key)
{
    return span_is(key, "$metadata") || span_is(key, "$version");
}

static void put_stamp(const struct stamp *stamp, struct prop *prop)
{
    prop->updated = stamp->time;
    prop->updated_version = stamp->version;
}

static void drop_children(struct prop *prop)
{
    prop->first = NULL;
    prop->last = NULL;
    prop->count = 0;
}

/* `prop` is the member of that name, or NULL if there is none. */
static enum err merge_member(
    const struct stamp *stamp, struct prop *object, struct prop *prop, const struct json *value)
{
    if (value->kind == JSON_NULL) {
        if (prop != NULL)
            prop->gone = true;
        return ERR_NONE;
    }
    if (prop == NULL)
        prop = prop_add(stamp->arena, object, value->key);
    if (prop == NULL)
        return ERR_MEMORY;
    if (value->kind != JSON_OBJECT) {
        drop_children(prop);
        prop->leaf = value;
        put_stamp(stamp, prop);
        return ERR_NONE;
    }
    prop->leaf = NULL;
    return merge_patch(stamp, prop, value, NULL);
}

enum err merge_patch(const struct stamp *stamp, struct prop *object, const struct json *patch,
    bool (*skip)(struct span key))
{
    struct lookup members;
    enum err err = lookup_init(stamp->arena, object, patch->count, &members);
    /* Names are unique within a patch: what is added on the way is never looked up again. */
    json_each (value, patch) {
        if (err != ERR_NONE)
            return err;
        if (skip == NULL || !skip(value->key))
            err = merge_member(stamp, object, lookup_find(&members, value->key), value);
    }
    put_stamp(stamp, object);
    return err;
}

/* json_equal() takes 1 and 1.0 for the same; a client that is strict about types does not. */
static bool same_leaf(const struct json *a, const struct json *b)
{
    if (a->kind != b->kind || a->count != b->count || a->truth != b->truth ||
        !span_eq(a->text, b->text))
        return false;
    const struct json *other = b->first;
    json_each (child, a) {
        if (!span_eq(child->key, other->key) || !same_leaf(child, other))
            return false;
        other = other->next;
    }
    return true;
}

static void write_name(struct span key, struct buf *out)
{
    json_write_string(key, out);
    buf_add_byte(out, ':');
}

static void write_whole(const struct prop *prop, struct buf *out)
{
    write_name(prop->key, out);
    if (prop->leaf != NULL)
        json_write(prop->leaf, out);
    else
        render_values(prop, out);
    buf_add_byte(out, ',');
}

static enum err write_member(
    struct arena *arena, const struct prop *before, const struct prop *after, struct buf *out)
{
    if (before != NULL && before->leaf == NULL && after->leaf == NULL) {
        size_t start = out->len;
        write_name(after->key, out);
        buf_add_byte(out, '{');
        size_t inside = out->len;
        enum err err = merge_write_difference(arena, before, after, out);
        if (err != ERR_NONE || out->failed)
            return err;
        if (out->len == inside) {
            out->len = start;
            return ERR_NONE;
        }
        out->len--;
        buf_add_text(out, "},");
        return ERR_NONE;
    }
    if (before == NULL || before->leaf == NULL || after->leaf == NULL ||
        !same_leaf(before->leaf, after->leaf))
        write_whole(after, out);
    return ERR_NONE;
}

enum err merge_write_difference(
    struct arena *arena, const struct prop *before, const struct prop *after, struct buf *out)
{
    struct lookup old;
    struct lookup now;
    enum err err = lookup_init(arena, before, after->count, &old);
    if (err == ERR_NONE)
        err = lookup_init(arena, after, before->count, &now);
    if (err != ERR_NONE)
        return err;
    prop_each(member, before)
    {
        if (lookup_find(&now, member->key) != NULL)
            continue;
        write_name(member->key, out);
        buf_add_text(out, "null,");
    }
    prop_each(member, after)
    {
        err = write_member(arena, lookup_find(&old, member->key), member, out);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}
