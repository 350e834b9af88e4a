/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups: a key is the JSON text of each attribute of GROUP BY, each ended by a NUL, which JSON
 * text never holds; an attribute that is not there leaves an empty text. Numbers are written in one
 * form, so that 1 and 1.0 are one group. They stand in a hash table until all were added, and are
 * written in the order of their keys.
 */
#include "query_priv.h"

#include "json.h"

#include <stdlib.h>

struct tally {
    uint64_t count; /* documents; of COUNT(x) and AVG: those with a value that counts */
    double sum;
    double least;
    double most;
    bool has_text;
    struct span text; /* least or most of the strings, as the column asks */
    size_t text_room;
};

struct group {
    struct group *next; /* of the same slot */
    struct span key;
    uint64_t hash;
    struct tally *tallies; /* by column */
};

struct query_groups {
    const struct query *query;
    struct arena *arena;
    struct group **slots;
    size_t slot_count; /* a power of 2 */
    size_t count;
    size_t limit;
    struct group **sorted;
};

#define FIRST_SLOTS 64

struct query_groups *query_groups_new(const struct query *query, struct arena *arena, size_t limit)
{
    struct query_groups *groups = arena_alloc(arena, sizeof(*groups));
    if (groups == NULL)
        return NULL;
    groups->query = query;
    groups->arena = arena;
    groups->limit = limit;
    groups->slot_count = FIRST_SLOTS;
    groups->slots = arena_alloc(arena, FIRST_SLOTS * sizeof(struct group *));
    return groups->slots == NULL ? NULL : groups;
}

static uint64_t hash_of(struct span key)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

static bool grow(struct query_groups *groups)
{
    size_t wanted = groups->slot_count * 4;
    struct group **slots = arena_alloc(groups->arena, wanted * sizeof(struct group *));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < groups->slot_count; i++) {
        struct group *group = groups->slots[i];
        while (group != NULL) {
            struct group *next = group->next;
            group->next = slots[group->hash & (wanted - 1)];
            slots[group->hash & (wanted - 1)] = group;
            group = next;
        }
    }
    groups->slots = slots;
    groups->slot_count = wanted;
    return true;
}

static enum err add_group(
    struct query_groups *groups, struct span key, struct group **ret_group, struct why *why)
{
    if (groups->count == groups->limit)
        return fail(ERR_ARGUMENT, why, "the query makes more than %zu groups (limits.query_groups)",
            groups->limit);
    if (groups->count >= groups->slot_count && !grow(groups))
        return ERR_MEMORY;
    struct group *group = arena_alloc(groups->arena, sizeof(*group));
    if (group == NULL)
        return ERR_MEMORY;
    group->tallies =
        arena_alloc(groups->arena, groups->query->column_count * sizeof(*group->tallies));
    if (group->tallies == NULL || !arena_span(groups->arena, key, &group->key))
        return ERR_MEMORY;
    group->hash = hash_of(key);
    group->next = groups->slots[group->hash & (groups->slot_count - 1)];
    groups->slots[group->hash & (groups->slot_count - 1)] = group;
    groups->count++;
    *ret_group = group;
    return ERR_NONE;
}

static enum err find_group(
    struct query_groups *groups, struct span key, struct group **ret_group, struct why *why)
{
    uint64_t hash = hash_of(key);
    struct group *group = groups->slots[hash & (groups->slot_count - 1)];
    while (group != NULL && (group->hash != hash || !span_eq(group->key, key)))
        group = group->next;
    if (group == NULL)
        return add_group(groups, key, ret_group, why);
    *ret_group = group;
    return ERR_NONE;
}

/* ---- adding -------------------------------------------------------------------------------- */

static void write_key_part(struct query_value value, struct buf *key)
{
    if (value.kind == VALUE_NUMBER)
        value.text = SPAN_NONE;
    query_value_write(&value, key);
    buf_add_byte(key, '\0');
}

static void write_key(const struct query *query, struct eval *eval, struct buf *key)
{
    if (query->groups == NULL)
        return;
    for (const struct node *node = query->groups->first; node != NULL; node = node->next) {
        struct query_value value;
        eval_node(eval, node, &value);
        write_key_part(value, key);
    }
}

/* Keeps the least or the most of the strings, in room that grows by doubling: what a long scan
 * leaves behind stays small. */
static bool keep_text(struct arena *arena, struct tally *tally, struct span text, bool least)
{
    int order = span_compare(text, tally->text);
    if (tally->has_text && (least ? order >= 0 : order <= 0))
        return true;
    if (text.len > tally->text_room || tally->text.ptr == NULL) {
        size_t room = text.len * 2 + 16;
        char *memory = arena_alloc(arena, room);
        if (memory == NULL)
            return false;
        tally->text.ptr = memory;
        tally->text_room = room;
    }
    if (text.len > 0)
        memcpy((char *)(uintptr_t)tally->text.ptr, text.ptr, text.len);
    tally->text.len = text.len;
    tally->has_text = true;
    return true;
}

static bool add_value(struct arena *arena, const struct column *column, struct tally *tally,
    const struct query_value *value)
{
    bool extreme = column->aggregate == AGGREGATE_MIN || column->aggregate == AGGREGATE_MAX;
    if (column->aggregate == AGGREGATE_COUNT) {
        tally->count += value->kind == VALUE_UNDEFINED ? 0 : 1;
    } else if (value->kind == VALUE_NUMBER) {
        double number = value->number;
        tally->least = tally->count == 0 || number < tally->least ? number : tally->least;
        tally->most = tally->count == 0 || number > tally->most ? number : tally->most;
        tally->sum += number;
        tally->count++;
    } else if (value->kind == VALUE_STRING && extreme) {
        return keep_text(arena, tally, value->text, column->aggregate == AGGREGATE_MIN);
    }
    return true;
}

enum err query_groups_add(struct query_groups *groups, const struct query_source *source,
    struct arena *arena, struct why *why)
{
    AUTO(buf_done) struct buf key = BUF_EMPTY;
    struct eval eval = {.source = source, .arena = arena};
    struct group *group = NULL;
    write_key(groups->query, &eval, &key);
    if (key.failed || eval.failed)
        return ERR_MEMORY;
    enum err err = find_group(groups, buf_span(&key), &group, why);
    if (err != ERR_NONE)
        return err;
    struct tally *tally = group->tallies;
    for (const struct column *c = groups->query->columns; c != NULL; c = c->next, tally++) {
        struct query_value value = query_value_bool(true);
        if (c->aggregate == AGGREGATE_NONE)
            continue;
        if (c->value != NULL)
            eval_node(&eval, c->value, &value);
        if (!add_value(groups->arena, c, tally, &value) || eval.failed)
            return ERR_MEMORY;
    }
    return ERR_NONE;
}

static enum err count(
    struct query_groups *groups, struct span key, uint64_t documents, struct why *why)
{
    struct group *group = NULL;
    enum err err = find_group(groups, key, &group, why);
    for (size_t i = 0; i < groups->query->column_count && err == ERR_NONE; i++)
        group->tallies[i].count += documents;
    return err;
}

enum err query_groups_count(struct query_groups *groups, uint64_t documents)
{
    return count(groups, SPAN_NONE, documents, NULL);
}

enum err query_groups_count_of(struct query_groups *groups, const struct query_value *value,
    uint64_t documents, struct why *why)
{
    AUTO(buf_done) struct buf key = BUF_EMPTY;
    write_key_part(*value, &key);
    return key.failed ? ERR_MEMORY : count(groups, buf_span(&key), documents, why);
}

/* ---- writing ------------------------------------------------------------------------------- */

static struct span key_part(struct span key, size_t at)
{
    struct span part = SPAN_NONE;
    for (size_t i = 0; i <= at; i++)
        (void)span_cut(&key, '\0', &part);
    return part;
}

static struct query_value result_of(const struct column *column, const struct tally *tally)
{
    struct query_value none = {0};
    switch (column->aggregate) {
    case AGGREGATE_COUNT:
        return query_value_number((double)tally->count);
    case AGGREGATE_SUM:
        return query_value_number(tally->sum);
    case AGGREGATE_AVG:
        return tally->count == 0 ? none : query_value_number(tally->sum / (double)tally->count);
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        if (tally->count > 0)
            return query_value_number(
                column->aggregate == AGGREGATE_MIN ? tally->least : tally->most);
        return tally->has_text ? query_value_string(tally->text) : none;
    case AGGREGATE_NONE:
        break;
    }
    return none;
}

static bool is_hidden(const struct column *column)
{
    for (const struct column *later = column->next; later != NULL; later = later->next)
        if (span_eq(later->key, column->key))
            return true;
    return false;
}

static void write_group(const struct query *query, const struct group *group, struct buf *out)
{
    const struct tally *tally = group->tallies;
    const char *comma = "";
    buf_add_byte(out, '{');
    for (const struct column *c = query->columns; c != NULL; c = c->next, tally++) {
        struct query_value value = result_of(c, tally);
        struct span part =
            c->aggregate == AGGREGATE_NONE ? key_part(group->key, c->group) : SPAN_NONE;
        if (is_hidden(c) || (part.len == 0 && value.kind == VALUE_UNDEFINED))
            continue;
        buf_add_text(out, comma);
        json_write_string(c->key, out);
        buf_add_byte(out, ':');
        if (part.len > 0)
            buf_add(out, part);
        else
            query_value_write(&value, out);
        comma = ",";
    }
    buf_add_byte(out, '}');
}

static int compare_groups(const void *a, const void *b)
{
    return span_compare(
        (*(const struct group *const *)a)->key, (*(const struct group *const *)b)->key);
}

static enum err sort(struct query_groups *groups)
{
    size_t at = 0;
    /* Without GROUP BY there is one row, also where no document was taken. */
    if (groups->query->groups == NULL && groups->count == 0) {
        struct group *group = NULL;
        enum err err = add_group(groups, SPAN_NONE, &group, NULL);
        if (err != ERR_NONE)
            return err;
    }
    groups->sorted = arena_alloc(groups->arena, (groups->count + 1) * sizeof(struct group *));
    if (groups->sorted == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < groups->slot_count; i++)
        for (struct group *group = groups->slots[i]; group != NULL; group = group->next)
            groups->sorted[at++] = group;
    qsort(groups->sorted, at, sizeof(struct group *), compare_groups);
    return ERR_NONE;
}

static struct span prefix_of(const struct group *group)
{
    return span_first(group->key, QUERY_PREFIX_BYTES);
}

/* The first group behind a place. */
static size_t begin_at(const struct query_groups *groups, const struct query_place *place)
{
    size_t at = 0;
    uint64_t skip = place->skip;
    while (at < groups->count) {
        int order = span_compare(prefix_of(groups->sorted[at]), place->prefix);
        if (order > 0 || (order == 0 && skip == 0))
            break;
        skip -= order == 0 ? 1 : 0;
        at++;
    }
    return at;
}

enum err query_groups_write(struct query_groups *groups, const struct query_place *place,
    uint64_t count, size_t max_bytes, struct buf *out, uint64_t *ret_written,
    struct query_place *ret_place, bool *ret_more)
{
    enum err err = sort(groups);
    if (err != ERR_NONE)
        return err;
    struct query_place behind = *place;
    size_t start = out->len;
    uint64_t written = 0;
    size_t at = begin_at(groups, place);
    while (at < groups->count && written < count && out->len - start < max_bytes) {
        const struct group *group = groups->sorted[at++];
        buf_add_text(out, written++ == 0 ? "" : ",");
        write_group(groups->query, group, out);
        bool same = behind.skip > 0 && span_eq(behind.prefix, prefix_of(group));
        behind.skip = same ? behind.skip + 1 : 1;
        behind.prefix = prefix_of(group);
    }
    *ret_written = written;
    *ret_place = behind;
    *ret_more = at < groups->count;
    return out->failed ? ERR_MEMORY : ERR_NONE;
}
