/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

/* One read looks at no more entries than this: a search for what is rare must not hold a thread. */
#define ENTRIES_SCANNED_MAX 20000u

static void put_entry(struct query *query, const struct audit_entry *entry)
{
    query_put_int(query, entry->time_us);
    query_put_text(query, entry->user);
    query_put_text(query, entry->origin);
    query_put_text(query, entry->address);
    query_put_text(query, entry->hub);
    query_put_text(query, entry->action);
    query_put_text(query, entry->target);
    query_put_text(query, entry->outcome);
    query_put_text(query, entry->detail);
}

enum err sqlite_audit_append(struct store_txn *txn, const struct audit_entry *entry)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_AUDIT_APPEND);
    put_entry(&query, entry);
    return query_change(&query, NULL);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Texts are borrowed until the next row. */
static void read_entry(struct query *query, struct audit_entry *ret_entry)
{
    ret_entry->id = (uint64_t)query_int(query);
    ret_entry->time_us = query_int(query);
    ret_entry->user = query_span(query);
    ret_entry->origin = query_span(query);
    ret_entry->address = query_span(query);
    ret_entry->hub = query_span(query);
    ret_entry->action = query_span(query);
    ret_entry->target = query_span(query);
    ret_entry->outcome = query_span(query);
    ret_entry->detail = query_span(query);
}

static bool contains(struct span text, struct span part)
{
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (span_eq_nocase((struct span){text.ptr + i, part.len}, part))
            return true;
    return false;
}

static bool is_found(const struct audit_entry *entry, struct span search)
{
    const struct span texts[] = {entry->target, entry->user, entry->action, entry->address,
        entry->hub, entry->outcome, entry->origin, entry->detail};
    if (search.len == 0)
        return true;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (contains(texts[i], search))
            return true;
    return false;
}

static bool is_wanted(const struct audit_entry *entry, const struct audit_range *range)
{
    return (range->user.len == 0 || span_eq(entry->user, range->user)) &&
           (range->hub.len == 0 || span_eq_nocase(entry->hub, range->hub)) &&
           is_found(entry, range->search);
}

/* The order is that of time, which may have been set back: an entry's place is its time and number.
 * ERR_NOT_FOUND: it was dropped meanwhile, and with it all that were older. */
static enum err find_place(
    struct store_txn *txn, const struct audit_range *range, int64_t *ret_time_us)
{
    if (range->before > INT64_MAX) {
        *ret_time_us = range->until_us;
        return ERR_NONE;
    }
    AUTO(query_done) struct query query = query_open(txn, SQL_AUDIT_TIME);
    query_put_int(&query, (int64_t)range->before);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_time_us = query_int(&query);
    return err;
}

static struct query open_read(
    struct store_txn *txn, const struct audit_range *range, int64_t time_us)
{
    bool by_user = range->user.len > 0;
    bool by_hub = !by_user && range->hub.len > 0;
    struct query query = query_open(txn, by_user  ? SQL_AUDIT_READ_USER
                                         : by_hub ? SQL_AUDIT_READ_HUB
                                                  : SQL_AUDIT_READ_ALL);
    if (by_user || by_hub)
        query_put_text(&query, by_user ? range->user : range->hub);
    query_put_int(&query, range->since_us);
    query_put_int(&query, time_us);
    query_put_int(&query, range->before > INT64_MAX ? 0 : (int64_t)range->before);
    return query;
}

enum err sqlite_audit_read(struct store_txn *txn, const struct audit_range *range,
    audit_visitor *visit, void *self, uint64_t *ret_before)
{
    int64_t time_us = 0;
    uint64_t before = range->before;
    size_t found = 0;
    size_t bytes = 0;
    enum err err = find_place(txn, range, &time_us);
    if (err == ERR_NOT_FOUND)
        *ret_before = 0;
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    AUTO(query_done) struct query query = open_read(txn, range, time_us);
    for (unsigned scanned = 0;; scanned++) {
        if (found >= range->limit || bytes > range->limit_bytes || scanned >= ENTRIES_SCANNED_MAX)
            break;
        struct audit_entry entry;
        err = query_row(&query);
        if (err == ERR_NOT_FOUND) {
            before = 0;
            break;
        }
        if (err != ERR_NONE)
            return err;
        read_entry(&query, &entry);
        before = entry.id;
        if (!is_wanted(&entry, range))
            continue;
        err = visit(self, &entry);
        if (err != ERR_NONE)
            return err;
        found++;
        bytes += entry.target.len + entry.detail.len;
    }
    *ret_before = before;
    return ERR_NONE;
}

static enum err drop(
    struct store_txn *txn, enum sql sql, int64_t bound, size_t limit, size_t *dropped)
{
    AUTO(query_done) struct query query = query_open(txn, sql);
    query_put_int(&query, bound);
    query_put_int(&query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    int64_t count = 0;
    enum err err = query_change(&query, &count);
    *dropped += (size_t)count;
    return err;
}

enum err sqlite_audit_prune(
    struct store_txn *txn, int64_t before_us, uint64_t keep, size_t limit, size_t *ret_dropped)
{
    size_t dropped = 0;
    enum err err = drop(txn, SQL_AUDIT_PRUNE, before_us, limit, &dropped);
    if (err == ERR_NONE && keep > 0)
        err = drop(
            txn, SQL_AUDIT_SHRINK, keep > INT64_MAX ? INT64_MAX : (int64_t)keep, limit, &dropped);
    if (err == ERR_NONE)
        *ret_dropped = dropped;
    return err;
}
