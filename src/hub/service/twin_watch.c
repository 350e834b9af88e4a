/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET …/twin-watch/{device}[/{module}] answers as soon as the twin is not what the caller knows,
 * and waits as long as it is:
 *
 *   read --(differs)--> 200
 *    ^ \--(the same)--> parked --(time is up, drain)--> 204
 *    |___________________|  the bus says that the twin, its connection, or what was
 *                           delivered to it changed
 *
 * Watches lie in buckets by device. A bucket counts the changes it heard of: the count is noted
 * before each read and compared before parking, so nothing gets lost in between.
 */
#include "service_priv.h"

#define WAIT_MAX_SECONDS 25
#define BUCKETS 256u /* a power of two */

struct watch {
    struct watch *next;
    struct rest *rest;
    struct span device_id;
    struct span module_id;
    uint64_t since;
    bool with_connection;
    bool connected;
    bool with_delivered;
    uint64_t delivered; /* 0: nothing */
    bool waits;
    int64_t deadline_mono_us;
    uint64_t seen; /* changes before the last read */
};

struct bucket {
    pthread_mutex_t lock;
    uint64_t changes;
    struct watch *watches;
};

struct watch_table {
    struct bucket buckets[BUCKETS];
};

struct watch_table *watch_table_new(void)
{
    struct watch_table *table = mem_alloc(sizeof(*table));
    for (size_t i = 0; table != NULL && i < BUCKETS; i++)
        must(pthread_mutex_init(&table->buckets[i].lock, NULL) == 0);
    return table;
}

void watch_table_free(struct watch_table *table)
{
    for (size_t i = 0; table != NULL && i < BUCKETS; i++) {
        must(table->buckets[i].watches == NULL);
        pthread_mutex_destroy(&table->buckets[i].lock);
    }
    mem_free(table);
}

/* Devices that share a bucket cost each other a look, no more: any hash will do. */
static struct bucket *bucket_of(
    const struct service *service, int64_t hub_id, struct span device_id)
{
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)hub_id;
    for (size_t i = 0; i < device_id.len; i++)
        hash = (hash ^ (unsigned char)device_id.ptr[i]) * UINT32_C(16777619);
    return &service->watches->buckets[(hash ^ hash >> 15) & (BUCKETS - 1)];
}

static struct bucket *bucket_of_watch(const struct watch *watch)
{
    return bucket_of(watch->rest->service, watch->rest->hub_id, watch->device_id);
}

/* ---- what is asked -------------------------------------------------------------------------- */

static enum err read_connection(struct rest *rest, struct watch *watch)
{
    struct span text;
    enum err err = rest_parameter(rest, "connection", &text);
    if (err != ERR_NONE || text.len == 0)
        return err;
    watch->with_connection = true;
    watch->connected = span_is(text, "Connected");
    if (watch->connected || span_is(text, "Disconnected"))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why,
        "connection is \"%.*s\", it must be \"Connected\" or \"Disconnected\"", SPAN_ARG(text));
}

static enum err read_delivered(struct rest *rest, struct watch *watch)
{
    struct span text;
    enum err err = rest_parameter(rest, "delivered", &text);
    if (err != ERR_NONE || text.len == 0)
        return err;
    watch->with_delivered = true;
    if (span_is(text, "null"))
        return ERR_NONE;
    return rest_number(rest, "delivered", INT64_MAX, 0, &watch->delivered);
}

static uint64_t changes_now(struct bucket *bucket)
{
    pthread_mutex_lock(&bucket->lock);
    uint64_t changes = bucket->changes;
    pthread_mutex_unlock(&bucket->lock);
    return changes;
}

enum err watch_prepare(struct rest *rest)
{
    uint64_t wait = 0;
    struct watch *watch = arena_alloc(rest->arena, sizeof(*watch));
    if (watch == NULL)
        return ERR_MEMORY;
    watch->rest = rest;
    watch->device_id = rest->arguments[0];
    watch->module_id = rest->arguments[1];
    rest->input = watch;
    enum err err = rest_number(rest, "since", INT64_MAX, 0, &watch->since);
    if (err == ERR_NONE)
        err = read_connection(rest, watch);
    if (err == ERR_NONE)
        err = read_delivered(rest, watch);
    if (err == ERR_NONE)
        err = rest_number(rest, "wait", WAIT_MAX_SECONDS, 0, &wait);
    watch->waits = wait > 0;
    watch->deadline_mono_us = clock_mono_us(rest->service->options.clock) + (int64_t)wait * 1000000;
    watch->seen = changes_now(bucket_of_watch(watch));
    return err;
}

/* ---- what is answered ----------------------------------------------------------------------- */

struct state {
    struct identity identity;
    struct twin_doc twin;
    int64_t delivered; /* 0: nothing */
};

static bool differs(const struct watch *watch, const struct state *state)
{
    return (uint64_t)state->twin.version != watch->since ||
           (watch->with_connection && state->identity.connected != watch->connected) ||
           (watch->with_delivered && (uint64_t)state->delivered != watch->delivered);
}

static enum err respond_state(struct rest *rest, const struct state *state)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"twin\":");
    write_twin(&state->identity, &state->twin, &body);
    write_text_member(&body, "connectionState",
        span_of(state->identity.connected ? "Connected" : "Disconnected"));
    write_time_member(&body, "connectionStateUpdatedTime", state->identity.connection_updated_us);
    write_time_member(&body, "lastActivityTime", state->identity.last_activity_us);
    if (state->delivered > 0)
        buf_add_format(&body, ",\"delivered\":%lld}", (long long)state->delivered);
    else
        buf_add_text(&body, ",\"delivered\":null}");
    return respond_json(rest, 200, &body);
}

static bool is_time_up(const struct service *service, const struct watch *watch)
{
    return clock_mono_us(service->options.clock) >= watch->deadline_mono_us;
}

static void respond_none(struct watch *watch)
{
    rest_finish(watch->rest, respond_empty(watch->rest, 204), NULL);
}

/* Parks a call that found nothing new, or runs it again if there was a change meanwhile. */
static void park(struct rest *rest)
{
    struct service *service = rest->service;
    struct watch *watch = rest->input;
    struct bucket *bucket = bucket_of_watch(watch);
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining;
    pthread_mutex_unlock(&service->lock);
    pthread_mutex_lock(&bucket->lock);
    bool again = bucket->changes != watch->seen;
    watch->seen = bucket->changes;
    if (!again && !draining) {
        watch->next = bucket->watches;
        bucket->watches = watch;
    }
    pthread_mutex_unlock(&bucket->lock);
    if (draining)
        respond_none(watch);
    else if (again)
        rest_submit(rest);
}

/* What is read lives in an arena of its own: a watch may look many times. */
enum err watch_read(struct rest *rest)
{
    struct watch *watch = rest->input;
    struct state state;
    AUTO(arena_done) struct arena arena;
    arena_init(&arena, 0);
    enum err err = find_identity(rest->txn, &arena, rest->hub_id, watch->device_id,
        watch->module_id, &state.identity, rest->why);
    if (err == ERR_NONE)
        err = store_twin_get(
            rest->txn, &arena, rest->hub_id, watch->device_id, watch->module_id, &state.twin);
    if (err != ERR_NONE)
        return err;
    if (!bus_delivered(rest->service->options.bus, rest->hub_id, watch->device_id, watch->module_id,
            &state.delivered))
        state.delivered = 0;
    if (differs(watch, &state))
        return respond_state(rest, &state);
    if (!watch->waits || is_time_up(rest->service, watch))
        return respond_empty(rest, 204);
    rest->park = park;
    return ERR_NONE;
}

/* ---- waking --------------------------------------------------------------------------------- */

static bool concerns(
    const struct watch *watch, int64_t hub_id, struct span device_id, struct span module_id)
{
    return watch->rest->hub_id == hub_id && span_eq(watch->device_id, device_id) &&
           (module_id.len == 0 || span_eq(watch->module_id, module_id));
}

void watches_wake(void *self, int64_t hub_id, struct span device_id, struct span module_id)
{
    struct bucket *bucket = bucket_of(self, hub_id, device_id);
    struct watch *woken = NULL;
    pthread_mutex_lock(&bucket->lock);
    bucket->changes++;
    for (struct watch **link = &bucket->watches; *link != NULL;) {
        struct watch *watch = *link;
        if (!concerns(watch, hub_id, device_id, module_id)) {
            watch->seen = bucket->changes; /* it is not about this one */
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        watch->seen = bucket->changes;
        watch->next = woken;
        woken = watch;
    }
    pthread_mutex_unlock(&bucket->lock);
    while (woken != NULL) {
        struct watch *next = woken->next;
        rest_submit(woken->rest);
        woken = next;
    }
}

static void release(struct service *service, struct bucket *bucket, bool all)
{
    struct watch *released = NULL;
    pthread_mutex_lock(&bucket->lock);
    for (struct watch **link = &bucket->watches; *link != NULL;) {
        struct watch *watch = *link;
        if (!all && !is_time_up(service, watch)) {
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        watch->next = released;
        released = watch;
    }
    pthread_mutex_unlock(&bucket->lock);
    while (released != NULL) {
        struct watch *next = released->next;
        respond_none(released);
        released = next;
    }
}

void watches_release(struct service *service, bool all)
{
    for (size_t i = 0; i < BUCKETS; i++)
        release(service, &service->watches->buckets[i], all);
}
