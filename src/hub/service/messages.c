/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include "bag.h"
#include "log.h"
#include "urlcode.h"

#define SWEEP_EVERY_US 5000000
#define SWEEP_ITEMS 500

/* ---- settling -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned ack; /* what the sender must have asked for to hear of it */
} outcomes[] = {
    [OUTCOME_SUCCESS] = {"Success", MESSAGE_ACK_POSITIVE},
    [OUTCOME_EXPIRED] = {"Expired", MESSAGE_ACK_NEGATIVE},
    [OUTCOME_DELIVERY_COUNT] = {"DeliveryCountExceeded", MESSAGE_ACK_NEGATIVE},
    [OUTCOME_REJECTED] = {"Rejected", MESSAGE_ACK_NEGATIVE},
    [OUTCOME_PURGED] = {"Purged", MESSAGE_ACK_NEGATIVE},
};

void message_write_feedback(const struct feedback *feedback, struct buf *out)
{
    char time[CLOCK_TEXT_SIZE];
    buf_add_text(out, "{\"originalMessageId\":");
    json_write_string(feedback->message_id, out);
    write_text_member(out, "enqueuedTimeUtc", span_of(clock_format(feedback->time_us, time)));
    write_text_member(out, "statusCode", feedback->outcome);
    write_text_member(out, "description", feedback->outcome);
    write_text_member(out, "deviceId", feedback->device_id);
    if (feedback->module_id.len > 0)
        write_text_member(out, "moduleId", feedback->module_id);
    buf_add_format(
        out, ",\"deviceGenerationId\":\"%llu\"", (unsigned long long)feedback->generation);
}

static enum err append_event(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    const struct feedback *feedback, uint64_t *event)
{
    char time[CLOCK_TEXT_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    char *system = arena_format(arena,
        "{\"content-type\":\"application/json\",\"iothub-message-source\":\"feedback\","
        "\"iothub-enqueuedtime\":\"%s\"}",
        clock_format(feedback->time_us, time));
    buf_add_byte(&body, '[');
    message_write_feedback(feedback, &body);
    buf_add_text(&body, "}]");
    if (system == NULL || body.failed)
        return ERR_MEMORY;
    const struct event row = {.enqueued_us = feedback->time_us,
        .source = EVENT_FEEDBACK,
        .device_id = feedback->device_id,
        .module_id = feedback->module_id,
        .system_properties = span_of(system),
        .properties = SPAN_LIT("{}"),
        .body = buf_span(&body)};
    return store_event_append(txn, hub_id, &row, event);
}

enum err message_settle(const struct service *service, struct arena *arena, struct store_txn *txn,
    const struct message_place *place, const struct message *message, enum message_outcome outcome,
    uint64_t *event)
{
    enum err err = store_message_delete(txn, message->sequence);
    if (err != ERR_NONE || (message->ack & outcomes[outcome].ack) == 0)
        return err;
    const struct feedback feedback = {.time_us = now_us(service),
        .message_id = message->message_id,
        .outcome = span_of(outcomes[outcome].name),
        .device_id = place->device_id,
        .module_id = place->module_id,
        .generation = place->generation};
    err = store_feedback_append(txn, place->hub_id, &feedback);
    return err == ERR_NONE ? append_event(txn, arena, place->hub_id, &feedback, event) : err;
}

bool message_is_spent(const struct service *service, const struct message *message)
{
    return message->deliveries >= service->options.limits.message_deliveries;
}

enum err message_find_next(const struct service *service, struct arena *arena,
    struct store_txn *txn, const struct message_place *place, struct message *ret_message,
    uint64_t *event)
{
    const int64_t now = now_us(service);
    for (;;) {
        enum err err = store_message_next(
            txn, arena, place->hub_id, place->device_id, place->module_id, now, ret_message);
        if (err != ERR_NONE)
            return err;
        bool expired = ret_message->expires_us <= now;
        if (!expired && !message_is_spent(service, ret_message))
            return ERR_NONE;
        err = message_settle(service, arena, txn, place, ret_message,
            expired ? OUTCOME_EXPIRED : OUTCOME_DELIVERY_COUNT, event);
        if (err != ERR_NONE)
            return err;
    }
}

/* ---- over MQTT ------------------------------------------------------------------------------- */

void message_write_to(const struct message_place *place, struct buf *out)
{
    buf_add_text(out, "/devices/");
    url_encode(place->device_id, out);
    if (place->module_id.len > 0) {
        buf_add_text(out, "/modules/");
        url_encode(place->module_id, out);
    }
    buf_add_text(out, "/messages/deviceBound");
}

const char *message_ack_name(unsigned ack)
{
    static const char *const names[] = {"none", "positive", "negative", "full"};
    return names[ack & 3];
}

/* The Java SDK takes no empty values. */
static void add_item(struct bag_writer *bag, const char *key, struct span value)
{
    if (value.len > 0)
        bag_add(bag, span_of(key), value);
}

/* The SDKs want system properties as "%24.mid", and at least one property. */
static void write_bag(
    const struct message_place *place, const struct message *message, struct buf *out)
{
    char expiry[CLOCK_TEXT_SIZE];
    AUTO(buf_done) struct buf to = BUF_EMPTY;
    struct bag_writer bag = {.out = out};
    message_write_to(place, &to);
    add_item(&bag, "$.mid", message->message_id);
    bag_add(&bag, SPAN_LIT("$.to"), buf_span(&to));
    add_item(&bag, "$.cid", message->correlation_id);
    add_item(&bag, "$.uid", message->user_id);
    add_item(&bag, "$.exp", span_of(clock_format(message->expires_us, expiry)));
    add_item(&bag, "$.ct", message->content_type);
    add_item(&bag, "$.ce", message->content_encoding);
    if (message->ack != 0)
        add_item(&bag, "iothub-ack", span_of(message_ack_name(message->ack)));
    if (message->properties.len > 0) {
        buf_add_byte(out, '&');
        buf_add(out, message->properties);
    }
    out->failed |= to.failed;
}

static struct message_place place_of(const struct session_identity *who)
{
    return (struct message_place){.hub_id = who->hub_id,
        .device_id = who->device_id,
        .module_id = who->module_id,
        .generation = who->generation};
}

static enum err run_take(struct store_job *job, struct store_txn *txn)
{
    struct message_call *call = (struct message_call *)job;
    const struct service *service = call->call.service;
    struct arena *arena = &call->call.arena;
    const struct message_place place = place_of(&call->identity);
    struct message message;
    AUTO(buf_done) struct buf bag = BUF_EMPTY;
    call->found = false;
    call->event = 0;
    enum err err = message_find_next(service, arena, txn, &place, &message, &call->event);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    write_bag(&place, &message, &bag);
    if (bag.failed || !arena_span(arena, buf_span(&bag), &call->properties))
        return ERR_MEMORY;
    call->found = true;
    call->sequence = message.sequence;
    call->again = message.deliveries > 0;
    call->body = message.body;
    message.deliveries++;
    message.session = call->session;
    message.lock = 0;
    message.locked_until_us = 0;
    return store_message_hold(txn, &message);
}

static void call_done_with_event(struct store_job *job, enum err result)
{
    struct message_call *call = (struct message_call *)job;
    struct why why = job->why;
    if (result == ERR_NONE && call->event != 0)
        bus_events_appended(call->call.service->options.bus, call->identity.hub_id, call->event);
    call_finish(&call->call, result, &why);
}

void service_message_take(struct service *service, struct message_call *call)
{
    call->call.service = service;
    call->call.job.run = run_take;
    call->call.job.done = call_done_with_event;
    store_submit(service->options.store, STORE_WRITE, &call->call.job);
}

static enum err run_complete(struct store_job *job, struct store_txn *txn)
{
    struct message_call *call = (struct message_call *)job;
    struct arena *arena = &call->call.arena;
    const struct message_place place = place_of(&call->identity);
    struct message message;
    call->event = 0;
    call->found = false;
    enum err err = store_message_get(
        txn, arena, place.hub_id, place.device_id, place.module_id, call->sequence, &message);
    if (err == ERR_NOT_FOUND || (err == ERR_NONE && message.session != call->session))
        return ERR_NONE;
    if (err != ERR_NONE)
        return err;
    call->found = true;
    if (!call->release)
        return message_settle(
            call->call.service, arena, txn, &place, &message, OUTCOME_SUCCESS, &call->event);
    message.session = 0;
    message.deliveries--;
    return store_message_hold(txn, &message);
}

void service_message_complete(struct service *service, struct message_call *call)
{
    call->call.service = service;
    call->call.job.run = run_complete;
    call->call.job.done = call_done_with_event;
    store_submit(service->options.store, STORE_WRITE, &call->call.job);
}

/* ---- REST ------------------------------------------------------------------------------------ */

enum err message_add_event_effect(struct rest *rest, uint64_t event)
{
    struct effect *effect;
    return event == 0 ? ERR_NONE : rest_add_effect(rest, EFFECT_EVENTS, &effect);
}

struct queue {
    struct arena *arena;
    struct message *messages;
    size_t count;
    size_t room;
};

static enum err collect(
    void *self, const struct message_place *place UNUSED, const struct message *message)
{
    struct queue *queue = self;
    if (queue->count == queue->room)
        return ERR_NONE;
    struct message *copy = &queue->messages[queue->count++];
    *copy = *message;
    return arena_span(queue->arena, message->message_id, &copy->message_id) ? ERR_NONE : ERR_MEMORY;
}

static enum err respond_purged(struct rest *rest, size_t count)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_format(&body, "{\"totalMessagesPurged\":%zu", count);
    write_text_member(&body, "deviceId", rest->arguments[0]);
    write_text_or_null(&body, "moduleId", rest->arguments[1]);
    buf_add_byte(&body, '}');
    return respond_json(rest, 200, &body);
}

enum err messages_purge(struct rest *rest)
{
    struct identity identity;
    uint64_t event = 0;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, rest->arguments[0],
        rest->arguments[1], &identity, rest->why);
    if (err != ERR_NONE)
        return err;
    const struct message_place place = {
        rest->hub_id, rest->arguments[0], rest->arguments[1], identity.generation};
    struct queue queue = {.arena = rest->arena, .room = (size_t)identity.messages};
    queue.messages = arena_alloc(rest->arena, queue.room * sizeof(*queue.messages));
    if (queue.messages == NULL)
        return ERR_MEMORY;
    err = store_message_list(
        rest->txn, place.hub_id, place.device_id, place.module_id, collect, &queue);
    for (size_t i = 0; i < queue.count && err == ERR_NONE; i++)
        err = message_settle(rest->service, rest->arena, rest->txn, &place, &queue.messages[i],
            OUTCOME_PURGED, &event);
    if (err == ERR_NONE)
        err = message_add_event_effect(rest, event);
    return err == ERR_NONE ? respond_purged(rest, queue.count) : err;
}

/* ---- sweeping -------------------------------------------------------------------------------- */

struct swept {
    struct swept *next;
    struct message_place place;
    struct message message;
    uint64_t event;
};

struct sweep_job {
    struct store_job job;
    struct service *service;
    struct arena arena;
    struct swept *expired;
    struct swept *lapsed;
    struct swept **into; /* which of the two is being collected */
    bool more;
};

static enum err collect_swept(
    void *self, const struct message_place *place, const struct message *message)
{
    struct sweep_job *sweep = self;
    struct swept *swept = arena_alloc(&sweep->arena, sizeof(*swept));
    if (swept == NULL)
        return ERR_MEMORY;
    *swept = (struct swept){.next = *sweep->into, .place = *place, .message = *message};
    if (!arena_span(&sweep->arena, place->device_id, &swept->place.device_id) ||
        !arena_span(&sweep->arena, place->module_id, &swept->place.module_id) ||
        !arena_span(&sweep->arena, message->message_id, &swept->message.message_id))
        return ERR_MEMORY;
    *sweep->into = swept;
    return ERR_NONE;
}

static enum err look(struct sweep_job *sweep, struct store_txn *txn, size_t limit)
{
    const int64_t now = now_us(sweep->service);
    sweep->expired = NULL;
    sweep->lapsed = NULL;
    sweep->into = &sweep->expired;
    enum err err = store_message_expired(txn, now, limit, collect_swept, sweep);
    sweep->into = &sweep->lapsed;
    return err == ERR_NONE ? store_message_lapsed(txn, now, limit, collect_swept, sweep) : err;
}

static enum err run_look(struct store_job *job, struct store_txn *txn)
{
    return look((struct sweep_job *)job, txn, 1);
}

static enum err run_sweep(struct store_job *job, struct store_txn *txn)
{
    struct sweep_job *sweep = (struct sweep_job *)job;
    size_t count = 0;
    enum err err = look(sweep, txn, SWEEP_ITEMS);
    for (struct swept *s = sweep->lapsed; s != NULL && err == ERR_NONE; s = s->next, count++) {
        s->message.lock = 0;
        s->message.locked_until_us = 0;
        err = store_message_hold(txn, &s->message);
    }
    for (struct swept *s = sweep->expired; s != NULL && err == ERR_NONE; s = s->next, count++)
        err = message_settle(
            sweep->service, &sweep->arena, txn, &s->place, &s->message, OUTCOME_EXPIRED, &s->event);
    sweep->more = count >= SWEEP_ITEMS;
    return err;
}

static void end_sweep(struct sweep_job *sweep, enum err result)
{
    struct service *service = sweep->service;
    if (result != ERR_NONE)
        log_warn("service", "messages that have expired cannot be dropped: %s",
            why_text(&sweep->job.why, result));
    pthread_mutex_lock(&service->lock);
    service->sweeping = false;
    if (result == ERR_NONE && sweep->more)
        service->sweep_mono_us = clock_mono_us(service->options.clock);
    pthread_mutex_unlock(&service->lock);
    arena_done(&sweep->arena);
    mem_free(sweep);
    own_job_end(service);
}

static void swept_done(struct store_job *job, enum err result)
{
    struct sweep_job *sweep = (struct sweep_job *)job;
    struct bus *bus = sweep->service->options.bus;
    for (const struct swept *s = sweep->expired; result == ERR_NONE && s != NULL; s = s->next)
        if (s->event != 0)
            bus_events_appended(bus, s->place.hub_id, s->event);
    for (const struct swept *s = sweep->lapsed; result == ERR_NONE && s != NULL; s = s->next)
        bus_message(bus, s->place.hub_id, s->place.device_id, s->place.module_id);
    end_sweep(sweep, result);
}

/* Mostly there is nothing to do, and then nothing is written. */
static void look_done(struct store_job *job, enum err result)
{
    struct sweep_job *sweep = (struct sweep_job *)job;
    if (result != ERR_NONE || (sweep->expired == NULL && sweep->lapsed == NULL)) {
        end_sweep(sweep, result);
        return;
    }
    job->run = run_sweep;
    job->done = swept_done;
    store_submit(sweep->service->options.store, STORE_WRITE, job);
}

void messages_sweep(struct service *service)
{
    int64_t now = clock_mono_us(service->options.clock);
    pthread_mutex_lock(&service->lock);
    bool due = !service->sweeping && !service->draining && now >= service->sweep_mono_us;
    struct sweep_job *sweep = due ? mem_alloc(sizeof(*sweep)) : NULL;
    if (sweep != NULL) {
        service->sweeping = true;
        service->sweep_mono_us = now + SWEEP_EVERY_US;
    }
    pthread_mutex_unlock(&service->lock);
    if (sweep == NULL)
        return;
    sweep->service = service;
    sweep->job.run = run_look;
    sweep->job.done = look_done;
    arena_init(&sweep->arena, 0);
    own_job_begin(service);
    store_submit(service->options.store, STORE_READ, &sweep->job);
}
