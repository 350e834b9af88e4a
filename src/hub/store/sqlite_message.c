/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

static void put_key(
    struct query *query, int64_t hub_id, struct span device_id, struct span module_id)
{
    query_put_int(query, hub_id);
    query_put_text(query, device_id);
    query_put_text(query, module_id);
}

/* The columns of MESSAGE_HEAD; the text is borrowed. */
static void read_head(struct query *query, struct message *ret_message)
{
    *ret_message = (struct message){0};
    ret_message->sequence = (uint64_t)query_int(query);
    ret_message->enqueued_us = query_int(query);
    ret_message->expires_us = query_int(query);
    ret_message->ack = (unsigned)query_int(query);
    ret_message->deliveries = (unsigned)query_int(query);
    ret_message->session = (uint64_t)query_int(query);
    ret_message->lock = (uint64_t)query_int(query);
    ret_message->locked_until_us = query_int(query);
    ret_message->message_id = query_span(query);
}

static enum err read_message(struct query *query, struct arena *arena, struct message *ret_message)
{
    struct message message;
    enum err err = query_row(query);
    if (err != ERR_NONE)
        return err;
    read_head(query, &message);
    if (!arena_span(arena, message.message_id, &message.message_id) ||
        !query_copy(query, arena, &message.correlation_id) ||
        !query_copy(query, arena, &message.user_id) ||
        !query_copy(query, arena, &message.content_type) ||
        !query_copy(query, arena, &message.content_encoding) ||
        !query_copy(query, arena, &message.properties) || !query_copy(query, arena, &message.body))
        return ERR_MEMORY;
    *ret_message = message;
    return ERR_NONE;
}

static enum err find_row(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t *ret_row)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_ROW);
    put_key(&query, hub_id, device_id, module_id);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_row = query_int(&query);
    return err;
}

static enum err check_room(struct store_txn *txn, int64_t row, int64_t now_us, size_t most)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_COUNT);
    query_put_int(&query, row);
    query_put_int(&query, now_us);
    enum err err = query_row(&query);
    return err == ERR_NONE && (uint64_t)query_int(&query) >= most ? ERR_FULL : err;
}

enum err sqlite_message_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct message *message, size_t most, uint64_t *ret_sequence)
{
    int64_t row = 0;
    enum err err = find_row(txn, hub_id, device_id, module_id, &row);
    if (err == ERR_NONE)
        err = check_room(txn, row, message->enqueued_us, most);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_PUT);
    query_put_int(&query, row);
    query_put_int(&query, message->enqueued_us);
    query_put_int(&query, message->expires_us);
    query_put_int(&query, message->ack);
    query_put_text(&query, message->message_id);
    query_put_text(&query, message->correlation_id);
    query_put_text(&query, message->user_id);
    query_put_text(&query, message->content_type);
    query_put_text(&query, message->content_encoding);
    query_put_text(&query, message->properties);
    query_put_bytes(&query, message->body);
    err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    query.txn->wrote = true;
    *ret_sequence = (uint64_t)query_int(&query);
    return ERR_NONE;
}

enum err sqlite_message_next(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t now_us, struct message *ret_message)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_NEXT);
    put_key(&query, hub_id, device_id, module_id);
    query_put_int(&query, now_us);
    return read_message(&query, arena, ret_message);
}

enum err sqlite_message_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, uint64_t sequence, struct message *ret_message)
{
    if (sequence > INT64_MAX)
        return ERR_NOT_FOUND;
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_GET);
    put_key(&query, hub_id, device_id, module_id);
    query_put_int(&query, (int64_t)sequence);
    return read_message(&query, arena, ret_message);
}

enum err sqlite_message_hold(struct store_txn *txn, const struct message *message)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_HOLD);
    query_put_int(&query, message->deliveries);
    query_put_int(&query, (int64_t)message->session);
    query_put_int(&query, (int64_t)message->lock);
    query_put_int(&query, message->locked_until_us);
    query_put_int(&query, (int64_t)message->sequence);
    return query_change(&query, NULL);
}

enum err sqlite_message_delete(struct store_txn *txn, uint64_t sequence)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_DELETE);
    query_put_int(&query, (int64_t)sequence);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

/* The head, and behind it the columns of MESSAGE_PLACE. */
static enum err visit_all(struct query *query, message_visitor *visit, void *self)
{
    enum err err;
    while ((err = query_row(query)) == ERR_NONE) {
        struct message message;
        struct message_place place;
        read_head(query, &message);
        place.hub_id = query_int(query);
        place.device_id = query_span(query);
        place.module_id = query_span(query);
        place.generation = (uint64_t)query_int(query);
        err = visit(self, &place, &message);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_message_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, message_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_LIST);
    put_key(&query, hub_id, device_id, module_id);
    return visit_all(&query, visit, self);
}

static int64_t as_limit(size_t limit)
{
    return limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

enum err sqlite_message_expired(
    struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_EXPIRED);
    query_put_int(&query, now_us);
    query_put_int(&query, as_limit(limit));
    return visit_all(&query, visit, self);
}

enum err sqlite_message_lapsed(
    struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_MESSAGE_LAPSED);
    query_put_int(&query, now_us);
    query_put_int(&query, as_limit(limit));
    return visit_all(&query, visit, self);
}

/* ---- feedback -------------------------------------------------------------------------------- */

enum err sqlite_feedback_append(
    struct store_txn *txn, int64_t hub_id, const struct feedback *feedback)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_FEEDBACK_APPEND);
    query_put_int(&query, hub_id);
    query_put_int(&query, feedback->time_us);
    query_put_text(&query, feedback->message_id);
    query_put_text(&query, feedback->outcome);
    query_put_text(&query, feedback->device_id);
    query_put_text(&query, feedback->module_id);
    query_put_int(&query, (int64_t)feedback->generation);
    return query_change(&query, NULL);
}

static enum err visit_feedback(struct query *query, feedback_visitor *visit, void *self)
{
    enum err err;
    while ((err = query_row(query)) == ERR_NONE) {
        struct feedback feedback;
        feedback.id = (uint64_t)query_int(query);
        feedback.time_us = query_int(query);
        feedback.message_id = query_span(query);
        feedback.outcome = query_span(query);
        feedback.device_id = query_span(query);
        feedback.module_id = query_span(query);
        feedback.generation = (uint64_t)query_int(query);
        err = visit(self, &feedback);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_feedback_read(struct store_txn *txn, int64_t hub_id, uint64_t after, size_t limit,
    feedback_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_FEEDBACK_READ);
    query_put_int(&query, hub_id);
    query_put_int(&query, after > INT64_MAX ? INT64_MAX : (int64_t)after);
    query_put_int(&query, as_limit(limit));
    return visit_feedback(&query, visit, self);
}

enum err sqlite_feedback_hold(struct store_txn *txn, const struct feedback_lock *lock,
    int64_t now_us, size_t limit, feedback_visitor *visit, void *self)
{
    AUTO(query_done) struct query hold = query_open(txn, SQL_FEEDBACK_HOLD);
    query_put_int(&hold, (int64_t)lock->number);
    query_put_int(&hold, lock->until_us);
    query_put_int(&hold, lock->hub_id);
    query_put_int(&hold, now_us);
    query_put_int(&hold, as_limit(limit));
    enum err err = query_change(&hold, NULL);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query held = query_open(txn, SQL_FEEDBACK_HELD);
    query_put_int(&held, (int64_t)lock->number);
    return visit_feedback(&held, visit, self);
}

enum err sqlite_feedback_settle(
    struct store_txn *txn, const struct feedback_lock *lock, int64_t now_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_FEEDBACK_SETTLE);
    query_put_int(&query, lock->until_us);
    query_put_int(&query, (int64_t)lock->number);
    query_put_int(&query, lock->hub_id);
    query_put_int(&query, now_us);
    int64_t settled = 0;
    enum err err = query_change(&query, &settled);
    return err == ERR_NONE && settled == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_feedback_prune(
    struct store_txn *txn, int64_t before_us, size_t limit, size_t *ret_dropped)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_FEEDBACK_PRUNE);
    query_put_int(&query, before_us);
    query_put_int(&query, as_limit(limit));
    int64_t dropped = 0;
    enum err err = query_change(&query, &dropped);
    if (err == ERR_NONE)
        *ret_dropped = (size_t)dropped;
    return err;
}
