/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

static enum err revise(struct store_txn *txn, int64_t hub_id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_REVISE);
    query_put_int(&query, hub_id);
    return query_change(&query, NULL);
}

static enum err read_configuration(
    struct query *query, struct arena *arena, struct configuration *ret_configuration)
{
    struct configuration configuration = {0};
    if (!query_copy(query, arena, &configuration.id) ||
        !query_copy(query, arena, &configuration.document) ||
        !query_copy(query, arena, &configuration.results))
        return ERR_MEMORY;
    configuration.etag = (uint64_t)query_int(query);
    configuration.created_us = query_int(query);
    configuration.updated_us = query_int(query);
    *ret_configuration = configuration;
    return ERR_NONE;
}

enum err sqlite_configuration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct configuration *ret_configuration)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_GET);
    query_put_int(&query, hub_id);
    query_put_text(&query, id);
    enum err err = query_row(&query);
    return err == ERR_NONE ? read_configuration(&query, arena, ret_configuration) : err;
}

enum err sqlite_configuration_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct configuration **ret_configurations, size_t *ret_count)
{
    struct configuration_state state;
    size_t count = 0;
    enum err err = sqlite_configuration_state(txn, hub_id, &state);
    if (err != ERR_NONE)
        return err;
    struct configuration *configurations =
        arena_alloc(arena, (state.count + 1) * sizeof(*configurations));
    if (configurations == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_LIST);
    query_put_int(&query, hub_id);
    while (count <= state.count && (err = query_row(&query)) == ERR_NONE) {
        err = read_configuration(&query, arena, &configurations[count++]);
        if (err != ERR_NONE)
            return err;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_configurations = configurations;
    *ret_count = count;
    return ERR_NONE;
}

enum err sqlite_configuration_put(
    struct store_txn *txn, int64_t hub_id, const struct configuration *configuration)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_PUT);
    query_put_int(&query, hub_id);
    query_put_text(&query, configuration->id);
    query_put_text(&query, configuration->document);
    query_put_text(&query, configuration->results);
    query_put_int(&query, (int64_t)configuration->etag);
    query_put_int(&query, configuration->created_us);
    query_put_int(&query, configuration->updated_us);
    enum err err = query_change(&query, NULL);
    return err == ERR_NONE ? revise(txn, hub_id) : err;
}

enum err sqlite_configuration_delete(struct store_txn *txn, int64_t hub_id, struct span id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_DELETE);
    query_put_int(&query, hub_id);
    query_put_text(&query, id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    if (err == ERR_NONE && changed == 0)
        return ERR_NOT_FOUND;
    return err == ERR_NONE ? revise(txn, hub_id) : err;
}

enum err sqlite_configuration_results(
    struct store_txn *txn, int64_t hub_id, struct span id, struct span results)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_RESULTS);
    query_put_text(&query, results);
    query_put_int(&query, hub_id);
    query_put_text(&query, id);
    return query_change(&query, NULL);
}

static enum err leave(struct store_txn *txn, int64_t identity)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_LEAVE);
    query_put_int(&query, identity);
    return query_change(&query, NULL);
}

enum err sqlite_configuration_target(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span configurations)
{
    AUTO(query_done) struct query row = query_open(txn, SQL_IDENTITY_ROW);
    query_put_int(&row, hub_id);
    query_put_text(&row, device_id);
    query_put_text(&row, module_id);
    enum err err = query_row(&row);
    if (err != ERR_NONE)
        return err;
    int64_t identity = query_int(&row);
    err = leave(txn, identity);
    if (err != ERR_NONE || configurations.len == 0)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_ENTER);
    query_put_int(&query, hub_id);
    query_put_int(&query, identity);
    query_put_text(&query, device_id);
    query_put_text(&query, module_id);
    query_put_text(&query, configurations);
    return query_change(&query, NULL);
}

enum err sqlite_configuration_count(struct store_txn *txn, int64_t hub_id, struct span id,
    struct configuration_targets *ret_targets)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_TARGETS);
    query_put_int(&query, hub_id);
    query_put_text(&query, id);
    struct configuration_targets targets = {0};
    enum err err = query_row(&query);
    if (err == ERR_NONE) {
        targets.targeted = (uint64_t)query_int(&query);
        targets.applied = (uint64_t)query_int(&query);
    }
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        return err;
    *ret_targets = targets;
    return ERR_NONE;
}

enum err sqlite_configuration_state(
    struct store_txn *txn, int64_t hub_id, struct configuration_state *ret_state)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_REVISION);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    ret_state->revision = query_int(&query);
    ret_state->swept = query_int(&query);
    ret_state->count = (size_t)query_int(&query);
    return ERR_NONE;
}

enum err sqlite_configuration_swept(struct store_txn *txn, int64_t hub_id, int64_t revision)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CONFIGURATION_SWEPT);
    query_put_int(&query, revision);
    query_put_int(&query, hub_id);
    return query_change(&query, NULL);
}
