/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

/* ---- reading --------------------------------------------------------------------------------- */

static enum err count_rows(
    struct store_txn *txn, enum sql sql, const int64_t *hub_id, size_t *ret_count)
{
    AUTO(query_done) struct query query = query_open(txn, sql);
    if (hub_id != NULL)
        query_put_int(&query, *hub_id);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_count = (size_t)query_int(&query);
    return err;
}

static enum err read_host_names(struct store_txn *txn, struct arena *arena, struct hub_record *hub)
{
    size_t count = 0;
    enum err err = count_rows(txn, SQL_HUB_NAME_COUNT, &hub->id, &count);
    if (err != ERR_NONE)
        return err;
    hub->host_names = arena_alloc(arena, count * sizeof(*hub->host_names));
    if (hub->host_names == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_NAMES);
    query_put_int(&query, hub->id);
    while ((err = query_row(&query)) == ERR_NONE && hub->host_name_count < count)
        if (!query_copy(&query, arena, &hub->host_names[hub->host_name_count++]))
            return ERR_MEMORY;
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err read_policies(struct store_txn *txn, struct arena *arena, struct hub_record *hub)
{
    size_t count = 0;
    enum err err = count_rows(txn, SQL_HUB_POLICY_COUNT, &hub->id, &count);
    if (err != ERR_NONE)
        return err;
    hub->policies = arena_alloc(arena, count * sizeof(*hub->policies));
    if (hub->policies == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_POLICIES);
    query_put_int(&query, hub->id);
    while ((err = query_row(&query)) == ERR_NONE && hub->policy_count < count) {
        struct policy *policy = &hub->policies[hub->policy_count++];
        if (!query_copy(&query, arena, &policy->name) ||
            !query_copy(&query, arena, &policy->primary_key) ||
            !query_copy(&query, arena, &policy->secondary_key))
            return ERR_MEMORY;
        policy->rights = (unsigned)query_int(&query);
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_hub_list(
    struct store_txn *txn, struct arena *arena, struct hub_record **ret_hubs, size_t *ret_count)
{
    size_t room = 0;
    enum err err = count_rows(txn, SQL_HUB_COUNT, NULL, &room);
    if (err != ERR_NONE)
        return err;
    struct hub_record *hubs = arena_alloc(arena, room * sizeof(*hubs));
    if (hubs == NULL)
        return ERR_MEMORY;
    size_t count = 0;
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_LIST);
    while ((err = query_row(&query)) == ERR_NONE && count < room) {
        struct hub_record *hub = &hubs[count++];
        hub->id = query_int(&query);
        if (!query_copy(&query, arena, &hub->name) || !query_copy(&query, arena, &hub->id_scope))
            return ERR_MEMORY;
        hub->created_us = query_int(&query);
        err = read_host_names(txn, arena, hub);
        if (err == ERR_NONE)
            err = read_policies(txn, arena, hub);
        if (err != ERR_NONE)
            return err;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_hubs = hubs;
    *ret_count = count;
    return ERR_NONE;
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum err check_name(struct store_txn *txn, const struct hub_record *hub)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_BY_NAME);
    query_put_text(&query, hub->name);
    enum err err = query_row(&query);
    if (err == ERR_NONE && query_int(&query) != hub->id)
        return fail(ERR_CONFLICT, txn->why, "there is a hub \"%.*s\" already", SPAN_ARG(hub->name));
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err check_host_name(
    struct store_txn *txn, const struct hub_record *hub, size_t position)
{
    struct span name = hub->host_names[position];
    for (size_t i = 0; i < position; i++)
        if (span_eq(hub->host_names[i], name))
            return fail(
                ERR_CONFLICT, txn->why, "the host name %.*s is given twice", SPAN_ARG(name));
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_BY_HOST_NAME);
    query_put_text(&query, name);
    enum err err = query_row(&query);
    if (err == ERR_NONE && query_int(&query) != hub->id) {
        struct span owner = query_span(&query);
        return fail(ERR_CONFLICT, txn->why, "the host name %.*s belongs to the hub \"%.*s\"",
            SPAN_ARG(name), SPAN_ARG(owner));
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err check_hub(struct store_txn *txn, const struct hub_record *hub)
{
    enum err err = check_name(txn, hub);
    for (size_t i = 0; i < hub->host_name_count && err == ERR_NONE; i++)
        err = check_host_name(txn, hub, i);
    return err;
}

static enum err change_by_hub(struct store_txn *txn, enum sql sql, int64_t hub_id)
{
    AUTO(query_done) struct query query = query_open(txn, sql);
    query_put_int(&query, hub_id);
    return query_change(&query, NULL);
}

static enum err insert_hub(struct store_txn *txn, const struct hub_record *hub, int64_t *ret_id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_INSERT);
    query_put_text(&query, hub->name);
    query_put_int(&query, hub->created_us);
    enum err err = query_change(&query, NULL);
    if (err != ERR_NONE)
        return err;
    int64_t id = sqlite3_last_insert_rowid(((struct sqlite_txn *)txn)->conn->db);
    err = change_by_hub(txn, SQL_HUB_COUNTER_INSERT, id);
    if (err == ERR_NONE)
        *ret_id = id;
    return err;
}

static enum err update_hub(struct store_txn *txn, const struct hub_record *hub)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_UPDATE);
    query_put_text(&query, hub->name);
    query_put_int(&query, hub->created_us);
    query_put_int(&query, hub->id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    if (err == ERR_NONE && changed == 0)
        return ERR_NOT_FOUND;
    if (err == ERR_NONE)
        err = change_by_hub(txn, SQL_HUB_NAMES_DELETE, hub->id);
    if (err == ERR_NONE)
        err = change_by_hub(txn, SQL_HUB_POLICIES_DELETE, hub->id);
    return err;
}

static enum err insert_host_name(
    struct store_txn *txn, int64_t hub_id, size_t position, struct span name)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_NAME_INSERT);
    query_put_text(&query, name);
    query_put_int(&query, hub_id);
    query_put_int(&query, (int64_t)position);
    return query_change(&query, NULL);
}

static enum err insert_policy(
    struct store_txn *txn, int64_t hub_id, size_t position, const struct policy *policy)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_POLICY_INSERT);
    query_put_int(&query, hub_id);
    query_put_int(&query, (int64_t)position);
    query_put_text(&query, policy->name);
    query_put_text(&query, policy->primary_key);
    query_put_text(&query, policy->secondary_key);
    query_put_int(&query, policy->rights);
    return query_change(&query, NULL);
}

enum err sqlite_hub_put(struct store_txn *txn, const struct hub_record *hub, int64_t *ret_id)
{
    int64_t id = hub->id;
    enum err err = check_hub(txn, hub);
    if (err == ERR_NONE)
        err = id == 0 ? insert_hub(txn, hub, &id) : update_hub(txn, hub);
    for (size_t i = 0; i < hub->host_name_count && err == ERR_NONE; i++)
        err = insert_host_name(txn, id, i, hub->host_names[i]);
    for (size_t i = 0; i < hub->policy_count && err == ERR_NONE; i++)
        err = insert_policy(txn, id, i, &hub->policies[i]);
    if (err == ERR_NONE)
        *ret_id = id;
    return err;
}

enum err sqlite_hub_day_get(struct store_txn *txn, int64_t hub_id, struct hub_day *ret_day)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_DAY_GET);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    ret_day->day = query_int(&query);
    ret_day->messages = (uint64_t)query_int(&query);
    return ERR_NONE;
}

enum err sqlite_hub_day_put(struct store_txn *txn, int64_t hub_id, const struct hub_day *day)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_DAY_PUT);
    query_put_int(&query, day->day);
    query_put_int(&query, (int64_t)day->messages);
    query_put_int(&query, hub_id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_hub_delete(struct store_txn *txn, int64_t hub_id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HUB_DELETE);
    query_put_int(&query, hub_id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    if (err == ERR_NONE && changed == 0)
        return ERR_NOT_FOUND;
    if (err == ERR_NONE)
        err = change_by_hub(txn, SQL_EVENT_DELETE_HUB, hub_id);
    return err;
}
