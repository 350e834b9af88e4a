/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

/* In the order of TWIN_COLUMNS; texts are borrowed until the next row. */
static void read_twin(struct query *query, struct twin_doc *ret_twin)
{
    ret_twin->version = query_int(query);
    ret_twin->etag = (uint64_t)query_int(query);
    ret_twin->tags = query_span(query);
    ret_twin->desired.values = query_span(query);
    ret_twin->desired.metadata = query_span(query);
    ret_twin->desired.version = query_int(query);
    ret_twin->reported.values = query_span(query);
    ret_twin->reported.metadata = query_span(query);
    ret_twin->reported.version = query_int(query);
    ret_twin->configurations = query_span(query);
    ret_twin->owned = query_span(query);
}

static bool copy_texts(struct arena *arena, struct twin_doc *twin)
{
    return arena_span(arena, twin->tags, &twin->tags) &&
           arena_span(arena, twin->desired.values, &twin->desired.values) &&
           arena_span(arena, twin->desired.metadata, &twin->desired.metadata) &&
           arena_span(arena, twin->reported.values, &twin->reported.values) &&
           arena_span(arena, twin->reported.metadata, &twin->reported.metadata) &&
           arena_span(arena, twin->configurations, &twin->configurations) &&
           arena_span(arena, twin->owned, &twin->owned);
}

static void put_twin(struct query *query, const struct twin_doc *twin)
{
    query_put_int(query, twin->version);
    query_put_int(query, (int64_t)twin->etag);
    query_put_text(query, twin->tags);
    query_put_text(query, twin->desired.values);
    query_put_text(query, twin->desired.metadata);
    query_put_int(query, twin->desired.version);
    query_put_text(query, twin->reported.values);
    query_put_text(query, twin->reported.metadata);
    query_put_int(query, twin->reported.version);
    query_put_text(query, twin->configurations);
    query_put_text(query, twin->owned);
}

static void put_key(
    struct query *query, int64_t hub_id, struct span device_id, struct span module_id)
{
    query_put_int(query, hub_id);
    query_put_text(query, device_id);
    query_put_text(query, module_id);
}

enum err sqlite_twin_of(struct query *query, int64_t identity, struct twin_doc *ret_twin)
{
    query_put_int(query, identity);
    enum err err = query_row(query);
    if (err == ERR_NONE)
        read_twin(query, ret_twin);
    return err;
}

enum err sqlite_twin_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct twin_doc *ret_twin)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_TWIN_GET);
    put_key(&query, hub_id, device_id, module_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    struct twin_doc twin;
    read_twin(&query, &twin);
    if (!copy_texts(arena, &twin))
        return ERR_MEMORY;
    *ret_twin = twin;
    return ERR_NONE;
}

static enum err insert_twin(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct twin_doc *twin)
{
    AUTO(query_done) struct query identity = query_open(txn, SQL_IDENTITY_EXISTS);
    put_key(&identity, hub_id, device_id, module_id);
    enum err err = query_row(&identity);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_TWIN_INSERT);
    query_put_int(&query, query_int(&identity));
    put_twin(&query, twin);
    int64_t changed = 0;
    err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_PRECONDITION : err;
}

/* Most updates are reports, which leave tags alone. */
static enum err tags_differ(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span tags, bool *ret_differ)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_TAG_DIFFERS);
    put_key(&query, hub_id, device_id, module_id);
    query_put_text(&query, tags);
    enum err err = query_row(&query);
    *ret_differ = err == ERR_NONE;
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* Tells a twin that is not there from one that has moved on. */
static enum err why_unchanged(
    struct store_txn *txn, int64_t hub_id, struct span device_id, struct span module_id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_TWIN_GET);
    put_key(&query, hub_id, device_id, module_id);
    enum err err = query_row(&query);
    return err == ERR_NONE ? ERR_PRECONDITION : err;
}

static enum err update_twin(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct twin_doc *twin, int64_t expected_version)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_TWIN_UPDATE);
    put_twin(&query, twin);
    put_key(&query, hub_id, device_id, module_id);
    query_put_int(&query, expected_version);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    if (err == ERR_NONE && changed == 0)
        return why_unchanged(txn, hub_id, device_id, module_id);
    return err;
}

/* Without the word in it the text need not be read. */
static struct span state_source(struct span reported)
{
    static const char word[] = "\"latest_state\"";
    bool there = memmem(reported.ptr, reported.len, word, sizeof(word) - 1) != NULL;
    return there ? reported : SPAN_LIT("{}");
}

static enum err put_latest_state(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span reported)
{
    if (module_id.len == 0)
        return ERR_NONE;
    AUTO(query_done) struct query query = query_open(txn, SQL_LATEST_STATE_PUT);
    query_put_text(&query, state_source(reported));
    put_key(&query, hub_id, device_id, module_id);
    return query_change(&query, NULL);
}

enum err sqlite_twin_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct twin_doc *twin, int64_t expected_version)
{
    bool first = expected_version == 0;
    bool tags = first && !span_is(twin->tags, "{}");
    enum err err = ERR_NONE;
    if (!first)
        err = tags_differ(txn, hub_id, device_id, module_id, twin->tags, &tags);
    if (err == ERR_NONE)
        err = first ? insert_twin(txn, hub_id, device_id, module_id, twin)
                    : update_twin(txn, hub_id, device_id, module_id, twin, expected_version);
    if (err == ERR_NONE && tags)
        err = sqlite_tag_put(txn, hub_id, device_id, module_id, twin->tags);
    if (err == ERR_NONE)
        err = put_latest_state(txn, hub_id, device_id, module_id, twin->reported.values);
    return err;
}
