/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

/* An identity's entries have the row numbers behind its own, times this (sqlite_schema.def). */
#define NUMBERS_BITS 31
#define NUMBERS (INT64_C(1) << NUMBERS_BITS)

/* Of the documents to keep, this part may be there beyond them. */
#define DROP_PART 8

enum { CHANGED_TAGS = 1, CHANGED_DESIRED = 2 };

/* Finds the row number that stands before the identity's first entry. */
static enum err find_base(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t *ret_base)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_ROW);
    query_put_int(&query, hub_id);
    query_put_text(&query, device_id);
    query_put_text(&query, module_id);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_base = query_int(&query) << NUMBERS_BITS;
    return err;
}

static enum err insert(struct store_txn *txn, int64_t base, const struct history_entry *entry)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HISTORY_INSERT);
    query_put_int(&query, base);
    query_put_int(&query, entry->time_us);
    query_put_int(&query, entry->kind);
    query_put_int(&query,
        (entry->tags_changed ? CHANGED_TAGS : 0) | (entry->desired_changed ? CHANGED_DESIRED : 0));
    query_put_text(&query, entry->author);
    query_put_text(&query, entry->from);
    query_put_text(&query, entry->address);
    query_put_int(&query, entry->desired_version);
    query_put_text(&query, entry->tags);
    query_put_text(&query, entry->desired);
    return query_change(&query, NULL);
}

static enum err drop(struct store_txn *txn, int64_t first, int64_t last)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HISTORY_DROP);
    query_put_int(&query, first);
    query_put_int(&query, last);
    return query_change(&query, NULL);
}

enum err sqlite_history_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct history_entry *entry, size_t keep)
{
    int64_t base = 0;
    enum err err = find_base(txn, hub_id, device_id, module_id, &base);
    if (err == ERR_NONE)
        err = insert(txn, base, entry);
    if (err != ERR_NONE)
        return err;
    int64_t number = sqlite3_last_insert_rowid(((struct sqlite_txn *)txn)->conn->db) - base;
    /* The oldest lie in another page than the newest: several at a time cost one visit there. */
    int64_t at_a_time = (int64_t)(keep / DROP_PART) + 1;
    if (keep >= (size_t)number || number % at_a_time != 0)
        return ERR_NONE;
    return drop(txn, base, base + number - (int64_t)keep);
}

/* In the order of HISTORY_COLUMNS; texts are borrowed until the next row. */
static void read_entry(struct query *query, struct history_entry *ret_entry)
{
    *ret_entry = (struct history_entry){.id = query_int(query) & (NUMBERS - 1)};
    ret_entry->time_us = query_int(query);
    ret_entry->kind = (enum history_kind)query_int(query);
    int64_t changed = query_int(query);
    ret_entry->tags_changed = (changed & CHANGED_TAGS) != 0;
    ret_entry->desired_changed = (changed & CHANGED_DESIRED) != 0;
    ret_entry->author = query_span(query);
    ret_entry->from = query_span(query);
    ret_entry->address = query_span(query);
    ret_entry->desired_version = query_int(query);
}

enum err sqlite_history_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t before, size_t limit, history_visitor *visit, void *self)
{
    int64_t base = 0;
    enum err err = find_base(txn, hub_id, device_id, module_id, &base);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_HISTORY_LIST);
    query_put_int(&query, base);
    query_put_int(&query, base + (before > 0 && before < NUMBERS ? before : NUMBERS));
    query_put_int(&query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    while ((err = query_row(&query)) == ERR_NONE) {
        struct history_entry entry;
        read_entry(&query, &entry);
        err = visit(self, &entry);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_history_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t id, struct history_entry *ret_entry)
{
    int64_t base = 0;
    if (id <= 0 || id >= NUMBERS)
        return ERR_NOT_FOUND;
    enum err err = find_base(txn, hub_id, device_id, module_id, &base);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_HISTORY_GET);
    query_put_int(&query, base + id);
    err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    struct history_entry entry;
    read_entry(&query, &entry);
    if (!arena_span(arena, entry.author, &entry.author) ||
        !arena_span(arena, entry.from, &entry.from) ||
        !arena_span(arena, entry.address, &entry.address) ||
        !query_copy(&query, arena, &entry.tags) || !query_copy(&query, arena, &entry.desired))
        return ERR_MEMORY;
    *ret_entry = entry;
    return ERR_NONE;
}

enum err sqlite_history_prune(
    struct store_txn *txn, int64_t after, int64_t before_us, size_t limit, int64_t *ret_next)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_HISTORY_LOOK);
    query_put_int(&query, after);
    query_put_int(&query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    size_t seen = 0;
    int64_t last = after;
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        last = query_int(&query);
        bool old = query_int(&query) < before_us;
        bool has_newer = query_int(&query) != 0;
        seen++;
        if (old && has_newer && (err = drop(txn, last, last)) != ERR_NONE)
            return err;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_next = seen < limit ? 0 : last;
    return ERR_NONE;
}
