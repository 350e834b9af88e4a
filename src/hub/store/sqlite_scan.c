/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans for queries. What the top of a term says of ranges of ids and of the name of modules every
 * index looks at by itself; the rest is walked (sqlite_walk.c). Every index has the ids at its end,
 * so that all scans go in one order and go on where the last ended.
 */
#include "sqlite_priv.h"

/* [kind][modules] */
static const struct scan_question questions[SCAN_KIND_COUNT][2] = {
#define LISTS(name, what) [what] = {.list = SQL_SCAN_##name, .count = SQL_COUNT_##name}
#define COUNTS(name, what)                                                                         \
    [what] = {.list = SQL_SCAN_##name, .count = SQL_COUNT_##name, .facets = SQL_FACETS_##name}
    [SCAN_MODULE] = {COUNTS(NAMED_MODULES, 1)},
    [SCAN_CONNECTED] = {COUNTS(CONNECTED_DEVICES, 0), COUNTS(CONNECTED_MODULES, 1)},
    [SCAN_ENABLED] = {COUNTS(ENABLED_DEVICES, 0), COUNTS(ENABLED_MODULES, 1)},
    [SCAN_EDGE] = {COUNTS(EDGE_DEVICES, 0)},
    [SCAN_STATE] = {COUNTS(STATE_MODULES, 1)},
    [SCAN_TAG] = {COUNTS(TAG_DEVICES, 0), COUNTS(TAG_MODULES, 1)},
    [SCAN_TAGGED] = {LISTS(TAGGED_DEVICES, 0), LISTS(TAGGED_MODULES, 1)},
    [SCAN_CONFIGURATION] = {COUNTS(CONFIGURATION_DEVICES, 0), COUNTS(CONFIGURATION_MODULES, 1)},
    [SCAN_EVERY] = {LISTS(EVERY_DEVICES, 0), LISTS(EVERY_MODULES, 1)},
#undef LISTS
#undef COUNTS
};

const struct scan_question *sqlite_scan_question(enum scan_kind kind, bool modules)
{
    const struct scan_question *question = &questions[kind][modules ? 1 : 0];
    return question->list == 0 ? NULL : question;
}

/* ?6 and ?7 */
static void put_asked(struct query *query, const struct scan_term *term, struct span tag)
{
    if (term->kind == SCAN_TAG || term->kind == SCAN_TAGGED || term->kind == SCAN_MODULE)
        query_put_text(query, term->name);
    else
        query_put_int(query, term->flag);
    if (query->parameter < sqlite3_bind_parameter_count(query->stmt))
        query_put_text(query, term->kind == SCAN_TAG ? tag : term->name);
}

enum err sqlite_scan_put(struct query *query, int64_t hub_id, const struct scan_term *term,
    const struct walk_range *range, struct span module, struct buf *tag, size_t limit)
{
    if (query->stmt == NULL)
        return ERR_NONE; /* query_row() says why */
    int count = sqlite3_bind_parameter_count(query->stmt);
    buf_clear(tag);
    if (term->kind == SCAN_TAG) {
        enum err err = sqlite_tag_format(tag, &term->tag);
        if (err != ERR_NONE)
            return err;
    }
    query_put_int(query, hub_id);
    query_put_text(query, range->from);
    query_put_text(query, range->from_module);
    query_put_text(query, range->below);
    if (count > 4)
        query_put_text(query, module);
    if (count > 5)
        put_asked(query, term, buf_span(tag));
    if (count > 7)
        query_put_int(query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    return ERR_NONE;
}

/* ---- what every index looks at -----------------------------------------------------------------
 */

struct scanning {
    struct store_txn *txn;
    int64_t hub_id;
    const struct twin_scan *scan;
    struct arena arena;
    struct walk_range range;
    struct span module;
    struct scan_term *parts;
    size_t count;
    bool empty; /* the range holds nothing */
    struct buf after;
};

static const struct scan_term every = {.kind = SCAN_EVERY};

static bool is_loose(const struct scan_term *term)
{
    bool all = term->kind == SCAN_ALL;
    if (!all && term->kind != SCAN_ANY)
        return term->kind == SCAN_DEVICES || term->kind == SCAN_RANGE;
    for (size_t i = 0; i < term->count; i++)
        if (is_loose(&term->parts[i]) != all)
            return !all;
    return all;
}

static void take_part(struct scanning *scanning, const struct scan_term *part)
{
    struct walk_range *range = &scanning->range;
    bool narrower = range->below.len == 0 || span_compare(part->below, range->below) < 0;
    if (part->kind == SCAN_MODULE && scanning->module.len == 0) {
        scanning->module = part->name;
        return;
    }
    if (part->kind != SCAN_RANGE) {
        scanning->parts[scanning->count++] = *part;
        return;
    }
    if (span_compare(part->name, range->from) > 0)
        range->from = part->name;
    if (part->below.len > 0 && narrower)
        range->below = part->below;
}

/* The name of modules is looked at beside another index; alone, or beside ids, it has its own. */
static void settle_module(struct scanning *scanning)
{
    bool beside = false;
    for (size_t i = 0; i < scanning->count; i++)
        beside = beside || !is_loose(&scanning->parts[i]);
    if (beside || scanning->module.len == 0)
        return;
    scanning->parts[scanning->count++] =
        (struct scan_term){.kind = SCAN_MODULE, .name = scanning->module};
    scanning->module = SPAN_NONE;
}

static enum err begin(struct scanning *scanning)
{
    static const struct span behind_all = SPAN_INIT("\xff"); /* no UTF-8 has this byte */
    const struct twin_scan *scan = scanning->scan;
    const struct scan_term *term = scan->term;
    bool all = term != NULL && term->kind == SCAN_ALL;
    size_t count = term == NULL ? 0 : all ? term->count : 1;
    struct walk_range *range = &scanning->range;
    arena_init(&scanning->arena, 0);
    range->modules = scan->modules;
    scanning->parts = arena_alloc(&scanning->arena, (count + 1) * sizeof(*scanning->parts));
    if (scanning->parts == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        take_part(scanning, all ? &term->parts[i] : term);
    settle_module(scanning);
    if (range->below.len == 0)
        range->below = behind_all;
    if (scan->after.len > 0 && span_compare(scan->after, range->from) >= 0) {
        buf_add(&scanning->after, scan->modules ? scan->after_module : scan->after);
        buf_add_byte(&scanning->after, '\0');
        range->from = scan->modules ? scan->after : buf_span(&scanning->after);
        range->from_module = scan->modules ? buf_span(&scanning->after) : SPAN_NONE;
    }
    scanning->empty = span_compare(range->from, range->below) >= 0;
    return scanning->after.failed ? ERR_MEMORY : ERR_NONE;
}

static void done(struct scanning *scanning)
{
    buf_done(&scanning->after);
    arena_done(&scanning->arena);
}

/* ---- visiting ----------------------------------------------------------------------------------
 */

static enum err visit_row(
    const struct scanning *scanning, struct query *query, identity_visitor *visit, void *self)
{
    const struct twin_scan *scan = scanning->scan;
    struct identity identity;
    struct twin_doc twin;
    sqlite_read_identity(query, &identity);
    if (!scan->with_twins)
        return visit(self, &identity, NULL);
    AUTO(query_done)
    struct query twin_query =
        query_open(scanning->txn, scan->with_metadata ? SQL_TWIN_OF : SQL_TWIN_VALUES_OF);
    enum err err = sqlite_twin_of(&twin_query, query_int(query), &twin);
    if (err == ERR_NOT_FOUND)
        return visit(self, &identity, NULL);
    return err == ERR_NONE ? visit(self, &identity, &twin) : err;
}

static enum err visit_whole(struct scanning *scanning, identity_visitor *visit, void *self)
{
    AUTO(buf_done) struct buf tag = BUF_EMPTY;
    AUTO(query_done)
    struct query query = query_open(
        scanning->txn, scanning->scan->modules ? SQL_SCAN_WHOLE_MODULES : SQL_SCAN_WHOLE_DEVICES);
    enum err err = sqlite_scan_put(&query, scanning->hub_id, &every, &scanning->range,
        scanning->module, &tag, scanning->scan->limit);
    query_put_int(&query, scanning->scan->with_messages);
    while (err == ERR_NONE && (err = query_row(&query)) == ERR_NONE)
        err = visit_row(scanning, &query, visit, self);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err visit_key(const struct scanning *scanning, const struct walk_key *key,
    identity_visitor *visit, void *self)
{
    const struct identity named = {.device_id = key->device_id, .module_id = key->module_id};
    if (scanning->scan->only_ids)
        return visit(self, &named, NULL);
    AUTO(query_done) struct query query = query_open(scanning->txn, SQL_SCAN_IDENTITY);
    query_put_int(&query, key->identity);
    query_put_int(&query, scanning->scan->with_messages);
    enum err err = query_row(&query);
    return err == ERR_NONE ? visit_row(scanning, &query, visit, self) : err;
}

static enum err visit_walk(struct scanning *scanning, identity_visitor *visit, void *self)
{
    const struct scan_term all = {
        .kind = SCAN_ALL, .parts = scanning->parts, .count = scanning->count};
    const struct scan_term *term = scanning->count == 0   ? &every
                                   : scanning->count == 1 ? scanning->parts
                                                          : &all;
    struct walk_key key;
    size_t left = scanning->scan->limit;
    struct walk *walk = sqlite_walk_new(scanning->txn, &scanning->arena, scanning->hub_id, term,
        &scanning->range, scanning->module);
    enum err err = walk == NULL ? ERR_MEMORY : ERR_NONE;
    while (err == ERR_NONE && left-- > 0) {
        err = sqlite_walk_next(walk, &key);
        if (err == ERR_NONE)
            err = visit_key(scanning, &key, visit, self);
        else if (err == ERR_NOT_FOUND)
            break;
    }
    sqlite_walk_done(walk);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_twin_scan(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    identity_visitor *visit, void *self)
{
    AUTO(done) struct scanning scanning = {.txn = txn, .hub_id = hub_id, .scan = scan};
    enum err err = begin(&scanning);
    if (err != ERR_NONE || scanning.empty)
        return err;
    bool whole = scanning.count == 0 && !scan->only_ids;
    return whole ? visit_whole(&scanning, visit, self) : visit_walk(&scanning, visit, self);
}

/* ---- counting ----------------------------------------------------------------------------------
 */

/* Of the whole collection, and of the verdicts on it, the hub's counters know. NULL: they do not.
 */
static const uint64_t *counter_of(
    const struct twin_scan *scan, const struct identity_counts *counts)
{
    const struct scan_term *term = scan->term;
    if (scan->after.len > 0 || (term != NULL && (term->kind != SCAN_STATE || !scan->modules)))
        return NULL;
    return !scan->modules                ? &counts->devices
           : term == NULL                ? &counts->modules
           : term->flag == STATE_SUCCESS ? &counts->success_modules
           : term->flag == STATE_FAILED  ? &counts->failed_modules
                                         : NULL;
}

static enum err count_by_index(struct scanning *scanning, bool *ret_known, uint64_t *ret_count)
{
    const struct scan_term *term = scanning->count == 0 ? &every : scanning->parts;
    const struct scan_question *question =
        sqlite_scan_question(term->kind, scanning->range.modules);
    *ret_known = scanning->empty || (scanning->count <= 1 && question != NULL);
    *ret_count = 0;
    if (!*ret_known || scanning->empty)
        return ERR_NONE;
    AUTO(buf_done) struct buf tag = BUF_EMPTY;
    AUTO(query_done) struct query query = query_open(scanning->txn, question->count);
    enum err err = sqlite_scan_put(
        &query, scanning->hub_id, term, &scanning->range, scanning->module, &tag, 0);
    if (err == ERR_NONE)
        err = query_row(&query);
    if (err == ERR_NONE)
        *ret_count = (uint64_t)query_int(&query);
    return err;
}

enum err sqlite_twin_count(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    bool *ret_known, uint64_t *ret_count)
{
    AUTO(done) struct scanning scanning = {.txn = txn, .hub_id = hub_id, .scan = scan};
    struct identity_counts counts = {0};
    const uint64_t *counter = counter_of(scan, &counts);
    enum err err = begin(&scanning);
    if (err == ERR_NONE && counter == NULL)
        return count_by_index(&scanning, ret_known, ret_count);
    if (err == ERR_NONE)
        err = sqlite_identity_count(txn, hub_id, SPAN_NONE, &counts);
    if (err == ERR_NONE) {
        *ret_known = true;
        *ret_count = *counter;
    }
    return err;
}

enum err sqlite_twin_facets(struct store_txn *txn, int64_t hub_id, bool modules,
    enum scan_kind kind, struct span name, struct span module, facet_visitor *visit, void *self)
{
    AUTO(buf_done) struct buf tag = BUF_EMPTY;
    const struct scan_term term = {.kind = kind, .name = name};
    const struct walk_range range = {.modules = modules, .below = SPAN_LIT("\xff")};
    const struct scan_question *question = sqlite_scan_question(kind, modules);
    must(question != NULL && question->facets != 0);
    AUTO(query_done) struct query query = query_open(txn, question->facets);
    enum err err = sqlite_scan_put(&query, hub_id, &term, &range, module, &tag, 0);
    while (err == ERR_NONE && (err = query_row(&query)) == ERR_NONE) {
        struct facet facet = {0};
        if (kind == SCAN_MODULE)
            facet.tag = (struct tag_value){.kind = TAG_STRING, .text = query_span(&query)};
        else if (kind != SCAN_TAG)
            facet.flag = (int)query_int(&query);
        else if (!sqlite_tag_parse(query_span(&query), &facet.tag))
            return ERR_CORRUPT;
        facet.count = (uint64_t)query_int(&query);
        err = visit(self, &facet);
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}
