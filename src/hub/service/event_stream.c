/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /gemel/v1/events/stream: the event log as server-sent events, without end. It takes what the
 * pages of the log take, and gives the same events:
 *
 *   where it begins --> piece --> piece --> parked --(events came)--> piece --> …
 *                                             \--(15 s)--> a heartbeat
 *
 * A piece is read only when the one before was sent, so a slow client costs the server nothing but
 * its connection. An id is a sequence number; it also comes without an event, with the first piece
 * and with heartbeats, so that a client that resumes (Last-Event-ID) neither misses an event nor
 * has the server look through again what it filtered out.
 *
 * A stream ends, and is to be taken up again, with the token that opened it, when the key that
 * signed it is changed, when the server drains, and after a bounded amount of memory.
 */
#include "event_log.h"

#include <stdio.h>

#define HEARTBEAT_US 15000000
#define PIECE_EVENTS 200
#define PIECE_BYTES (64u * 1024u)

/* What looking again and again may leave in the arena. */
#define ARENA_BYTES (8u * 1024u * 1024u)

struct stream {
    struct parked query; /* first: one is the other */
    bool begun;
    char *piece; /* where all pieces lie */
    size_t piece_size;
};

static void beat(struct parked *query);

enum err stream_prepare(struct rest *rest)
{
    struct stream *stream = arena_alloc(rest->arena, sizeof(*stream));
    struct span last = span_trim(rest->call->last_event_id);
    if (stream == NULL)
        return ERR_MEMORY;
    enum err err = events_read_query(rest, &stream->query);
    uint64_t seen = 0;
    if (err == ERR_NONE && last.len > 0) {
        if (!span_u64(last, INT64_MAX - 1, &seen))
            return fail(ERR_ARGUMENT, rest->why, "last-event-id is no sequence number");
        stream->query.from = seen + 1;
        stream->query.from_latest = false;
    }
    stream->query.limit = PIECE_EVENTS;
    stream->query.limit_bytes = PIECE_BYTES;
    stream->query.waits = true;
    stream->query.give_up = beat;
    rest->input = stream;
    return err;
}

static bool is_over(struct rest *rest)
{
    struct service *service = rest->service;
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining;
    pthread_mutex_unlock(&service->lock);
    if (draining || rest->arena->used_bytes > ARENA_BYTES)
        return true;
    if (rest->proof != PROOF_TOKEN)
        return false;
    int64_t until_us =
        (rest->expires_s + (int64_t)service->options.limits.skew_seconds) * INT64_C(1000000);
    return now_us(service) >= until_us ||
           !auth_mark_is_current(service, rest->hub_id, rest->caller.user, rest->mark);
}

static enum err respond_piece(struct rest *rest, struct stream *stream, struct span text, bool more)
{
    if (stream->piece_size < text.len) {
        /* An idle stream shall cost little. */
        size_t size = 2 * text.len;
        stream->piece_size = 0;
        stream->piece = arena_alloc(rest->arena, size);
        if (stream->piece == NULL)
            return ERR_MEMORY;
        stream->piece_size = size;
    }
    memcpy(stream->piece, text.ptr, text.len);
    rest->call->status = 200;
    rest->call->content_type_out = SPAN_LIT("text/event-stream; charset=utf-8");
    rest->call->body_out = (struct span){stream->piece, text.len};
    rest->call->more = more;
    respond_header(rest->call, "x-accel-buffering", SPAN_LIT("no"));
    return ERR_NONE;
}

/* Where a client that lost the connection now would go on. */
static enum err respond_place(struct rest *rest, struct stream *stream, const char *word, bool more)
{
    char text[96];
    uint64_t from = stream->query.from;
    int len = snprintf(text, sizeof(text), "%s: %s\nid: %llu\n\n",
        stream->begun ? "" : "retry: 1000\n", word, (unsigned long long)(from == 0 ? 0 : from - 1));
    stream->begun = true;
    return respond_piece(rest, stream, (struct span){text, (size_t)len}, more);
}

static void beat(struct parked *query)
{
    struct stream *stream = (struct stream *)query;
    struct rest *rest = query->rest;
    bool over = is_over(rest);
    enum err err = respond_place(rest, stream, over ? "the end" : "waiting", !over);
    rest_finish(rest, err, NULL);
}

static enum err begin(struct rest *rest, struct stream *stream)
{
    uint64_t end = 0;
    enum err err = store_event_next(rest->txn, rest->hub_id, &end);
    if (err == ERR_NONE && stream->query.from_latest)
        stream->query.from = end;
    stream->query.from_latest = false;
    if (err == ERR_NONE)
        err = respond_place(rest, stream, "gemel", true);
    return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
}

enum err stream_read(struct rest *rest)
{
    struct stream *stream = rest->input;
    struct page page = {.body = BUF_EMPTY, .as_stream = true};
    uint64_t end = 0;
    bool over = is_over(rest);
    if (!stream->begun)
        return begin(rest, stream);
    if (over)
        return respond_place(rest, stream, "the end", false);
    enum err err = events_read_page(rest, &stream->query, &page, &end);
    stream->query.deadline_mono_us = clock_mono_us(rest->service->options.clock) + HEARTBEAT_US;
    if (err == ERR_NONE && page.body.len > 0)
        err = respond_piece(rest, stream, buf_span(&page.body), true);
    else if (err == ERR_NONE && stream->query.from < end)
        err = respond_place(rest, stream, "looking", true);
    else if (err == ERR_NONE)
        rest->park = events_park;
    buf_done(&page.body);
    return err;
}
