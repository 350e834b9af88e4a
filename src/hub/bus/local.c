/* SPDX-License-Identifier: Apache-2.0 */
#include "bus_priv.h"
#include "clock.h"
#include "mem.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Sessions lie in shards, each with its lock. Hub and device choose shard and chain, so that a
 * device and all its modules are found under one lock; the shard's number stands in the low bits
 * of the session number, so that closing finds the shard without a register of its own.
 */
#define SHARD_BITS 6u
#define SHARD_COUNT (1u << SHARD_BITS)
#define FIRST_CHAINS 16u

/* Of a device and a module together: an id has at most 128. */
#define ID_BYTES 256u

struct session {
    struct session *next_of_identity;
    struct session *next_of_number;
    uint64_t number;
    uint64_t hash;
    int64_t hub_id;
    struct session_sink *sink;
    int64_t delivered;     /* 0: nothing yet */
    uint64_t mark;         /* 0: none */
    unsigned takes;        /* of enum session_takes */
    struct span device_id; /* into bytes */
    struct span module_id;
    char bytes[];
};

struct shard {
    pthread_mutex_t lock;
    struct session **by_identity;
    struct session **by_number;
    size_t chains; /* of each of the two; a power of two */
    size_t sessions;
};

struct local_bus {
    struct bus base;
    atomic_uint_fast64_t next_number;
    struct shard shards[SHARD_COUNT];
};

/* ---- finding --------------------------------------------------------------------------------- */

/* FNV-1a with a last mixing, since shard and chain take bits from both ends. */
static uint64_t hash_of(int64_t hub_id, struct span device_id)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ (uint64_t)hub_id;
    for (size_t i = 0; i < device_id.len; i++)
        hash = (hash ^ (unsigned char)device_id.ptr[i]) * UINT64_C(1099511628211);
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static struct shard *shard_of(struct local_bus *bus, uint64_t hash)
{
    return &bus->shards[hash & (SHARD_COUNT - 1)];
}

static struct session **identity_chain(struct shard *shard, uint64_t hash)
{
    return &shard->by_identity[(hash >> SHARD_BITS) & (shard->chains - 1)];
}

static struct session **number_chain(struct shard *shard, uint64_t number)
{
    return &shard->by_number[(number >> SHARD_BITS) & (shard->chains - 1)];
}

static bool is_of_device(const struct session *session, int64_t hub_id, struct span device_id)
{
    return session->hub_id == hub_id && span_eq(session->device_id, device_id);
}

static struct session *find(struct shard *shard, uint64_t hash, int64_t hub_id,
    struct span device_id, struct span module_id)
{
    struct session *session = *identity_chain(shard, hash);
    while (session != NULL &&
           !(is_of_device(session, hub_id, device_id) && span_eq(session->module_id, module_id)))
        session = session->next_of_identity;
    return session;
}

static struct session *find_number(struct shard *shard, uint64_t number)
{
    struct session *session = *number_chain(shard, number);
    while (session != NULL && session->number != number)
        session = session->next_of_number;
    return session;
}

/* ---- keeping --------------------------------------------------------------------------------- */

static void link_session(struct shard *shard, struct session *session)
{
    struct session **chain = identity_chain(shard, session->hash);
    session->next_of_identity = *chain;
    *chain = session;
    chain = number_chain(shard, session->number);
    session->next_of_number = *chain;
    *chain = session;
}

static void unlink_session(struct shard *shard, struct session *session)
{
    struct session **at = identity_chain(shard, session->hash);
    while (*at != session)
        at = &(*at)->next_of_identity;
    *at = session->next_of_identity;
    at = number_chain(shard, session->number);
    while (*at != session)
        at = &(*at)->next_of_number;
    *at = session->next_of_number;
    shard->sessions--;
}

/* Doubles the chains. Without memory the chains just stay longer. */
static void grow(struct shard *shard)
{
    size_t chains = shard->chains * 2;
    struct session **by_identity = mem_alloc(chains * sizeof(struct session *));
    struct session **by_number = mem_alloc(chains * sizeof(struct session *));
    if (by_identity == NULL || by_number == NULL) {
        mem_free(by_identity);
        mem_free(by_number);
        return;
    }
    struct session **old = shard->by_identity;
    size_t old_chains = shard->chains;
    mem_free(shard->by_number);
    shard->by_identity = by_identity;
    shard->by_number = by_number;
    shard->chains = chains;
    for (size_t i = 0; i < old_chains; i++) {
        for (struct session *session = old[i]; session != NULL;) {
            struct session *next = session->next_of_identity;
            link_session(shard, session);
            session = next;
        }
    }
    mem_free(old);
}

static void end_session(struct shard *shard, struct session *session, enum session_end reason)
{
    unlink_session(shard, session);
    session->sink->end(session->sink, reason);
    mem_free(session);
}

static struct session *new_session(struct local_bus *bus, uint64_t hash, int64_t hub_id,
    struct span device_id, struct span module_id, struct session_sink *sink)
{
    struct session *session = mem_alloc(sizeof(*session) + device_id.len + module_id.len);
    if (session == NULL)
        return NULL;
    session->hash = hash;
    session->hub_id = hub_id;
    session->sink = sink;
    memcpy(session->bytes, device_id.ptr, device_id.len);
    if (module_id.len > 0)
        memcpy(session->bytes + device_id.len, module_id.ptr, module_id.len);
    session->device_id = (struct span){session->bytes, device_id.len};
    session->module_id = (struct span){session->bytes + device_id.len, module_id.len};
    session->number = atomic_fetch_add(&bus->next_number, 1) << SHARD_BITS |
                      (uint64_t)(shard_of(bus, hash) - bus->shards);
    return session;
}

/* ---- the driver ------------------------------------------------------------------------------ */

static enum err local_session_open(struct bus *base, int64_t hub_id, struct span device_id,
    struct span module_id, struct session_sink *sink, uint64_t *ret_session)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    pthread_mutex_lock(&shard->lock);
    /* Numbered under the lock: of two sessions of one identity the later has the greater number. */
    struct session *session = new_session(bus, hash, hub_id, device_id, module_id, sink);
    if (session != NULL) {
        struct session *older = find(shard, hash, hub_id, device_id, module_id);
        if (older != NULL)
            end_session(shard, older, SESSION_TAKEN_OVER);
        if (shard->sessions >= shard->chains)
            grow(shard);
        link_session(shard, session);
        shard->sessions++;
        *ret_session = session->number;
    }
    pthread_mutex_unlock(&shard->lock);
    return session == NULL ? ERR_MEMORY : ERR_NONE;
}

static void local_session_close(struct bus *base, uint64_t number)
{
    struct local_bus *bus = (struct local_bus *)base;
    struct shard *shard = &bus->shards[number & (SHARD_COUNT - 1)];
    pthread_mutex_lock(&shard->lock);
    struct session *session = find_number(shard, number);
    if (session != NULL) {
        unlink_session(shard, session);
        mem_free(session);
    }
    pthread_mutex_unlock(&shard->lock);
}

static void local_desired(struct bus *base, int64_t hub_id, struct span device_id,
    struct span module_id, struct span payload, int64_t version)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    pthread_mutex_lock(&shard->lock);
    struct session *session = find(shard, hash, hub_id, device_id, module_id);
    if (session != NULL)
        session->sink->desired(session->sink, payload, version);
    pthread_mutex_unlock(&shard->lock);
}

static void local_session_takes(struct bus *base, uint64_t number, unsigned takes)
{
    struct local_bus *bus = (struct local_bus *)base;
    struct shard *shard = &bus->shards[number & (SHARD_COUNT - 1)];
    pthread_mutex_lock(&shard->lock);
    struct session *session = find_number(shard, number);
    if (session != NULL)
        session->takes = takes;
    pthread_mutex_unlock(&shard->lock);
}

static enum err local_method(struct bus *base, int64_t hub_id, struct span device_id,
    struct span module_id, const struct method_request *request)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    enum err err = ERR_NOT_FOUND;
    pthread_mutex_lock(&shard->lock);
    struct session *session = find(shard, hash, hub_id, device_id, module_id);
    if (session != NULL && (session->takes & SESSION_TAKES_METHODS) != 0)
        err = session->sink->method(session->sink, request) ? ERR_NONE : ERR_MEMORY;
    pthread_mutex_unlock(&shard->lock);
    return err;
}

static void local_message(
    struct bus *base, int64_t hub_id, struct span device_id, struct span module_id)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    pthread_mutex_lock(&shard->lock);
    struct session *session = find(shard, hash, hub_id, device_id, module_id);
    if (session != NULL && (session->takes & SESSION_TAKES_MESSAGES) != 0)
        session->sink->message(session->sink);
    pthread_mutex_unlock(&shard->lock);
}

static void local_twin_changed(
    struct bus *base, int64_t hub_id, struct span device_id, struct span module_id)
{
    if (base->twin_listener != NULL)
        base->twin_listener(base->twin_listener_self, hub_id, device_id, module_id);
}

/* The listener is called without the lock, and the session may be gone by then. */
static void local_session_delivered(struct bus *base, uint64_t number, int64_t version)
{
    struct local_bus *bus = (struct local_bus *)base;
    struct shard *shard = &bus->shards[number & (SHARD_COUNT - 1)];
    char ids[ID_BYTES];
    struct span device_id = {ids, 0};
    struct span module_id = SPAN_NONE;
    int64_t hub_id = 0;
    pthread_mutex_lock(&shard->lock);
    struct session *session = find_number(shard, number);
    if (session != NULL) {
        session->delivered = version;
        hub_id = session->hub_id;
        device_id.len = session->device_id.len;
        module_id = (struct span){ids + device_id.len, session->module_id.len};
        must(device_id.len + module_id.len <= sizeof(ids));
        memcpy(ids, session->bytes, device_id.len + module_id.len);
    }
    pthread_mutex_unlock(&shard->lock);
    if (device_id.len > 0)
        local_twin_changed(base, hub_id, device_id, module_id);
}

static bool local_delivered(struct bus *base, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t *ret_version)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    pthread_mutex_lock(&shard->lock);
    const struct session *session = find(shard, hash, hub_id, device_id, module_id);
    int64_t version = session == NULL ? 0 : session->delivered;
    pthread_mutex_unlock(&shard->lock);
    if (version > 0)
        *ret_version = version;
    return version > 0;
}

static void local_end(struct bus *base, int64_t hub_id, struct span device_id,
    struct span module_id, enum session_end reason)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    pthread_mutex_lock(&shard->lock);
    for (struct session *session = *identity_chain(shard, hash); session != NULL;) {
        struct session *next = session->next_of_identity;
        if (is_of_device(session, hub_id, device_id) &&
            (module_id.len == 0 || span_eq(session->module_id, module_id)))
            end_session(shard, session, reason);
        session = next;
    }
    pthread_mutex_unlock(&shard->lock);
}

static void local_end_proved(struct bus *base, int64_t hub_id, struct span device_id,
    struct span module_id, uint64_t mark, enum session_end reason)
{
    struct local_bus *bus = (struct local_bus *)base;
    uint64_t hash = hash_of(hub_id, device_id);
    struct shard *shard = shard_of(bus, hash);
    pthread_mutex_lock(&shard->lock);
    struct session *session = find(shard, hash, hub_id, device_id, module_id);
    if (session != NULL && session->mark == mark)
        end_session(shard, session, reason);
    pthread_mutex_unlock(&shard->lock);
}

/* Ends the sessions of a hub in a shard; `mark` 0: all of them. */
static void end_hub_in(struct shard *shard, int64_t hub_id, uint64_t mark, enum session_end reason)
{
    for (size_t i = 0; i < shard->chains; i++) {
        for (struct session *session = shard->by_identity[i]; session != NULL;) {
            struct session *next = session->next_of_identity;
            if (session->hub_id == hub_id && (mark == 0 || session->mark == mark))
                end_session(shard, session, reason);
            session = next;
        }
    }
}

static void local_end_marked(
    struct bus *base, int64_t hub_id, uint64_t mark, enum session_end reason)
{
    struct local_bus *bus = (struct local_bus *)base;
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        pthread_mutex_lock(&bus->shards[i].lock);
        end_hub_in(&bus->shards[i], hub_id, mark, reason);
        pthread_mutex_unlock(&bus->shards[i].lock);
    }
}

static void local_end_hub(struct bus *base, int64_t hub_id)
{
    local_end_marked(base, hub_id, 0, SESSION_DELETED);
}

static void local_session_mark(struct bus *base, uint64_t number, uint64_t mark)
{
    struct local_bus *bus = (struct local_bus *)base;
    struct shard *shard = &bus->shards[number & (SHARD_COUNT - 1)];
    pthread_mutex_lock(&shard->lock);
    struct session *session = find_number(shard, number);
    if (session != NULL)
        session->mark = mark;
    pthread_mutex_unlock(&shard->lock);
}

static void local_events_appended(struct bus *base, int64_t hub_id, uint64_t sequence)
{
    if (base->listener != NULL)
        base->listener(base->listener_self, hub_id, sequence);
}

static void local_free(struct bus *base)
{
    struct local_bus *bus = (struct local_bus *)base;
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &bus->shards[i];
        must(shard->sessions == 0);
        mem_free(shard->by_identity);
        mem_free(shard->by_number);
        pthread_mutex_destroy(&shard->lock);
    }
    mem_free(bus);
}

static const struct bus_driver driver = {
    .name = "local",
    .free = local_free,
    .session_open = local_session_open,
    .session_close = local_session_close,
    .desired = local_desired,
    .session_takes = local_session_takes,
    .method = local_method,
    .message = local_message,
    .session_delivered = local_session_delivered,
    .delivered = local_delivered,
    .end = local_end,
    .end_hub = local_end_hub,
    .session_mark = local_session_mark,
    .end_marked = local_end_marked,
    .end_proved = local_end_proved,
    .events_appended = local_events_appended,
    .twin_changed = local_twin_changed,
};

struct bus *bus_local_new(void)
{
    struct local_bus *bus = mem_alloc(sizeof(*bus));
    if (bus == NULL)
        return NULL;
    bus->base.driver = &driver;
    /* Counts from the time of the start at 16 numbers a microsecond, faster than sessions come: a
     * later start is ahead of all that were given. Fits 63 bits until the year 2255. */
    atomic_init(&bus->next_number, (uint64_t)clock_wall_us(&clock_system) << 4);
    bool complete = true;
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &bus->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->chains = FIRST_CHAINS;
        shard->by_identity = mem_alloc(FIRST_CHAINS * sizeof(struct session *));
        shard->by_number = mem_alloc(FIRST_CHAINS * sizeof(struct session *));
        complete = complete && shard->by_identity != NULL && shard->by_number != NULL;
    }
    if (complete)
        return &bus->base;
    local_free(&bus->base);
    return NULL;
}
