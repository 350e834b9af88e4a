/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

void sqlite_read_identity(struct query *query, struct identity *ret_identity)
{
    /* No initializer: the members of one may be evaluated in any order. */
    ret_identity->device_id = query_span(query);
    ret_identity->module_id = query_span(query);
    ret_identity->generation = (uint64_t)query_int(query);
    ret_identity->etag = (uint64_t)query_int(query);
    ret_identity->enabled = query_int(query) != 0;
    ret_identity->status_reason = query_span(query);
    ret_identity->status_updated_us = query_int(query);
    ret_identity->connected = query_int(query) != 0;
    ret_identity->connection_updated_us = query_int(query);
    ret_identity->last_activity_us = query_int(query);
    ret_identity->auth = (enum auth_type)query_int(query);
    ret_identity->primary_key = query_span(query);
    ret_identity->secondary_key = query_span(query);
    ret_identity->primary_thumbprint = query_span(query);
    ret_identity->secondary_thumbprint = query_span(query);
    ret_identity->managed_by = query_span(query);
    ret_identity->iot_edge = query_int(query) != 0;
    ret_identity->device_scope = query_span(query);
    ret_identity->parent_scopes = query_span(query);
    ret_identity->model_id = query_span(query);
    ret_identity->messages = (uint64_t)query_int(query);
}

static bool copy_texts(struct arena *arena, struct identity *identity)
{
    struct span *const texts[] = {&identity->device_id, &identity->module_id,
        &identity->status_reason, &identity->primary_key, &identity->secondary_key,
        &identity->primary_thumbprint, &identity->secondary_thumbprint, &identity->managed_by,
        &identity->device_scope, &identity->parent_scopes, &identity->model_id};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!arena_span(arena, *texts[i], texts[i]))
            return false;
    return true;
}

static void put_key(
    struct query *query, int64_t hub_id, struct span device_id, struct span module_id)
{
    query_put_int(query, hub_id);
    query_put_text(query, device_id);
    query_put_text(query, module_id);
}

enum err sqlite_identity_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct identity *ret_identity)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_GET);
    put_key(&query, hub_id, device_id, module_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    struct identity identity;
    sqlite_read_identity(&query, &identity);
    if (!copy_texts(arena, &identity))
        return ERR_MEMORY;
    *ret_identity = identity;
    return ERR_NONE;
}

/* Finds an identity's row number and its current session. */
static enum err find_identity(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t *ret_id, uint64_t *ret_session)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_EXISTS);
    put_key(&query, hub_id, device_id, module_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    *ret_id = query_int(&query);
    *ret_session = (uint64_t)query_int(&query);
    return ERR_NONE;
}

enum err sqlite_identity_insert(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity)
{
    int64_t id = 0;
    uint64_t session = 0;
    enum err err =
        find_identity(txn, hub_id, identity->device_id, identity->module_id, &id, &session);
    if (err == ERR_NONE)
        return ERR_CONFLICT;
    if (err != ERR_NOT_FOUND)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_INSERT);
    put_key(&query, hub_id, identity->device_id, identity->module_id);
    query_put_int(&query, (int64_t)identity->generation);
    query_put_int(&query, (int64_t)identity->etag);
    query_put_int(&query, identity->enabled);
    query_put_text(&query, identity->status_reason);
    query_put_int(&query, identity->status_updated_us);
    query_put_int(&query, identity->connected);
    query_put_int(&query, identity->connection_updated_us);
    query_put_int(&query, identity->last_activity_us);
    query_put_int(&query, identity->auth);
    query_put_text(&query, identity->primary_key);
    query_put_text(&query, identity->secondary_key);
    query_put_text(&query, identity->primary_thumbprint);
    query_put_text(&query, identity->secondary_thumbprint);
    query_put_text(&query, identity->managed_by);
    query_put_int(&query, identity->iot_edge);
    query_put_text(&query, identity->device_scope);
    query_put_text(&query, identity->parent_scopes);
    query_put_text(&query, identity->model_id);
    return query_change(&query, NULL);
}

enum err sqlite_identity_update(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_UPDATE);
    query_put_int(&query, (int64_t)identity->generation);
    query_put_int(&query, (int64_t)identity->etag);
    query_put_int(&query, identity->enabled);
    query_put_text(&query, identity->status_reason);
    query_put_int(&query, identity->status_updated_us);
    query_put_int(&query, identity->auth);
    query_put_text(&query, identity->primary_key);
    query_put_text(&query, identity->secondary_key);
    query_put_text(&query, identity->primary_thumbprint);
    query_put_text(&query, identity->secondary_thumbprint);
    query_put_text(&query, identity->managed_by);
    query_put_int(&query, identity->iot_edge);
    query_put_text(&query, identity->device_scope);
    query_put_text(&query, identity->parent_scopes);
    query_put_text(&query, identity->model_id);
    put_key(&query, hub_id, identity->device_id, identity->module_id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_identity_delete(
    struct store_txn *txn, int64_t hub_id, struct span device_id, struct span module_id)
{
    bool module = module_id.len > 0;
    AUTO(query_done)
    struct query query = query_open(txn, module ? SQL_MODULE_DELETE : SQL_DEVICE_DELETE);
    query_put_int(&query, hub_id);
    query_put_text(&query, device_id);
    if (module)
        query_put_text(&query, module_id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

/* ---- lists and counts ------------------------------------------------------------------------ */

static enum err visit_one(
    struct store_txn *txn, struct query *query, bool with_twin, identity_visitor *visit, void *self)
{
    struct identity identity;
    sqlite_read_identity(query, &identity);
    if (!with_twin)
        return visit(self, &identity, NULL);
    struct twin_doc twin;
    AUTO(query_done) struct query twin_query = query_open(txn, SQL_TWIN_OF);
    enum err err = sqlite_twin_of(&twin_query, query_int(query), &twin);
    if (err == ERR_NONE)
        return visit(self, &identity, &twin);
    return err == ERR_NOT_FOUND ? visit(self, &identity, NULL) : err;
}

enum err sqlite_identity_list(struct store_txn *txn, int64_t hub_id,
    const struct identity_range *range, identity_visitor *visit, void *self)
{
    bool of_device = range->modules && range->device_id.len > 0;
    enum sql sql = of_device        ? SQL_MODULE_LIST
                   : range->modules ? SQL_ALL_MODULES_LIST
                                    : SQL_DEVICE_LIST;
    AUTO(query_done) struct query query = query_open(txn, sql);
    query_put_int(&query, hub_id);
    if (of_device)
        query_put_text(&query, range->device_id);
    query_put_text(&query, range->after);
    if (sql == SQL_ALL_MODULES_LIST)
        query_put_text(&query, range->after_module);
    query_put_int(&query, range->limit > INT64_MAX ? INT64_MAX : (int64_t)range->limit);
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        err = visit_one(txn, &query, range->with_twins, visit, self);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_identity_count(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct identity_counts *ret_counts)
{
    struct identity_counts counts = {0};
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_COUNT);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    counts.devices = (uint64_t)query_int(&query);
    counts.enabled_devices = (uint64_t)query_int(&query);
    counts.connected_devices = (uint64_t)query_int(&query);
    counts.modules = (uint64_t)query_int(&query);
    counts.success_modules = (uint64_t)query_int(&query);
    counts.failed_modules = (uint64_t)query_int(&query);
    if (device_id.len > 0) {
        AUTO(query_done) struct query modules = query_open(txn, SQL_MODULE_COUNT);
        query_put_int(&modules, hub_id);
        query_put_text(&modules, device_id);
        err = query_row(&modules);
        if (err != ERR_NONE)
            return err;
        counts.modules_of_device = (uint64_t)query_int(&modules);
    }
    *ret_counts = counts;
    return ERR_NONE;
}

/* ---- connections ----------------------------------------------------------------------------- */

enum err sqlite_connection_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint64_t session, bool connected, struct span model_id, int64_t now_us)
{
    int64_t id = 0;
    uint64_t current = 0;
    enum err err = find_identity(txn, hub_id, device_id, module_id, &id, &current);
    if (err != ERR_NONE)
        return err;
    if (connected ? session < current : session != current)
        return ERR_NONE;
    AUTO(query_done)
    struct query query = query_open(txn, connected ? SQL_CONNECTION_CAME : SQL_CONNECTION_WENT);
    if (connected)
        query_put_int(&query, (int64_t)session);
    query_put_int(&query, now_us);
    query_put_int(&query, now_us);
    if (connected) {
        query_put_text(&query, model_id);
        query_put_text(&query, model_id);
    }
    query_put_int(&query, id);
    return query_change(&query, NULL);
}

enum err sqlite_subscriptions_get(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t *ret_filters)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_SUBSCRIPTIONS_GET);
    put_key(&query, hub_id, device_id, module_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        return err;
    *ret_filters = err == ERR_NONE ? (uint32_t)query_int(&query) : 0;
    return ERR_NONE;
}

enum err sqlite_subscriptions_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t filters)
{
    int64_t id = 0;
    uint64_t session = 0;
    enum err err = find_identity(txn, hub_id, device_id, module_id, &id, &session);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done)
    struct query query =
        query_open(txn, filters == 0 ? SQL_SUBSCRIPTIONS_CLEAR : SQL_SUBSCRIPTIONS_PUT);
    query_put_int(&query, id);
    if (filters != 0)
        query_put_int(&query, filters);
    return query_change(&query, NULL);
}

enum err sqlite_connection_reset(struct store_txn *txn, int64_t now_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONNECTION_RESET);
    query_put_int(&query, now_us);
    return query_change(&query, NULL);
}
