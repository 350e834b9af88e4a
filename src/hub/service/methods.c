/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct methods: POST /twins/{device}[/modules/{module}]/methods asks a connected client something
 * and answers with what it says. A call occupies no thread while it waits:
 *
 *   the identity exists, the audit log has it                     WRITE
 *       |
 *       v        no client takes methods
 *   hand over -----------------------------> WAITING --(connect time-out, drain)--> 404103
 *       |  ^                                   |
 *       |  +---(a client subscribes)-----------+
 *       |  ^
 *       |  +---(the gateway could not send it: nothing of it was seen)
 *       v
 *     SENT --(answer)--> 200   --(response time-out)--> 504101
 *
 * A request is never sent twice. An answer counts if it comes from the identity that was asked,
 * bears the number of a call that waits for one, and comes in time, be it on another connection
 * than the request: a client sends with QoS 1 what it could not send before. Every other is
 * dropped.
 *
 * Calls lie in buckets by device, oldest first. A bucket's lock is taken before those of the bus.
 */
#include "methods.h"

#include "gate.h"
#include "topic.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#define BUCKETS 256u /* a power of two */

#define RESPONSE_SECONDS_MIN 5
#define RESPONSE_SECONDS_MAX 300
#define RESPONSE_SECONDS_DEFAULT 30
#define CONNECT_SECONDS_MAX 300

/* A call of POST /twins/…/methods. */
struct invocation {
    struct method_call call;
    struct rest *rest;
};

struct bucket {
    pthread_mutex_t lock;
    struct method_call *first;
    struct method_call **last;
    size_t count;
};

struct method_table {
    /* Counts on from the time of the start, faster than calls come: the answer to a call of the
     * server before has no number of a call of this one. */
    atomic_uint_fast64_t next_number;
    struct bucket buckets[BUCKETS];
};

struct method_table *method_table_new(const struct clock *clock)
{
    struct method_table *table = mem_alloc(sizeof(*table));
    if (table == NULL)
        return NULL;
    atomic_init(&table->next_number, (uint64_t)clock_wall_us(clock));
    for (size_t i = 0; i < BUCKETS; i++) {
        must(pthread_mutex_init(&table->buckets[i].lock, NULL) == 0);
        table->buckets[i].last = &table->buckets[i].first;
    }
    return table;
}

void method_table_free(struct method_table *table)
{
    for (size_t i = 0; table != NULL && i < BUCKETS; i++) {
        must(table->buckets[i].first == NULL);
        pthread_mutex_destroy(&table->buckets[i].lock);
    }
    mem_free(table);
}

static struct bucket *bucket_of(
    const struct service *service, int64_t hub_id, struct span device_id)
{
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)hub_id;
    for (size_t i = 0; i < device_id.len; i++)
        hash = (hash ^ (unsigned char)device_id.ptr[i]) * UINT32_C(16777619);
    return &service->methods->buckets[(hash ^ hash >> 15) & (BUCKETS - 1)];
}

static bool is_of(const struct method_call *call, int64_t hub_id, struct span device_id)
{
    return call->hub_id == hub_id && span_eq(call->device_id, device_id);
}

static bool is_of_session(const struct method_call *call, const struct session_identity *who)
{
    return is_of(call, who->hub_id, who->device_id) && span_eq(call->module_id, who->module_id);
}

/* ---- the list of a bucket -------------------------------------------------------------------- */

static void add(struct bucket *bucket, struct method_call *call)
{
    call->next = NULL;
    *bucket->last = call;
    bucket->last = &call->next;
    bucket->count++;
}

static struct method_call *take_at(struct bucket *bucket, struct method_call **link)
{
    struct method_call *call = *link;
    *link = call->next;
    if (call->next == NULL)
        bucket->last = link;
    bucket->count--;
    return call;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static enum err read_seconds(const struct json *body, const char *name, int64_t min, int64_t max,
    int64_t *seconds, struct why *why)
{
    const struct json *value = json_find_text(body, name);
    int64_t asked;
    if (value == NULL || value->kind == JSON_NULL)
        return ERR_NONE;
    if (!json_int64(value, &asked) || asked < min || asked > max)
        return fail(ERR_ARGUMENT, why, "%s must be a whole number from %lld to %lld", name,
            (long long)min, (long long)max);
    *seconds = asked;
    return ERR_NONE;
}

static enum err read_name(const struct json *body, struct method_call *call, struct why *why)
{
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    const struct json *name = json_find_text(body, "methodName");
    if (!json_is(name, JSON_STRING))
        return fail(ERR_ARGUMENT, why, "methodName is missing, or no string");
    call->name = name->text;
    enum err err = topic_write_method(&topic, call->name, SPAN_LIT("1"), why);
    return err == ERR_NONE && topic.failed ? ERR_MEMORY : err;
}

/* None at all is sent as null: the Python SDK reads every payload as JSON. */
static enum err read_payload(struct arena *arena, const struct json *body, size_t most,
    struct method_call *call, struct why *why)
{
    const struct json *payload = json_find_text(body, "payload");
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (payload == NULL)
        buf_add_text(&text, "null");
    else
        json_write(payload, &text);
    if (!text.failed && text.len > most)
        return fail(ERR_TOO_LARGE, why,
            "the payload has %zu bytes, at most %zu are allowed (limits.method_bytes)", text.len,
            most);
    if (text.failed || !arena_span(arena, buf_span(&text), &call->payload))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err method_call_read(struct arena *arena, const struct json *body, size_t payload_bytes,
    struct method_call *call, struct why *why)
{
    int64_t response = RESPONSE_SECONDS_DEFAULT;
    int64_t connect = 0;
    enum err err = read_name(body, call, why);
    if (err == ERR_NONE)
        err = read_payload(arena, body, payload_bytes, call, why);
    if (err == ERR_NONE)
        err = read_seconds(body, "responseTimeoutInSeconds", RESPONSE_SECONDS_MIN,
            RESPONSE_SECONDS_MAX, &response, why);
    if (err == ERR_NONE)
        err = read_seconds(body, "connectTimeoutInSeconds", 0, CONNECT_SECONDS_MAX, &connect, why);
    call->response_us = response * 1000000;
    call->connect_us = connect * 1000000;
    return err;
}

static void answer_rest(struct method_call *call, const struct method_outcome *outcome);

enum err methods_prepare(struct rest *rest)
{
    struct invocation *invocation = arena_alloc(rest->arena, sizeof(*invocation));
    if (invocation == NULL)
        return ERR_MEMORY;
    rest->input = invocation;
    invocation->rest = rest;
    invocation->call = (struct method_call){.hub_id = rest->hub_id,
        .device_id = rest->arguments[0],
        .module_id = rest->arguments[1],
        .done = answer_rest};
    if (!json_is(rest->body, JSON_OBJECT))
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an object",
            json_kind_name(rest->body));
    enum err err = method_call_read(rest->arena, rest->body,
        rest->service->options.limits.method_bytes, &invocation->call, rest->why);
    rest->messages = gate_messages(invocation->call.payload.len);
    rest->cost = rest->messages * 4096;
    return err;
}

/* ---- what is answered ------------------------------------------------------------------------ */

static void end(struct method_call *call, enum err err, const struct why *why)
{
    const struct method_outcome outcome = {.err = err, .why = why, .sent = call->sent};
    call->done(call, &outcome);
}

static void end_offline(struct method_call *call)
{
    struct why why;
    why_set(&why, "%s%.*s%s%.*s is not connected, or has not subscribed to methods",
        call->module_id.len > 0 ? "Module " : "Device ", SPAN_ARG(call->device_id),
        call->module_id.len > 0 ? "/" : "", SPAN_ARG(call->module_id));
    end(call, ERR_DEVICE_NOT_ONLINE, &why);
}

static void end_late(struct method_call *call)
{
    struct why why;
    why_set(&why, "the device did not answer the method within %lld s",
        (long long)(call->response_us / 1000000));
    end(call, ERR_TIMEOUT, &why);
}

static void end_time_up(struct method_call *call)
{
    if (call->sent)
        end_late(call);
    else
        end_offline(call);
}

static void end_draining(struct method_call *call)
{
    struct why why;
    why_set(&why, "the server is shutting down");
    end(call, ERR_UNAVAILABLE, &why);
}

enum err method_answer_read(struct arena *arena, const struct method_response *response,
    size_t payload_bytes, struct json **ret_payload, struct why *why)
{
    struct json *payload = NULL;
    struct span text = span_trim(response->payload);
    if (response->payload.len > payload_bytes)
        return fail(ERR_BAD_ANSWER, why,
            "the device's answer has %zu bytes, at most %zu are allowed (limits.method_bytes)",
            response->payload.len, payload_bytes);
    if (text.len > 0) {
        enum err err = json_parse(arena, text, 0, &payload, why);
        if (err != ERR_NONE) {
            why_prefix(why, "the device's answer is no JSON");
            return err == ERR_MEMORY ? err : ERR_BAD_ANSWER;
        }
    }
    *ret_payload = payload;
    return ERR_NONE;
}

static enum err respond_answer(
    struct rest *rest, const struct method_response *response, struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct json *payload;
    enum err err = method_answer_read(
        rest->arena, response, rest->service->options.limits.method_bytes, &payload, why);
    if (err != ERR_NONE)
        return err;
    buf_add_format(&body, "{\"status\":%" PRId32 ",\"payload\":", response->status);
    if (payload == NULL)
        buf_add_text(&body, "null");
    else
        json_write(payload, &body);
    buf_add_byte(&body, '}');
    return respond_json(rest, 200, &body);
}

static void answer_rest(struct method_call *call, const struct method_outcome *outcome)
{
    struct rest *rest = ((struct invocation *)call)->rest;
    struct why why = {""};
    if (outcome->err != ERR_NONE) {
        rest_finish(rest, outcome->err, outcome->why);
        return;
    }
    enum err err = respond_answer(rest, outcome->response, &why);
    rest_finish(rest, err, &why);
}

void service_method_response(struct service *service, const struct session_identity *who,
    const struct method_response *response)
{
    struct bucket *bucket = bucket_of(service, who->hub_id, who->device_id);
    struct method_call *answered = NULL;
    pthread_mutex_lock(&bucket->lock);
    for (struct method_call **link = &bucket->first; *link != NULL; link = &(*link)->next) {
        struct method_call *call = *link;
        if (!call->sent || !is_of_session(call, who) ||
            !span_is(response->request_id, call->number))
            continue;
        answered = take_at(bucket, link);
        break;
    }
    pthread_mutex_unlock(&bucket->lock);
    if (answered == NULL)
        return;
    const struct method_outcome outcome = {.response = response, .sent = true};
    answered->done(answered, &outcome);
}

/* ---- handing over ---------------------------------------------------------------------------- */

/* True: the client is sent it. Under the bucket's lock. */
static bool hand_over(struct service *service, struct method_call *call)
{
    const struct method_request request = {
        .name = call->name, .request_id = span_of(call->number), .payload = call->payload};
    call->sent = true; /* the answer may be there before the bus has returned */
    call->deadline_mono_us = clock_mono_us(service->options.clock) + call->response_us;
    if (bus_method(service->options.bus, call->hub_id, call->device_id, call->module_id,
            &request) == ERR_NONE)
        return true;
    call->sent = false;
    call->deadline_mono_us = call->connect_mono_us;
    return false;
}

static size_t count_device(const struct bucket *bucket, const struct method_call *call)
{
    size_t count = 0;
    for (const struct method_call *other = bucket->first; other != NULL; other = other->next)
        count += is_of(other, call->hub_id, call->device_id);
    return count;
}

void methods_begin(struct service *service, struct method_call *call)
{
    const size_t most = service->options.limits.methods_per_device;
    struct bucket *bucket = bucket_of(service, call->hub_id, call->device_id);
    snprintf(call->number, sizeof(call->number), "%llx",
        (unsigned long long)atomic_fetch_add(&service->methods->next_number, 1));
    call->sent = false;
    pthread_mutex_lock(&bucket->lock);
    /* With the lock: what comes behind the last release must see that the server drains. */
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining || service->finishing;
    pthread_mutex_unlock(&service->lock);
    bool full = bucket->count >= most && count_device(bucket, call) >= most;
    call->connect_mono_us = clock_mono_us(service->options.clock) + call->connect_us;
    bool waits = !full && !draining && (hand_over(service, call) || call->connect_us > 0);
    if (waits)
        add(bucket, call);
    pthread_mutex_unlock(&bucket->lock);
    if (waits)
        return;
    if (draining) {
        end_draining(call);
    } else if (full) {
        struct why why;
        why_set(&why, "%zu methods of the device wait already (limits.methods_per_device)", most);
        end(call, ERR_TOO_MANY_METHODS, &why);
    } else {
        end_offline(call);
    }
}

static void begin(struct rest *rest)
{
    struct invocation *invocation = rest->input;
    invocation->call.hub_id = rest->hub_id;
    methods_begin(rest->service, &invocation->call);
}

static enum err note_method(struct rest *rest, const struct method_call *call)
{
    AUTO(buf_done) struct buf detail = BUF_EMPTY;
    buf_add_text(&detail, "{\"methodName\":");
    json_write_string(call->name, &detail);
    buf_add_byte(&detail, '}');
    if (detail.failed || !arena_span(rest->arena, buf_span(&detail), &rest->audit.detail))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err methods_invoke(struct rest *rest)
{
    const struct invocation *invocation = rest->input;
    const struct method_call *call = &invocation->call;
    struct identity identity;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, call->device_id,
        call->module_id, &identity, rest->why);
    if (err == ERR_NONE)
        err = note_method(rest, call);
    if (err == ERR_NONE)
        rest->park = begin;
    return err;
}

/* ---- clients that come and go ---------------------------------------------------------------- */

void methods_wake(struct service *service, const struct session_identity *who)
{
    struct bucket *bucket = bucket_of(service, who->hub_id, who->device_id);
    pthread_mutex_lock(&bucket->lock);
    for (struct method_call *call = bucket->first; call != NULL; call = call->next)
        if (!call->sent && is_of_session(call, who))
            (void)hand_over(service, call);
    pthread_mutex_unlock(&bucket->lock);
}

/* By now there may be another client. */
void service_method_returned(
    struct service *service, const struct session_identity *who, struct span request_id)
{
    struct bucket *bucket = bucket_of(service, who->hub_id, who->device_id);
    struct method_call *over = NULL;
    pthread_mutex_lock(&bucket->lock);
    for (struct method_call **link = &bucket->first; *link != NULL; link = &(*link)->next) {
        struct method_call *call = *link;
        if (!call->sent || !is_of_session(call, who) || !span_is(request_id, call->number))
            continue;
        if (!hand_over(service, call) &&
            clock_mono_us(service->options.clock) >= call->connect_mono_us)
            over = take_at(bucket, link);
        break;
    }
    pthread_mutex_unlock(&bucket->lock);
    if (over != NULL)
        end_offline(over);
}

/* ---- the end --------------------------------------------------------------------------------- */

typedef bool method_choice(const struct method_call *call, const void *argument);

/* Takes out what is chosen, and finishes it without the lock. */
static void finish_chosen(struct bucket *bucket, method_choice *choose, const void *argument,
    void (*finish)(struct method_call *call))
{
    struct method_call *chosen = NULL;
    struct method_call **end = &chosen;
    pthread_mutex_lock(&bucket->lock);
    for (struct method_call **link = &bucket->first; *link != NULL;) {
        if (!choose(*link, argument)) {
            link = &(*link)->next;
            continue;
        }
        struct method_call *call = take_at(bucket, link);
        call->next = NULL;
        *end = call;
        end = &call->next;
    }
    pthread_mutex_unlock(&bucket->lock);
    while (chosen != NULL) {
        struct method_call *next = chosen->next;
        finish(chosen);
        chosen = next;
    }
}

static bool any(const struct method_call *call UNUSED, const void *argument UNUSED)
{
    return true;
}

static bool is_late(const struct method_call *call, const void *now_mono_us)
{
    return call->deadline_mono_us <= *(const int64_t *)now_mono_us;
}

void methods_release(struct service *service, bool all)
{
    const int64_t now = clock_mono_us(service->options.clock);
    for (size_t i = 0; i < BUCKETS; i++)
        finish_chosen(&service->methods->buckets[i], all ? any : is_late, &now,
            all ? end_draining : end_time_up);
}

static bool is_unsent(const struct method_call *call, const void *argument UNUSED)
{
    return !call->sent;
}

size_t methods_finish(struct service *service)
{
    size_t left = 0;
    pthread_mutex_lock(&service->lock);
    service->finishing = true;
    pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        struct bucket *bucket = &service->methods->buckets[i];
        finish_chosen(bucket, is_unsent, NULL, end_draining);
        pthread_mutex_lock(&bucket->lock);
        left += bucket->count;
        pthread_mutex_unlock(&bucket->lock);
    }
    return left;
}

struct deleted {
    int64_t hub_id;
    struct span device_id;
    struct span module_id;
};

static bool is_deleted(const struct method_call *call, const void *argument)
{
    const struct deleted *gone = argument;
    return is_of(call, gone->hub_id, gone->device_id) &&
           (gone->module_id.len == 0 || span_eq(call->module_id, gone->module_id));
}

static void end_deleted(struct method_call *call)
{
    end(call, call->module_id.len > 0 ? ERR_MODULE_NOT_FOUND : ERR_DEVICE_NOT_FOUND, NULL);
}

void methods_forget(
    struct service *service, int64_t hub_id, struct span device_id, struct span module_id)
{
    const struct deleted gone = {hub_id, device_id, module_id};
    finish_chosen(bucket_of(service, hub_id, device_id), is_deleted, &gone, end_deleted);
}
