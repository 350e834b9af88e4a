/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

/*
 * The row number holds hub and sequence, so that the log needs no index for its order and each
 * hub's events lie together. 2^44 events last 55 years at 10,000 a second; 2^19 hubs may be made.
 */
#define SEQUENCE_BITS 44
#define SEQUENCE_MAX ((UINT64_C(1) << SEQUENCE_BITS) - 1)
#define HUB_MAX ((INT64_C(1) << 19) - 1)

/* One read looks at no more events than this: a reader of a rare device must not hold a thread. */
#define EVENTS_SCANNED_MAX 20000u

#define MINUTE_US 60000000

static int64_t row_of(int64_t hub_id, uint64_t sequence)
{
    return (int64_t)((uint64_t)hub_id << SEQUENCE_BITS | sequence);
}

static uint64_t sequence_of(int64_t row)
{
    return (uint64_t)row & SEQUENCE_MAX;
}

static enum err next_of(struct store_txn *txn, int64_t hub_id, uint64_t *ret_next)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_NEXT);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_next = (uint64_t)query_int(&query);
    return err;
}

enum err sqlite_event_flush(struct store_txn *base)
{
    struct sqlite_txn *txn = (struct sqlite_txn *)base;
    if (!base->writable || txn->events.hub_id == 0)
        return ERR_NONE;
    AUTO(query_done) struct query query = query_open(base, SQL_EVENT_ADVANCE);
    query_put_int(&query, (int64_t)txn->events.next);
    query_put_int(&query, txn->events.bytes);
    query_put_int(&query, txn->events.hub_id);
    txn->events.hub_id = 0;
    return query_change(&query, NULL);
}

/* To write the counters for each event would cost as much as to write the event. */
static enum err take_sequence(
    struct store_txn *base, int64_t hub_id, size_t size, uint64_t *ret_sequence)
{
    struct sqlite_txn *txn = (struct sqlite_txn *)base;
    if (txn->events.hub_id != hub_id) {
        uint64_t next = 0;
        enum err err = sqlite_event_flush(base);
        if (err == ERR_NONE)
            err = next_of(base, hub_id, &next);
        if (err != ERR_NONE)
            return err;
        txn->events.hub_id = hub_id;
        txn->events.next = next;
        txn->events.bytes = 0;
    }
    txn->wrote = true;
    txn->events.bytes += (int64_t)size;
    *ret_sequence = txn->events.next++;
    return ERR_NONE;
}

static enum err count_minute(struct store_txn *txn, int64_t hub_id, int64_t enqueued_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_MINUTE_COUNT);
    query_put_int(&query, hub_id);
    query_put_int(&query, enqueued_us / MINUTE_US);
    return query_change(&query, NULL);
}

static size_t size_of(const struct event *event)
{
    return event->device_id.len + event->module_id.len + event->system_properties.len +
           event->properties.len + event->body.len;
}

enum err sqlite_event_append(
    struct store_txn *txn, int64_t hub_id, const struct event *event, uint64_t *ret_sequence)
{
    uint64_t sequence = 0;
    enum err err = take_sequence(txn, hub_id, size_of(event), &sequence);
    if (err != ERR_NONE)
        return err;
    if (sequence > SEQUENCE_MAX || hub_id > HUB_MAX)
        return fail(ERR_QUOTA, txn->why, "the hub's event numbers are used up");
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_INSERT);
    query_put_int(&query, row_of(hub_id, sequence));
    query_put_int(&query, hub_id);
    query_put_int(&query, event->enqueued_us);
    query_put_text(&query, event->device_id);
    query_put_text(&query, event->module_id);
    query_put_text(&query, event->system_properties);
    query_put_text(&query, event->properties);
    query_put_bytes(&query, event->body);
    query_put_int(&query, event->source);
    query_put_int(&query, (int64_t)size_of(event));
    err = query_change(&query, NULL);
    if (err == ERR_NONE && event->source == EVENT_TELEMETRY)
        err = count_minute(txn, hub_id, event->enqueued_us);
    if (err == ERR_NONE)
        *ret_sequence = sequence;
    return err;
}

static bool wanted(const struct event *event, const struct event_range *range)
{
    return (range->sources == 0 || (range->sources & (1u << event->source)) != 0) &&
           (range->device_id.len == 0 || span_eq(event->device_id, range->device_id)) &&
           (range->module_id.len == 0 || span_eq(event->module_id, range->module_id));
}

enum err sqlite_event_read(struct store_txn *txn, int64_t hub_id, const struct event_range *range,
    event_visitor *visit, void *self, uint64_t *ret_next)
{
    uint64_t end = 0;
    enum err err = sqlite_event_next(txn, hub_id, &end);
    if (err != ERR_NONE)
        return err;
    uint64_t next = range->from;
    size_t found = 0;
    size_t bytes = 0;
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_READ);
    query_put_int(&query, row_of(hub_id, range->from > SEQUENCE_MAX ? SEQUENCE_MAX : range->from));
    query_put_int(&query, row_of(hub_id, SEQUENCE_MAX));
    for (unsigned scanned = 0;; scanned++) {
        if (found >= range->limit || bytes > range->limit_bytes || scanned >= EVENTS_SCANNED_MAX)
            break;
        err = query_row(&query);
        if (err == ERR_NOT_FOUND) {
            /* Also over a gap at the end that pruning left. */
            if (next < end)
                next = end;
            break;
        }
        if (err != ERR_NONE)
            return err;
        struct event event = {.sequence = sequence_of(query_int(&query))};
        event.enqueued_us = query_int(&query);
        event.device_id = query_span(&query);
        event.module_id = query_span(&query);
        event.source = (enum event_source)query_int(&query);
        next = event.sequence + 1;
        if (!wanted(&event, range))
            continue;
        event.system_properties = query_span(&query);
        event.properties = query_span(&query);
        event.body = query_span(&query);
        err = visit(self, &event);
        if (err != ERR_NONE)
            return err;
        found++;
        bytes += event.system_properties.len + event.properties.len + event.body.len;
    }
    *ret_next = next;
    return ERR_NONE;
}

enum err sqlite_event_next(struct store_txn *txn, int64_t hub_id, uint64_t *ret_next)
{
    enum err err = sqlite_event_flush(txn);
    return err == ERR_NONE ? next_of(txn, hub_id, ret_next) : err;
}

static enum err prune_minutes(struct store_txn *txn, int64_t hub_id, int64_t before_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_MINUTE_PRUNE);
    query_put_int(&query, hub_id);
    query_put_int(&query, before_us / MINUTE_US);
    return query_change(&query, NULL);
}

static enum err drop_bytes(struct store_txn *txn, int64_t hub_id, int64_t bytes)
{
    enum err err = sqlite_event_flush(txn);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_BYTES_DROP);
    query_put_int(&query, bytes);
    query_put_int(&query, hub_id);
    return query_change(&query, NULL);
}

enum err sqlite_event_prune(
    struct store_txn *txn, int64_t hub_id, int64_t before_us, size_t limit, size_t *ret_dropped)
{
    size_t dropped = 0;
    int64_t bytes = 0;
    enum err err;
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_PRUNE);
    query_put_int(&query, hub_id);
    query_put_int(&query, before_us);
    query_put_int(&query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    while ((err = query_row(&query)) == ERR_NONE) {
        query.txn->wrote = true;
        bytes += query_int(&query);
        dropped++;
    }
    err = err == ERR_NOT_FOUND ? prune_minutes(txn, hub_id, before_us) : err;
    if (err == ERR_NONE && bytes > 0)
        err = drop_bytes(txn, hub_id, bytes);
    if (err == ERR_NONE)
        *ret_dropped = dropped;
    return err;
}

static enum err bytes_of_log(struct store_txn *txn, int64_t hub_id, int64_t *ret_bytes)
{
    enum err err = sqlite_event_flush(txn);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_BYTES);
    query_put_int(&query, hub_id);
    err = query_row(&query);
    if (err == ERR_NONE)
        *ret_bytes = query_int(&query);
    return err;
}

/* The oldest rows that are so much together, at most `limit`. */
static enum err find_oldest(struct store_txn *txn, int64_t hub_id, int64_t excess, size_t limit,
    int64_t *ret_last, int64_t *ret_bytes, size_t *ret_count)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_SIZES);
    query_put_int(&query, row_of(hub_id, 0));
    query_put_int(&query, row_of(hub_id, SEQUENCE_MAX));
    query_put_int(&query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    enum err err = ERR_NONE;
    while (*ret_bytes < excess && (err = query_row(&query)) == ERR_NONE) {
        *ret_last = query_int(&query);
        *ret_bytes += query_int(&query);
        (*ret_count)++;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err drop_range(struct store_txn *txn, int64_t first, int64_t last)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_DROP_RANGE);
    query_put_int(&query, first);
    query_put_int(&query, last);
    return query_change(&query, NULL);
}

enum err sqlite_event_shrink(
    struct store_txn *txn, int64_t hub_id, uint64_t max_bytes, size_t limit, size_t *ret_dropped)
{
    int64_t now = 0;
    int64_t last = 0;
    int64_t bytes = 0;
    size_t count = 0;
    enum err err = bytes_of_log(txn, hub_id, &now);
    if (err == ERR_NONE && (uint64_t)now > max_bytes)
        err = find_oldest(txn, hub_id, now - (int64_t)max_bytes, limit, &last, &bytes, &count);
    if (err == ERR_NONE && count > 0)
        err = drop_range(txn, row_of(hub_id, 0), last);
    if (err == ERR_NONE && bytes > 0)
        err = drop_bytes(txn, hub_id, bytes);
    if (err == ERR_NONE)
        *ret_dropped = count;
    return err;
}

enum err sqlite_event_minutes(
    struct store_txn *txn, int64_t hub_id, int64_t first, size_t count, uint64_t *ret_events)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_EVENT_MINUTE_READ);
    query_put_int(&query, hub_id);
    query_put_int(&query, first);
    query_put_int(&query, first + (int64_t)count - 1);
    memset(ret_events, 0, count * sizeof(*ret_events));
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        int64_t minute = query_int(&query);
        ret_events[minute - first] = (uint64_t)query_int(&query);
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}
