/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

#include "json.h"

static const enum sql questions[TABLE_SORT_COUNT][2] = {
    [TABLE_BY_DEVICE_ID] = {SQL_TABLE_BY_DEVICE_UP, SQL_TABLE_BY_DEVICE_DOWN},
    [TABLE_BY_STATUS] = {SQL_TABLE_BY_STATUS_UP, SQL_TABLE_BY_STATUS_DOWN},
    [TABLE_BY_CONNECTION] = {SQL_TABLE_BY_CONNECTION_UP, SQL_TABLE_BY_CONNECTION_DOWN},
    [TABLE_BY_ACTIVITY] = {SQL_TABLE_BY_ACTIVITY_UP, SQL_TABLE_BY_ACTIVITY_DOWN},
};

/* '%' and '_' may stand in ids and mean something in a pattern. LIKE knows the case of ASCII
 * letters only, and ids have no others. */
static void write_pattern(struct span part, struct buf *out)
{
    if (part.len == 0)
        return;
    buf_add_byte(out, '%');
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] == '%' || part.ptr[i] == '_' || part.ptr[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, part.ptr[i]);
    }
    buf_add_byte(out, '%');
}

/* `pattern` must live as long as the query. */
static enum err put_filter(
    struct query *query, int64_t hub_id, const struct device_range *range, struct buf *pattern)
{
    write_pattern(range->part, pattern);
    query_put_int(query, hub_id);
    query_put_text(query, buf_span(pattern));
    query_put_int(query, range->with_status ? range->enabled : -1);
    query_put_int(query, range->with_connection ? range->connected : -1);
    return pattern->failed ? ERR_MEMORY : ERR_NONE;
}

static enum err count_modules(
    struct store_txn *txn, int64_t hub_id, struct span device_id, uint64_t *ret_count)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MODULE_COUNT);
    query_put_int(&query, hub_id);
    query_put_text(&query, device_id);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_count = (uint64_t)query_int(&query);
    return err;
}

static enum err read_state(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct span *ret_state)
{
    struct json *reported;
    AUTO(query_done) struct query query = query_open(txn, SQL_TABLE_STATE);
    query_put_int(&query, hub_id);
    query_put_text(&query, device_id);
    query_put_text(&query, module_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    err = json_parse(arena, query_span(&query), 0, &reported, txn->why);
    if (err == ERR_NONE)
        *ret_state = json_string_of(reported, "latest_state");
    return err == ERR_FORMAT ? ERR_CORRUPT : err;
}

static enum err visit_row(struct store_txn *txn, int64_t hub_id, struct query *query,
    struct span state_of, device_visitor *visit, void *self)
{
    AUTO(arena_done) struct arena arena;
    struct device_row row = {.device_id = query_span(query)};
    arena_init(&arena, 0);
    row.enabled = query_int(query) != 0;
    row.connected = query_int(query) != 0;
    row.last_activity_us = query_int(query);
    row.auth = (enum auth_type)query_int(query);
    row.key = query_int(query);
    enum err err = count_modules(txn, hub_id, row.device_id, &row.modules);
    if (err == ERR_NONE && row.modules > 0 && state_of.len > 0)
        err = read_state(txn, &arena, hub_id, row.device_id, state_of, &row.latest_state);
    return err == ERR_NONE ? visit(self, &row) : err;
}

enum err sqlite_device_table(struct store_txn *txn, int64_t hub_id,
    const struct device_range *range, struct span state_of, device_visitor *visit, void *self)
{
    /* Behind every id: no id holds a byte of 0x7F. */
    static const struct span behind_all = SPAN_INIT("\x7f");
    bool from_end = range->descending && range->sort == TABLE_BY_DEVICE_ID && range->after.len == 0;
    AUTO(buf_done) struct buf pattern = BUF_EMPTY;
    AUTO(query_done)
    struct query query = query_open(txn, questions[range->sort][range->descending ? 1 : 0]);
    enum err err = put_filter(&query, hub_id, range, &pattern);
    if (err != ERR_NONE)
        return err;
    query_put_text(&query, from_end ? behind_all : range->after);
    if (range->sort == TABLE_BY_DEVICE_ID)
        query.parameter++; /* has no key */
    else
        query_put_int(&query, range->after_key);
    query_put_int(&query, range->limit > INT64_MAX ? INT64_MAX : (int64_t)range->limit);
    while ((err = query_row(&query)) == ERR_NONE) {
        err = visit_row(txn, hub_id, &query, state_of, visit, self);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* The counters of a hub know all but what is filtered twice or by a part of the id. */
static enum err total_of_counters(
    struct store_txn *txn, int64_t hub_id, const struct device_range *range, uint64_t *ret_total)
{
    struct identity_counts counts;
    enum err err = sqlite_identity_count(txn, hub_id, SPAN_NONE, &counts);
    if (err != ERR_NONE)
        return err;
    uint64_t chosen = range->with_status       ? counts.enabled_devices
                      : range->with_connection ? counts.connected_devices
                                               : counts.devices;
    bool rest =
        (range->with_status && !range->enabled) || (range->with_connection && !range->connected);
    *ret_total = rest ? counts.devices - chosen : chosen;
    return ERR_NONE;
}

enum err sqlite_device_total(
    struct store_txn *txn, int64_t hub_id, const struct device_range *range, uint64_t *ret_total)
{
    if (range->part.len == 0 && !(range->with_status && range->with_connection))
        return total_of_counters(txn, hub_id, range, ret_total);
    AUTO(buf_done) struct buf pattern = BUF_EMPTY;
    AUTO(query_done) struct query query = query_open(txn, SQL_TABLE_TOTAL);
    enum err err = put_filter(&query, hub_id, range, &pattern);
    if (err == ERR_NONE)
        err = query_row(&query);
    if (err == ERR_NONE)
        *ret_total = (uint64_t)query_int(&query);
    return err;
}
