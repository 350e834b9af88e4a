/* SPDX-License-Identifier: Apache-2.0 */
#include "twin_priv.h"

#include <stdlib.h>

/* Deeper than any limit on the depth of a twin that a hub can be set to. */
#define STORED_DEPTH 256u

/* A walk costs about (members * lookups); from here on sorting once is cheaper. */
#define WALK_MAX 512u

struct prop *prop_add(struct arena *arena, struct prop *object, struct span key)
{
    struct prop *child = arena_alloc(arena, sizeof(*child));
    if (child == NULL)
        return NULL;
    child->key = key;
    if (object->last == NULL)
        object->first = child;
    else
        object->last->next = child;
    object->last = child;
    object->count++;
    return child;
}

static void load_stamp(struct prop *prop, const struct json *metadata)
{
    prop->updated = json_string_of(metadata, "$lastUpdated");
    int64_t version;
    if (json_int64(json_find_text(metadata, "$lastUpdatedVersion"), &version))
        prop->updated_version = version;
}

/* Metadata lists its members in the order of the values, behind its own '$' members: the next one
 * is nearly always the one that is wanted. */
static const struct json *metadata_of(
    const struct json *metadata, const struct json **next, struct span key)
{
    while (*next != NULL && span_starts((*next)->key, SPAN_LIT("$")))
        *next = (*next)->next;
    const struct json *found = *next;
    if (found == NULL || !span_eq(found->key, key))
        found = json_find(metadata, key);
    if (found != NULL)
        *next = found->next;
    return found;
}

static enum err load_object(struct arena *arena, const struct json *values,
    const struct json *metadata, struct prop *object)
{
    const struct json *next = metadata == NULL ? NULL : metadata->first;
    json_each (value, values) {
        struct prop *child = prop_add(arena, object, value->key);
        if (child == NULL)
            return ERR_MEMORY;
        const struct json *child_metadata =
            metadata == NULL ? NULL : metadata_of(metadata, &next, value->key);
        load_stamp(child, child_metadata);
        if (value->kind != JSON_OBJECT) {
            child->leaf = value;
            continue;
        }
        enum err err = load_object(arena, value, child_metadata, child);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

static enum err parse_stored(
    struct arena *arena, struct span text, struct json **ret_object, struct why *why)
{
    struct json *object;
    enum err err = json_parse(arena, text, STORED_DEPTH, &object, why);
    if (err == ERR_MEMORY)
        return err;
    if (err != ERR_NONE || object->kind != JSON_OBJECT) {
        if (err == ERR_NONE)
            why_set(why, "it is no JSON object");
        why_prefix(why, "a stored twin cannot be read");
        return ERR_CORRUPT;
    }
    *ret_object = object;
    return ERR_NONE;
}

enum err section_load(struct arena *arena, struct span values, struct span metadata,
    struct prop **ret_root, struct why *why)
{
    struct json *value_tree;
    struct json *metadata_tree = NULL;
    enum err err = parse_stored(arena, values, &value_tree, why);
    if (err == ERR_NONE && metadata.len > 0)
        err = parse_stored(arena, metadata, &metadata_tree, why);
    if (err != ERR_NONE)
        return err;
    struct prop *root = arena_alloc(arena, sizeof(*root));
    if (root == NULL)
        return ERR_MEMORY;
    load_stamp(root, metadata_tree);
    err = load_object(arena, value_tree, metadata_tree, root);
    if (err == ERR_NONE)
        *ret_root = root;
    return err;
}

static int by_key(const void *a, const void *b)
{
    const struct prop *const *left = a;
    const struct prop *const *right = b;
    return span_compare((*left)->key, (*right)->key);
}

enum err lookup_init(
    struct arena *arena, const struct prop *object, size_t expected_uses, struct lookup *ret_lookup)
{
    struct lookup lookup = {.object = object, .count = object->count};
    if (object->count > 0 && expected_uses > WALK_MAX / object->count && expected_uses > 1) {
        lookup.sorted = arena_alloc(arena, object->count * sizeof(struct prop *));
        if (lookup.sorted == NULL)
            return ERR_MEMORY;
        size_t at = 0;
        prop_each(child, object) lookup.sorted[at++] = child;
        lookup.count = at;
        qsort(lookup.sorted, lookup.count, sizeof(struct prop *), by_key);
    }
    *ret_lookup = lookup;
    return ERR_NONE;
}

struct prop *lookup_find(const struct lookup *lookup, struct span key)
{
    if (lookup->sorted == NULL) {
        size_t left = lookup->count;
        prop_each(child, lookup->object)
        {
            if (left-- == 0)
                return NULL;
            if (span_eq(child->key, key))
                return child;
        }
        return NULL;
    }
    size_t low = 0;
    size_t high = lookup->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = span_compare(lookup->sorted[middle]->key, key);
        if (order == 0)
            return lookup->sorted[middle]->gone ? NULL : lookup->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
