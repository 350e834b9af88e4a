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
#include <stdio.h>

#define BUCKETS 256u /* a power of two */

#define RESPONSE_SECONDS_MIN 5
#define RESPONSE_SECONDS_MAX 300
#define RESPONSE_SECONDS_DEFAULT 30
#define CONNECT_SECONDS_MAX 300

#define NUMBER_SIZE 24

struct invocation {
    struct invocation *next;
    struct rest *rest;
    struct span device_id;
    struct span module_id;
    struct span name;
    struct span payload; /* JSON text */
    int64_t response_us; /* how long the answer may take */
    int64_t connect_us;  /* how long the client may take to come */
    int64_t connect_mono_us;
    int64_t deadline_mono_us; /* of what it waits for now */
    bool sent;
    char number[NUMBER_SIZE]; /* the $rid */
};

struct bucket {
    pthread_mutex_t lock;
    struct invocation *first;
    struct invocation **last;
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

static bool is_of(const struct invocation *call, int64_t hub_id, struct span device_id)
{
    return call->rest->hub_id == hub_id && span_eq(call->device_id, device_id);
}

static bool is_of_session(const struct invocation *call, const struct session_identity *who)
{
    return is_of(call, who->hub_id, who->device_id) && span_eq(call->module_id, who->module_id);
}

/* ---- the list of a bucket -------------------------------------------------------------------- */

static void add(struct bucket *bucket, struct invocation *call)
{
    call->next = NULL;
    *bucket->last = call;
    bucket->last = &call->next;
    bucket->count++;
}

static struct invocation *take_at(struct bucket *bucket, struct invocation **link)
{
    struct invocation *call = *link;
    *link = call->next;
    if (call->next == NULL)
        bucket->last = link;
    bucket->count--;
    return call;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static enum err read_seconds(
    struct rest *rest, const char *name, int64_t min, int64_t max, int64_t *seconds)
{
    const struct json *value = json_find_text(rest->body, name);
    if (value == NULL || value->kind == JSON_NULL)
        return ERR_NONE;
    if (!json_int64(value, seconds) || *seconds < min || *seconds > max)
        return fail(ERR_ARGUMENT, rest->why, "%s must be a whole number from %lld to %lld", name,
            (long long)min, (long long)max);
    return ERR_NONE;
}

static enum err read_name(struct rest *rest, struct invocation *call)
{
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    const struct json *name = json_find_text(rest->body, "methodName");
    if (!json_is(name, JSON_STRING))
        return fail(ERR_ARGUMENT, rest->why, "methodName is missing, or no string");
    call->name = name->text;
    enum err err = topic_write_method(&topic, call->name, SPAN_LIT("1"), rest->why);
    return err == ERR_NONE && topic.failed ? ERR_MEMORY : err;
}

/* None at all is sent as null: the Python SDK reads every payload as JSON. */
static enum err read_payload(struct rest *rest, struct invocation *call)
{
    const size_t most = rest->service->options.limits.method_bytes;
    const struct json *payload = json_find_text(rest->body, "payload");
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (payload == NULL)
        buf_add_text(&text, "null");
    else
        json_write(payload, &text);
    if (!text.failed && text.len > most)
        return fail(ERR_TOO_LARGE, rest->why,
            "the payload has %zu bytes, at most %zu are allowed (limits.method_bytes)", text.len,
            most);
    if (text.failed || !arena_span(rest->arena, buf_span(&text), &call->payload))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err methods_prepare(struct rest *rest)
{
    struct invocation *call = arena_alloc(rest->arena, sizeof(*call));
    int64_t response = RESPONSE_SECONDS_DEFAULT;
    int64_t connect = 0;
    if (call == NULL)
        return ERR_MEMORY;
    rest->input = call;
    call->rest = rest;
    call->device_id = rest->arguments[0];
    call->module_id = rest->arguments[1];
    if (!json_is(rest->body, JSON_OBJECT))
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an object",
            json_kind_name(rest->body));
    enum err err = read_name(rest, call);
    if (err == ERR_NONE)
        err = read_payload(rest, call);
    if (err == ERR_NONE)
        err = read_seconds(rest, "responseTimeoutInSeconds", RESPONSE_SECONDS_MIN,
            RESPONSE_SECONDS_MAX, &response);
    if (err == ERR_NONE)
        err = read_seconds(rest, "connectTimeoutInSeconds", 0, CONNECT_SECONDS_MAX, &connect);
    call->response_us = response * 1000000;
    call->connect_us = connect * 1000000;
    rest->messages = gate_messages(call->payload.len);
    rest->cost = rest->messages * 4096;
    return err;
}

/* ---- what is answered ------------------------------------------------------------------------ */

static void finish_offline(struct invocation *call)
{
    struct why why;
    why_set(&why, "%s%.*s%s%.*s is not connected, or has not subscribed to methods",
        call->module_id.len > 0 ? "Module " : "Device ", SPAN_ARG(call->device_id),
        call->module_id.len > 0 ? "/" : "", SPAN_ARG(call->module_id));
    rest_finish(call->rest, ERR_DEVICE_NOT_ONLINE, &why);
}

static void finish_late(struct invocation *call)
{
    struct why why;
    why_set(&why, "the device did not answer the method within %lld s",
        (long long)(call->response_us / 1000000));
    rest_finish(call->rest, ERR_TIMEOUT, &why);
}

static void finish_time_up(struct invocation *call)
{
    if (call->sent)
        finish_late(call);
    else
        finish_offline(call);
}

static void finish_draining(struct invocation *call)
{
    struct why why;
    why_set(&why, "the server is shutting down");
    rest_finish(call->rest, ERR_UNAVAILABLE, &why);
}

/* What a client says must be JSON, or nothing, which is null. */
static enum err respond_answer(
    struct rest *rest, const struct method_response *response, struct why *why)
{
    const size_t most = rest->service->options.limits.method_bytes;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct json *payload = NULL;
    struct span text = span_trim(response->payload);
    if (response->payload.len > most)
        return fail(ERR_BAD_ANSWER, why,
            "the device's answer has %zu bytes, at most %zu are allowed (limits.method_bytes)",
            response->payload.len, most);
    if (text.len > 0) {
        enum err err = json_parse(rest->arena, text, 0, &payload, why);
        if (err != ERR_NONE) {
            why_prefix(why, "the device's answer is no JSON");
            return err == ERR_MEMORY ? err : ERR_BAD_ANSWER;
        }
    }
    buf_add_format(&body, "{\"status\":%" PRId32 ",\"payload\":", response->status);
    if (payload == NULL)
        buf_add_text(&body, "null");
    else
        json_write(payload, &body);
    buf_add_byte(&body, '}');
    return respond_json(rest, 200, &body);
}

void service_method_response(struct service *service, const struct session_identity *who,
    const struct method_response *response)
{
    struct bucket *bucket = bucket_of(service, who->hub_id, who->device_id);
    struct invocation *answered = NULL;
    struct why why = {""};
    pthread_mutex_lock(&bucket->lock);
    for (struct invocation **link = &bucket->first; *link != NULL; link = &(*link)->next) {
        struct invocation *call = *link;
        if (!call->sent || !is_of_session(call, who) ||
            !span_is(response->request_id, call->number))
            continue;
        answered = take_at(bucket, link);
        break;
    }
    pthread_mutex_unlock(&bucket->lock);
    if (answered == NULL)
        return;
    enum err err = respond_answer(answered->rest, response, &why);
    rest_finish(answered->rest, err, &why);
}

/* ---- handing over ---------------------------------------------------------------------------- */

/* True: the client is sent it. Under the bucket's lock. */
static bool hand_over(struct service *service, struct invocation *call)
{
    const struct method_request request = {
        .name = call->name, .request_id = span_of(call->number), .payload = call->payload};
    call->sent = true; /* the answer may be there before the bus has returned */
    call->deadline_mono_us = clock_mono_us(service->options.clock) + call->response_us;
    if (bus_method(service->options.bus, call->rest->hub_id, call->device_id, call->module_id,
            &request) == ERR_NONE)
        return true;
    call->sent = false;
    call->deadline_mono_us = call->connect_mono_us;
    return false;
}

static size_t count_device(const struct bucket *bucket, const struct invocation *call)
{
    size_t count = 0;
    for (const struct invocation *other = bucket->first; other != NULL; other = other->next)
        count += is_of(other, call->rest->hub_id, call->device_id);
    return count;
}

static void begin(struct rest *rest)
{
    struct service *service = rest->service;
    struct invocation *call = rest->input;
    const size_t most = service->options.limits.methods_per_device;
    struct bucket *bucket = bucket_of(service, rest->hub_id, call->device_id);
    snprintf(call->number, sizeof(call->number), "%llx",
        (unsigned long long)atomic_fetch_add(&service->methods->next_number, 1));
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining;
    pthread_mutex_unlock(&service->lock);
    pthread_mutex_lock(&bucket->lock);
    bool full = bucket->count >= most && count_device(bucket, call) >= most;
    call->connect_mono_us = clock_mono_us(service->options.clock) + call->connect_us;
    bool waits = !full && !draining && (hand_over(service, call) || call->connect_us > 0);
    if (waits)
        add(bucket, call);
    pthread_mutex_unlock(&bucket->lock);
    if (waits)
        return;
    if (draining) {
        finish_draining(call);
    } else if (full) {
        struct why why;
        why_set(&why, "%zu methods of the device wait already (limits.methods_per_device)", most);
        rest_finish(rest, ERR_TOO_MANY_METHODS, &why);
    } else {
        finish_offline(call);
    }
}

static enum err note_method(struct rest *rest, const struct invocation *call)
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
    struct invocation *call = rest->input;
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
    for (struct invocation *call = bucket->first; call != NULL; call = call->next)
        if (!call->sent && is_of_session(call, who))
            (void)hand_over(service, call);
    pthread_mutex_unlock(&bucket->lock);
}

/* By now there may be another client. */
void service_method_returned(
    struct service *service, const struct session_identity *who, struct span request_id)
{
    struct bucket *bucket = bucket_of(service, who->hub_id, who->device_id);
    struct invocation *over = NULL;
    pthread_mutex_lock(&bucket->lock);
    for (struct invocation **link = &bucket->first; *link != NULL; link = &(*link)->next) {
        struct invocation *call = *link;
        if (!call->sent || !is_of_session(call, who) || !span_is(request_id, call->number))
            continue;
        if (!hand_over(service, call) &&
            clock_mono_us(service->options.clock) >= call->connect_mono_us)
            over = take_at(bucket, link);
        break;
    }
    pthread_mutex_unlock(&bucket->lock);
    if (over != NULL)
        finish_offline(over);
}

/* ---- the end --------------------------------------------------------------------------------- */

typedef bool invocation_choice(const struct invocation *call, const void *argument);

/* Takes out what is chosen, and finishes it without the lock. */
static void finish_chosen(struct bucket *bucket, invocation_choice *choose, const void *argument,
    void (*finish)(struct invocation *call))
{
    struct invocation *chosen = NULL;
    struct invocation **end = &chosen;
    pthread_mutex_lock(&bucket->lock);
    for (struct invocation **link = &bucket->first; *link != NULL;) {
        if (!choose(*link, argument)) {
            link = &(*link)->next;
            continue;
        }
        struct invocation *call = take_at(bucket, link);
        call->next = NULL;
        *end = call;
        end = &call->next;
    }
    pthread_mutex_unlock(&bucket->lock);
    while (chosen != NULL) {
        struct invocation *next = chosen->next;
        finish(chosen);
        chosen = next;
    }
}

static bool any(const struct invocation *call UNUSED, const void *argument UNUSED)
{
    return true;
}

static bool is_late(const struct invocation *call, const void *now_mono_us)
{
    return call->deadline_mono_us <= *(const int64_t *)now_mono_us;
}

void methods_release(struct service *service, bool all)
{
    const int64_t now = clock_mono_us(service->options.clock);
    for (size_t i = 0; i < BUCKETS; i++)
        finish_chosen(&service->methods->buckets[i], all ? any : is_late, &now,
            all ? finish_draining : finish_time_up);
}

struct deleted {
    int64_t hub_id;
    struct span device_id;
    struct span module_id;
};

static bool is_deleted(const struct invocation *call, const void *argument)
{
    const struct deleted *gone = argument;
    return is_of(call, gone->hub_id, gone->device_id) &&
           (gone->module_id.len == 0 || span_eq(call->module_id, gone->module_id));
}

static void finish_deleted(struct invocation *call)
{
    rest_finish(
        call->rest, call->module_id.len > 0 ? ERR_MODULE_NOT_FOUND : ERR_DEVICE_NOT_FOUND, NULL);
}

void methods_forget(
    struct service *service, int64_t hub_id, struct span device_id, struct span module_id)
{
    const struct deleted gone = {hub_id, device_id, module_id};
    finish_chosen(bucket_of(service, hub_id, device_id), is_deleted, &gone, finish_deleted);
}
