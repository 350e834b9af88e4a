/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of cloud-to-device messages, for their senders. There are two ways to it, which do
 * not touch each other: to read on in the list from anywhere (ours), and to receive what nobody has
 * completed yet, which is held for a time (IoT Hub's).
 */
#include "lock_token.h"
#include "messages.h"

#define BATCH_ITEMS 64 /* IoT Hub's */

/* ---- reading on ------------------------------------------------------------------------------ */
struct feedback_page {
    struct buf body;
    size_t count;
    uint64_t next;
};

static enum err add_feedback(void *self, const struct feedback *feedback)
{
    struct feedback_page *page = self;
    buf_add_text(&page->body, page->count++ == 0 ? "" : ",");
    message_write_feedback(feedback, &page->body);
    buf_add_format(&page->body, ",\"sequenceNumber\":%llu}", (unsigned long long)feedback->id);
    page->next = feedback->id + 1;
    return page->body.failed ? ERR_MEMORY : ERR_NONE;
}

enum err feedback_read(struct rest *rest)
{
    uint64_t from = 0;
    uint64_t limit = 0;
    const size_t most = rest->service->options.limits.list_items;
    enum err err = rest_number(rest, "from", INT64_MAX, 0, &from);
    if (err == ERR_NONE)
        err = rest_number(rest, "limit", most, most, &limit);
    if (err != ERR_NONE)
        return err;
    struct feedback_page page = {BUF_EMPTY, 0, from};
    buf_add_text(&page.body, "{\"items\":[");
    err = store_feedback_read(rest->txn, rest->hub_id, from == 0 ? 0 : from - 1,
        limit == 0 ? 1 : (size_t)limit, add_feedback, &page);
    buf_add_format(&page.body, "],\"next\":%llu}", (unsigned long long)page.next);
    if (err == ERR_NONE)
        err = respond_json(rest, 200, &page.body);
    buf_done(&page.body);
    return err;
}

/* ---- receiving ------------------------------------------------------------------------------- */

struct holding {
    struct lock_token token;
    struct feedback_lock lock;
};

enum err feedback_prepare_receive(struct rest *rest)
{
    struct holding *holding = arena_alloc(rest->arena, sizeof(*holding));
    if (holding == NULL)
        return ERR_MEMORY;
    rest->input = holding;
    return lock_token_new(&holding->token, rest->why);
}

struct batch {
    struct buf body;
    size_t count;
};

static enum err add_to_batch(void *self, const struct feedback *feedback)
{
    struct batch *batch = self;
    buf_add_text(&batch->body, batch->count++ == 0 ? "[" : ",");
    message_write_feedback(feedback, &batch->body);
    buf_add_byte(&batch->body, '}');
    return batch->body.failed ? ERR_MEMORY : ERR_NONE;
}

static enum err respond_batch(
    struct rest *rest, const struct lock_token *token, struct batch *batch)
{
    AUTO(buf_done) struct buf etag = BUF_EMPTY;
    buf_add_byte(&batch->body, ']');
    lock_token_write(token, &etag);
    buf_add_byte(&etag, '\0');
    if (etag.failed)
        return ERR_MEMORY;
    enum err err = respond_json(rest, 200, &batch->body);
    rest->call->content_type_out = SPAN_LIT("application/vnd.microsoft.iothub.feedback.json");
    return err == ERR_NONE ? respond_etag(rest, etag.ptr) : err;
}

enum err feedback_receive(struct rest *rest)
{
    struct holding *holding = rest->input;
    const int64_t now = now_us(rest->service);
    struct batch batch = {BUF_EMPTY, 0};
    holding->lock = (struct feedback_lock){rest->hub_id, holding->token.lock,
        now + (int64_t)rest->service->options.limits.message_lock_seconds * 1000000};
    enum err err =
        store_feedback_hold(rest->txn, &holding->lock, now, BATCH_ITEMS, add_to_batch, &batch);
    if (err == ERR_NONE)
        err = batch.count == 0 ? respond_empty(rest, 204)
                               : respond_batch(rest, &holding->token, &batch);
    buf_done(&batch.body);
    return err;
}

/* ---- settling -------------------------------------------------------------------------------- */

enum err feedback_prepare_settle(struct rest *rest)
{
    struct holding *holding = arena_alloc(rest->arena, sizeof(*holding));
    struct span token = rest->arguments[0];
    if (holding == NULL)
        return ERR_MEMORY;
    rest->input = holding;
    if (!lock_token_read(match_of(token).etag, &holding->token))
        return fail(ERR_LOCK_LOST, rest->why, "\"%.*s\" is no token of a lock", SPAN_ARG(token));
    return ERR_NONE;
}

static enum err settle(struct rest *rest, int64_t until_us)
{
    const struct holding *holding = rest->input;
    const struct feedback_lock lock = {rest->hub_id, holding->token.lock, until_us};
    enum err err = store_feedback_settle(rest->txn, &lock, now_us(rest->service));
    if (err == ERR_NOT_FOUND)
        return fail(ERR_LOCK_LOST, rest->why, "no feedback is held by this token any more");
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

enum err feedback_complete(struct rest *rest)
{
    return settle(rest, FEEDBACK_FOR_EVER);
}

enum err feedback_abandon(struct rest *rest)
{
    return settle(rest, 0);
}
