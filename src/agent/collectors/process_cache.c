/* SPDX-License-Identifier: Apache-2.0 */
#include "process_cache.h"

#include "mem.h"

#define BUCKETS_MIN 64u
#define BUCKETS_MAX 65536u

void process_cache_init(struct process_cache *ret_cache, uint64_t seed)
{
    *ret_cache = (struct process_cache){.seed = seed};
}

void process_cache_done(struct process_cache *cache)
{
    struct process_event *event = process_cache_take(cache);
    while (event != NULL) {
        struct process_event *next = event->next;
        mem_free(event);
        event = next;
    }
    mem_free(cache->buckets);
    *cache = (struct process_cache){0};
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static bool names_by_executable(enum command_line_state state)
{
    return state == COMMAND_LINE_GONE || state == COMMAND_LINE_UNREADABLE;
}

/* This and is_same() say what makes two occurrences identical. */
static uint64_t hash_of(const struct process_cache *cache, const struct process_facts *facts)
{
    uint64_t hash = cache->seed;
    uint32_t head[2] = {
        facts->identity_known ? facts->user_id : UINT32_MAX, (uint32_t)facts->state};
    hash = mix(hash, head, sizeof(head));
    if (names_by_executable(facts->state))
        return mix(hash, facts->executable, facts->executable_len);
    return mix(hash, facts->command_line, facts->command_line_len);
}

static bool is_same(const struct process_event *event, const struct process_facts *facts)
{
    if (event->state != facts->state || event->identity_known != facts->identity_known ||
        event->user_id != facts->user_id)
        return false;
    if (names_by_executable(facts->state))
        return span_eq(event->executable, (struct span){facts->executable, facts->executable_len});
    return span_eq(
        event->command_line, (struct span){facts->command_line, facts->command_line_len});
}

static struct process_event **bucket_of(struct process_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static size_t text_bytes(const struct process_event *event)
{
    return event->command_line.len + event->executable.len;
}

static void unlink_event(struct process_cache *cache, struct process_event *event)
{
    *(event->previous == NULL ? &cache->oldest : &event->previous->next) = event->next;
    *(event->next == NULL ? &cache->newest : &event->next->previous) = event->previous;
}

static void link_newest(struct process_cache *cache, struct process_event *event)
{
    event->next = NULL;
    event->previous = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->next) = event;
    cache->newest = event;
}

static uint64_t hits_of(const struct process_event *event)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < COUNT_OF(event->of); i++)
        hits += event->of[i].hit_count;
    return hits;
}

static void drop_oldest(struct process_cache *cache, uint64_t *dropped_hits)
{
    struct process_event *event = cache->oldest;
    must(event != NULL);
    struct process_event **at = bucket_of(cache, event->hash);
    while (*at != event)
        at = &(*at)->chain;
    *at = event->chain;
    unlink_event(cache, event);
    cache->entries--;
    cache->bytes -= text_bytes(event);
    cache->hits -= hits_of(event);
    *dropped_hits += hits_of(event);
    mem_free(event);
}

enum err process_cache_set_bound(
    struct process_cache *cache, size_t entries_max, uint64_t *dropped_hits)
{
    must(entries_max > 0);
    size_t count = BUCKETS_MIN;
    while (count < entries_max && count < BUCKETS_MAX)
        count *= 2;
    if (count != cache->bucket_count) {
        struct process_event **buckets = mem_alloc(count * sizeof(*buckets));
        if (buckets == NULL)
            return ERR_MEMORY;
        mem_free(cache->buckets);
        cache->buckets = buckets;
        cache->bucket_count = count;
        for (struct process_event *e = cache->oldest; e != NULL; e = e->next) {
            struct process_event **bucket = bucket_of(cache, e->hash);
            e->chain = *bucket;
            *bucket = e;
        }
    }
    cache->entries_max = entries_max;
    while (cache->entries > cache->entries_max)
        drop_oldest(cache, dropped_hits);
    return ERR_NONE;
}

static struct span put(char **at, const char *bytes, size_t len)
{
    struct span copy = {*at, len};
    if (len > 0)
        memcpy(*at, bytes, len);
    *at += len;
    return copy;
}

static void count(struct process_cache *cache, struct process_event *event, int64_t time_us,
    const struct process_sighting *sighting, const struct process_facts *facts)
{
    struct process_occurrences *of = &event->of[sighting->type];
    if (of->hit_count == 0)
        *of = (struct process_occurrences){.time_us = time_us,
            .process_id = facts->process_id,
            .parent_process_id = facts->parent_process_id,
            .exit_known = sighting->exit_known,
            .exit_status = sighting->exit_status};
    of->hit_count++;
    cache->hits++;
}

enum err process_cache_add(struct process_cache *cache, int64_t time_us,
    const struct process_sighting *sighting, const struct process_facts *facts,
    uint64_t *dropped_hits)
{
    must(cache->entries_max > 0);
    uint64_t hash = hash_of(cache, facts);
    struct process_event **bucket = bucket_of(cache, hash);
    for (struct process_event *e = *bucket; e != NULL; e = e->chain) {
        if (e->hash == hash && is_same(e, facts)) {
            count(cache, e, time_us, sighting, facts);
            unlink_event(cache, e);
            link_newest(cache, e);
            return ERR_NONE;
        }
    }
    size_t bytes = facts->command_line_len + facts->executable_len;
    struct process_event *event = mem_alloc(sizeof(*event) + bytes);
    if (event == NULL)
        return ERR_MEMORY;
    while (cache->entries >= cache->entries_max ||
           (cache->entries > 0 && cache->bytes + bytes > PROCESS_CACHE_BYTES_MAX))
        drop_oldest(cache, dropped_hits);

    char *at = event->bytes;
    event->command_line = put(&at, facts->command_line, facts->command_line_len);
    event->executable = put(&at, facts->executable, facts->executable_len);
    event->hash = hash;
    event->identity_known = facts->identity_known;
    event->user_id = facts->user_id;
    event->state = facts->state;
    event->chain = *bucket;
    *bucket = event;
    link_newest(cache, event);
    cache->entries++;
    cache->bytes += bytes;
    count(cache, event, time_us, sighting, facts);
    return ERR_NONE;
}

struct process_event *process_cache_take(struct process_cache *cache)
{
    struct process_event *events = cache->oldest;
    cache->oldest = cache->newest = NULL;
    cache->entries = 0;
    cache->bytes = 0;
    cache->hits = 0;
    if (cache->buckets != NULL)
        memset(cache->buckets, 0, cache->bucket_count * sizeof(*cache->buckets));
    return events;
}
