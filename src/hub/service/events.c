/* SPDX-License-Identifier: Apache-2.0 */
/* Device-to-cloud messages on their way into the event log. */
#include "service_priv.h"

#include "bag.h"
#include "gate.h"
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>

struct event_work { /* what event_append() needs */
    struct event event;
    size_t size;         /* as the hub counts a message */
    struct span stamped; /* the system properties without their end: the time comes last */
};

struct properties {
    struct arena *arena;
    struct json *system;
    struct json *application;
    size_t size; /* as the hub counts a message */
};

static enum err put(
    struct properties *properties, struct json *object, struct span name, struct json *value)
{
    return json_set(properties->arena, object, name, value) ? ERR_NONE : ERR_MEMORY;
}

static enum err put_text(
    struct properties *properties, struct json *object, const char *name, struct span text)
{
    return put(properties, object, span_of(name), json_new_string(properties->arena, text));
}

static enum err put_item(struct properties *properties, const struct bag_item *item, bool is_last)
{
    const struct bag_system *system = bag_system_by_key(item->key);
    struct json *value = item->has_value ? json_new_string(properties->arena, item->value)
                                         : json_new(properties->arena, JSON_NULL);
    properties->size += item->value.len;
    if (system == NULL) {
        properties->size += item->key.len;
        if (!is_last)
            return ERR_NONE;
        return json_add(properties->arena, properties->application, item->key, value) ? ERR_NONE
                                                                                      : ERR_MEMORY;
    }
    if (!system->from_client)
        return ERR_NONE;
    return put(properties, properties->system, span_of(system->name), value);
}

static int by_key_and_place(const void *a, const void *b)
{
    const struct bag_item *const *left = a;
    const struct bag_item *const *right = b;
    int order = span_compare((*left)->key, (*right)->key);
    return order != 0 ? order : (*left > *right) - (*left < *right);
}

/* Of items with the same key the last one counts. Sorting: a topic has room for ten thousand. */
static bool *find_last(struct arena *arena, const struct bag_item *items, size_t count)
{
    bool *is_last = arena_alloc(arena, count);
    const struct bag_item **sorted = arena_alloc(arena, count * sizeof(const struct bag_item *));
    if (is_last == NULL || sorted == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &items[i];
    qsort(sorted, count, sizeof(const struct bag_item *), by_key_and_place);
    for (size_t i = 0; i < count; i++)
        is_last[sorted[i] - items] = i + 1 == count || !span_eq(sorted[i]->key, sorted[i + 1]->key);
    return is_last;
}

static enum err put_items(struct properties *properties, const struct bag_item *items, size_t count)
{
    const bool *is_last = find_last(properties->arena, items, count);
    enum err err = is_last == NULL ? ERR_MEMORY : ERR_NONE;
    for (size_t i = 0; i < count && err == ERR_NONE; i++)
        err = put_item(properties, &items[i], is_last[i]);
    return err;
}

static enum err read_bag(struct properties *properties, struct span bag, struct why *why)
{
    size_t most = 1, count = 0;
    for (size_t i = 0; i < bag.len; i++)
        most += bag.ptr[i] == '&';
    struct bag_item *items = arena_alloc(properties->arena, most * sizeof(*items));
    if (items == NULL)
        return ERR_MEMORY;
    enum err err;
    while ((err = bag_next(properties->arena, &bag, &items[count], why)) == ERR_NONE)
        count++;
    if (err != ERR_NOT_FOUND)
        return err;
    return count == 0 ? ERR_NONE : put_items(properties, items, count);
}

/* What the hub itself says of a message, over whatever the client may have said. */
static enum err stamp(struct properties *properties, const struct event_input *input)
{
    const struct session_identity *who = input->who;
    char generation[24];
    snprintf(generation, sizeof(generation), "%llu", (unsigned long long)who->generation);
    enum err err =
        put_text(properties, properties->system, "iothub-connection-device-id", who->device_id);
    if (err == ERR_NONE && who->module_id.len > 0)
        err =
            put_text(properties, properties->system, "iothub-connection-module-id", who->module_id);
    if (err == ERR_NONE)
        err = put_text(
            properties, properties->system, "iothub-connection-auth-method", who->auth_method);
    if (err == ERR_NONE)
        err = put_text(properties, properties->system, "iothub-connection-auth-generation-id",
            span_of(generation));
    if (err == ERR_NONE)
        err = put_text(
            properties, properties->system, "iothub-message-source", SPAN_LIT("Telemetry"));
    if (err == ERR_NONE && input->retain)
        err = put_text(properties, properties->application, "mqtt-retain", SPAN_LIT("true"));
    if (err == ERR_NONE && input->is_will)
        err = put_text(properties, properties->application, "iothub-MessageType", SPAN_LIT("Will"));
    return err;
}

static enum err write_properties(const struct properties *properties, struct event_work *work)
{
    AUTO(buf_done) struct buf system = BUF_EMPTY;
    AUTO(buf_done) struct buf application = BUF_EMPTY;
    json_write(properties->system, &system);
    json_write(properties->application, &application);
    if (system.failed || application.failed ||
        !arena_span(
            properties->arena, span_first(buf_span(&system), system.len - 1), &work->stamped) ||
        !arena_span(properties->arena, buf_span(&application), &work->event.properties))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err event_prepare(const struct service *service, struct arena *arena,
    const struct event_input *input, struct event_work **ret_work, struct why *why)
{
    const size_t most = service->options.limits.event_bytes;
    struct event_work *work = arena_alloc(arena, sizeof(*work));
    struct properties properties = {.arena = arena, .size = input->body.len};
    if (work == NULL)
        return ERR_MEMORY;
    properties.system = json_new(properties.arena, JSON_OBJECT);
    properties.application = json_new(properties.arena, JSON_OBJECT);
    if (properties.system == NULL || properties.application == NULL)
        return ERR_MEMORY;
    enum err err = read_bag(&properties, input->properties, why);
    if (err == ERR_NONE && properties.size > most)
        err = fail(ERR_TOO_LARGE, why,
            "the message has %zu bytes with its properties, at most %zu are allowed "
            "(limits.event_bytes)",
            properties.size, most);
    if (err == ERR_NONE)
        err = stamp(&properties, input);
    if (err == ERR_NONE)
        err = write_properties(&properties, work);
    work->event.device_id = input->who->device_id;
    work->event.module_id = input->who->module_id;
    work->event.body = input->body;
    work->size = properties.size;
    *ret_work = work;
    return err;
}

unsigned event_messages(const struct event_work *work)
{
    return gate_messages(work->size);
}

enum err event_append(const struct service *service, struct arena *arena, struct store_txn *txn,
    int64_t hub_id, const struct event_work *work, uint64_t *ret_sequence)
{
    struct event event = work->event;
    char time[CLOCK_TEXT_SIZE];
    event.enqueued_us = now_us(service);
    char *system = arena_format(arena, "%.*s,\"iothub-enqueuedtime\":\"%s\"}",
        (int)work->stamped.len, work->stamped.ptr, clock_format(event.enqueued_us, time));
    if (system == NULL)
        return ERR_MEMORY;
    event.system_properties = span_of(system);
    return store_event_append(txn, hub_id, &event, ret_sequence);
}

static enum err run_append(struct store_job *job, struct store_txn *txn)
{
    struct event_call *call = (struct event_call *)job;
    return event_append(call->call.service, &call->call.arena, txn, call->identity.hub_id,
        call->call.work, &call->sequence);
}

static void appended(struct store_job *job, enum err result)
{
    struct event_call *call = (struct event_call *)job;
    struct why why = job->why;
    if (result == ERR_NONE)
        metrics_add(METRIC_EVENTS, 0, 1);
    if (result == ERR_NONE)
        bus_events_appended(call->call.service->options.bus, call->identity.hub_id, call->sequence);
    call_finish(&call->call, result, &why);
}

void service_event(struct service *service, struct event_call *call)
{
    struct why why = {""};
    struct event_work *work = NULL;
    const struct event_input input = {.who = &call->identity,
        .properties = call->properties,
        .body = call->body,
        .retain = call->retain,
        .is_will = call->is_will};
    call->call.service = service;
    enum err err = event_prepare(service, &call->call.arena, &input, &work, &why);
    call->call.work = work;
    if (err != ERR_NONE) {
        call_finish(&call->call, err, &why);
        return;
    }
    call->call.job.run = run_append;
    call->call.job.done = appended;
    const struct gate_ask ask = {.class = THROTTLE_D2C_SENDS,
        .hub_id = call->identity.hub_id,
        .kind = 'd',
        .name = call->identity.device_id,
        .part = call->identity.module_id,
        .cost = 1,
        .messages = event_messages(work),
        .patient = call->patient};
    gate_enter(service->gate, &call->call, &ask, gate_to_writer);
}
