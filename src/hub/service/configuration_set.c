/* SPDX-License-Identifier: Apache-2.0 */
#include "configuration_set.h"

#include "overlay.h"
#include "query_document.h"

#include <stdlib.h>

/* ---- conditions and metrics ------------------------------------------------------------------ */

/* `added` bytes of it are ours. */
static enum err read_query(
    struct arena *arena, const char *text, size_t added, struct query **ret_query, struct why *why)
{
    struct query_limits limits = query_limits_default;
    if (text == NULL)
        return ERR_MEMORY;
    struct query *query;
    limits.added = added;
    enum err err = query_parse(arena, span_of(text), &limits, &query, why);
    if (err != ERR_NONE)
        return err;
    if (query_collection(query) == QUERY_JOBS || query_is_grouped(query) ||
        query_top(query) != UINT64_MAX)
        return fail(ERR_ARGUMENT, why,
            "it must be about devices or devices.modules, without TOP, GROUP BY and aggregates");
    *ret_query = query;
    return ERR_NONE;
}

static bool begins_with_from(struct span text)
{
    static const char word[] = "from";
    size_t length = sizeof(word) - 1;
    return text.len > length && span_eq_nocase(span_first(text, length), span_of(word)) &&
           (text.ptr[length] == ' ' || text.ptr[length] == '\t' || text.ptr[length] == '\n' ||
               text.ptr[length] == '\r');
}

enum err configuration_read_condition(struct arena *arena, struct span text, const char *what,
    struct query **ret_query, struct why *why)
{
    const char *before = "SELECT * FROM devices WHERE ";
    struct span condition = span_trim(text);
    if (text.len > query_limits_default.text_bytes / 2)
        return fail(ERR_ARGUMENT, why, "%s has %zu bytes, at most %zu are allowed", what, text.len,
            query_limits_default.text_bytes / 2);
    if (span_is(condition, "*"))
        return read_query(arena, "SELECT * FROM devices", 0, ret_query, why);
    if (begins_with_from(condition))
        before = "SELECT * ";
    enum err err = read_query(arena, arena_format(arena, "%s%.*s", before, SPAN_ARG(text)),
        strlen(before), ret_query, why);
    if (err == ERR_ARGUMENT)
        why_prefix(why, "%s", what);
    return err;
}

enum err configuration_condition(
    struct arena *arena, struct span text, struct query **ret_query, struct why *why)
{
    if (span_trim(text).len == 0) {
        *ret_query = NULL;
        return ERR_NONE;
    }
    enum err err =
        configuration_read_condition(arena, text, "the target condition", ret_query, why);
    return err == ERR_ARGUMENT ? ERR_TARGET_CONDITION : err;
}

enum err configuration_metric_query(
    struct arena *arena, struct span text, struct query **ret_query, struct why *why)
{
    struct why other;
    text = span_trim(text);
    if (text.len > query_limits_default.text_bytes / 2)
        return fail(ERR_CONFIGURATION_METRIC, why, "it has %zu bytes, at most %zu are allowed",
            text.len, query_limits_default.text_bytes / 2);
    enum err err =
        read_query(arena, arena_format(arena, "%.*s", SPAN_ARG(text)), 0, ret_query, why);
    /* "select *" is about devices. */
    if (err == ERR_ARGUMENT)
        err = read_query(
            arena, arena_format(arena, "%.*s FROM devices", SPAN_ARG(text)), 0, ret_query, &other);
    return err == ERR_MEMORY || err == ERR_NONE ? err : ERR_CONFIGURATION_METRIC;
}

/* ---- whom a query takes ---------------------------------------------------------------------- */

enum err configuration_takes(const struct query *query, const struct identity *identity,
    const struct twin_doc *twin, struct arena *arena, bool *ret_takes)
{
    struct query_document document = query_document_of(identity, twin);
    bool is_module = identity->module_id.len > 0;
    *ret_takes = false;
    if ((query_collection(query) == QUERY_MODULES) != is_module)
        return ERR_NONE;
    return query_takes(query, &document.source, arena, ret_takes);
}

/* ---- reading the rows ------------------------------------------------------------------------ */

static enum err read_metrics(struct configuration_set *set, const struct json *queries,
    struct configuration_item *item, struct why *why)
{
    size_t room = json_is(queries, JSON_OBJECT) ? queries->count : 0;
    if (room == 0)
        return ERR_NONE;
    item->metrics = arena_alloc(&set->arena, room * sizeof(*item->metrics));
    if (item->metrics == NULL)
        return ERR_MEMORY;
    set->has_metrics = true;
    json_each (member, queries) {
        struct configuration_metric *metric = &item->metrics[item->metric_count++];
        metric->name = member->key;
        enum err err = configuration_metric_query(&set->arena, member->text, &metric->query, why);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

static enum err read_item(struct configuration_set *set, const struct configuration *row,
    struct configuration_item *item, struct why *why)
{
    struct json *document;
    enum err err = json_parse(&set->arena, row->document, 0, &document, why);
    if (err != ERR_NONE)
        return err;
    const struct json *content = json_find_text(document, "content");
    item->id = row->id;
    item->created_us = row->created_us;
    (void)json_int64(json_find_text(document, "priority"), &item->priority);
    item->content = content == NULL ? NULL : content->first;
    if (!json_is(item->content, JSON_OBJECT))
        return ERR_CORRUPT;
    err = configuration_condition(
        &set->arena, json_string_of(document, "targetCondition"), &item->condition, why);
    if (err == ERR_NONE)
        err = read_metrics(
            set, json_find_text(json_find_text(document, "metrics"), "queries"), item, why);
    return err;
}

static int compare_items(const void *a, const void *b)
{
    const struct configuration_item *first = a;
    const struct configuration_item *second = b;
    if (first->priority != second->priority)
        return first->priority < second->priority ? -1 : 1;
    if (first->created_us != second->created_us)
        return first->created_us < second->created_us ? -1 : 1;
    return span_compare(first->id, second->id);
}

static enum err read_set(
    struct store_txn *txn, int64_t hub_id, struct configuration_set *set, struct why *why)
{
    struct configuration_state state;
    struct configuration *rows;
    enum err err = store_configuration_state(txn, hub_id, &state);
    if (err == ERR_NONE)
        err = store_configuration_list(txn, &set->arena, hub_id, &rows, &set->count);
    if (err != ERR_NONE)
        return err;
    set->revision = state.revision;
    set->items = arena_alloc(&set->arena, (set->count + 1) * sizeof(*set->items));
    if (set->items == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < set->count && err == ERR_NONE; i++) {
        err = read_item(set, &rows[i], &set->items[i], why);
        if (err != ERR_NONE && err != ERR_MEMORY)
            why_prefix(why, "the configuration \"%.*s\"", SPAN_ARG(rows[i].id));
    }
    if (err == ERR_NONE && set->count > 0)
        qsort(set->items, set->count, sizeof(*set->items), compare_items);
    return err;
}

enum err configuration_set_read(
    struct store_txn *txn, int64_t hub_id, struct configuration_set **ret_set, struct why *why)
{
    struct configuration_set *set = mem_alloc(sizeof(*set));
    if (set == NULL)
        return ERR_MEMORY;
    arena_init(&set->arena, 0);
    enum err err = read_set(txn, hub_id, set, why);
    if (err != ERR_NONE) {
        configuration_set_free(set);
        return err;
    }
    *ret_set = set;
    return ERR_NONE;
}

void configuration_set_free(struct configuration_set *set)
{
    if (set == NULL)
        return;
    arena_done(&set->arena);
    mem_free(set);
}

/* ---- judging a twin -------------------------------------------------------------------------- */

struct judging {
    const struct configuration_item **targets; /* the lowest first */
    struct overlay_layer *layers;
    size_t count;
};

static enum err find_targets(const struct configuration_set *set, struct arena *arena,
    const struct identity *identity, const struct twin_doc *twin, struct judging *judging)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct configuration_item *item = &set->items[i];
        bool takes = false;
        enum err err = item->condition == NULL
                           ? ERR_NONE
                           : configuration_takes(item->condition, identity, twin, arena, &takes);
        if (err != ERR_NONE)
            return err;
        if (!takes)
            continue;
        if (judging->count == 0) {
            judging->targets = arena_alloc(arena, set->count * sizeof(*judging->targets));
            judging->layers = arena_alloc(arena, set->count * sizeof(*judging->layers));
            if (judging->targets == NULL || judging->layers == NULL)
                return ERR_MEMORY;
        }
        judging->targets[judging->count] = item;
        judging->layers[judging->count++].content = item->content;
    }
    return ERR_NONE;
}

static bool write_status(
    const struct judging *judging, bool refused, struct arena *arena, struct span *ret_text)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    *ret_text = SPAN_NONE;
    for (size_t i = 0; i < judging->count; i++) {
        buf_add_byte(&out, i == 0 ? '{' : ',');
        json_write_string(judging->targets[i]->id, &out);
        buf_add_format(&out, ":{\"status\":\"%s\"}",
            judging->layers[i].in_force && !refused ? "Applied" : "Targeted");
    }
    if (out.len == 0)
        return !out.failed;
    buf_add_byte(&out, '}');
    return !out.failed && arena_span(arena, buf_span(&out), ret_text);
}

/* The one that came; else one that went; else the highest that is in force. */
static enum err find_author(const struct judging *judging, struct arena *arena,
    const struct twin_doc *twin, struct span *ret_author)
{
    struct json *before = NULL;
    *ret_author = SPAN_NONE;
    if (twin->configurations.len > 0 &&
        json_parse(arena, twin->configurations, 0, &before, NULL) == ERR_MEMORY)
        return ERR_MEMORY;
    for (size_t i = judging->count; i-- > 0;) {
        if (json_find(before, judging->targets[i]->id) == NULL) {
            *ret_author = judging->targets[i]->id;
            return ERR_NONE;
        }
        if (judging->layers[i].in_force && ret_author->len == 0)
            *ret_author = judging->targets[i]->id;
    }
    for (const struct json *left = before == NULL ? NULL : before->first; left != NULL;
         left = left->next) {
        bool stays = false;
        for (size_t i = 0; i < judging->count && !stays; i++)
            stays = span_eq(judging->targets[i]->id, left->key);
        if (!stays) {
            *ret_author = left->key;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

enum err configuration_judge(const struct configuration_set *set, struct arena *arena,
    const struct identity *identity, const struct twin_doc *twin,
    struct configuration_verdict *ret_verdict)
{
    struct judging judging = {0};
    struct overlay overlay = {0};
    struct configuration_verdict verdict = {0};
    enum err err = find_targets(set, arena, identity, twin, &judging);
    if (err == ERR_NONE && (judging.count > 0 || twin->owned.len > 0))
        err = overlay_apply(
            arena, twin->desired.values, twin->owned, judging.layers, judging.count, &overlay);
    if (err != ERR_NONE)
        return err;
    verdict.patch = overlay.patch;
    verdict.owned = overlay.owned;
    if (!write_status(&judging, false, arena, &verdict.configurations))
        return ERR_MEMORY;
    verdict.changes = overlay.patch != NULL || !span_eq(verdict.owned, twin->owned) ||
                      !span_eq(verdict.configurations, twin->configurations);
    if (verdict.changes) {
        if (!write_status(&judging, true, arena, &verdict.targeted))
            return ERR_MEMORY;
        err = find_author(&judging, arena, twin, &verdict.author);
    }
    if (err == ERR_NONE)
        *ret_verdict = verdict;
    return err;
}
