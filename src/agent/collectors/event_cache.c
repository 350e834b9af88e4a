/* SPDX-License-Identifier: Apache-2.0 */
#include "event_cache.h"

#include "mem.h"

#define BUCKETS_MIN 16u
#define BUCKETS_MAX 65536u

void event_cache_init(struct event_cache *ret_cache, size_t bytes_max, uint64_t seed)
{
    *ret_cache = (struct event_cache){.bytes_max = bytes_max, .seed = seed};
}

void event_cache_done(struct event_cache *cache)
{
    struct event_entry *entry = event_cache_take(cache);
    while (entry != NULL) {
        struct event_entry *next = entry->next;
        mem_free(entry);
        entry = next;
    }
    mem_free(cache->buckets);
    *cache = (struct event_cache){0};
}

static uint64_t hash_of(uint64_t hash, struct span key)
{
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static struct event_entry **bucket_of(struct event_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static size_t bytes_of(struct span key, struct span value)
{
    return sizeof(struct event_entry) + key.len + value.len;
}

static void unlink_entry(struct event_cache *cache, struct event_entry *entry)
{
    *(entry->previous == NULL ? &cache->oldest : &entry->previous->next) = entry->next;
    *(entry->next == NULL ? &cache->newest : &entry->next->previous) = entry->previous;
}

static void link_newest(struct event_cache *cache, struct event_entry *entry)
{
    entry->next = NULL;
    entry->previous = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->next) = entry;
    cache->newest = entry;
}

static void drop_oldest(struct event_cache *cache, uint64_t *dropped_hits)
{
    struct event_entry *entry = cache->oldest;
    must(entry != NULL);
    struct event_entry **at = bucket_of(cache, entry->hash);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_entry(cache, entry);
    cache->entries--;
    cache->bytes -= bytes_of(entry->key, entry->value);
    cache->hits -= entry->hit_count;
    *dropped_hits += entry->hit_count;
    mem_free(entry);
}

enum err event_cache_set_bound(
    struct event_cache *cache, size_t entries_max, uint64_t *dropped_hits)
{
    must(entries_max > 0);
    size_t count = BUCKETS_MIN;
    while (count < entries_max && count < BUCKETS_MAX)
        count *= 2;
    if (count != cache->bucket_count) {
        struct event_entry **buckets = mem_alloc(count * sizeof(*buckets));
        if (buckets == NULL)
            return ERR_MEMORY;
        mem_free(cache->buckets);
        cache->buckets = buckets;
        cache->bucket_count = count;
        for (struct event_entry *e = cache->oldest; e != NULL; e = e->next) {
            struct event_entry **bucket = bucket_of(cache, e->hash);
            e->chain = *bucket;
            *bucket = e;
        }
    }
    cache->entries_max = entries_max;
    while (cache->entries > cache->entries_max)
        drop_oldest(cache, dropped_hits);
    return ERR_NONE;
}

static struct span put(char *at, struct span bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.ptr, bytes.len);
    return (struct span){at, bytes.len};
}

enum err event_cache_add(struct event_cache *cache, int64_t time_us, struct span key,
    struct span value, uint64_t *dropped_hits)
{
    must(cache->entries_max > 0);
    /* What is like no other is spread over the buckets by its moment. */
    uint64_t hash = key.len > 0 ? hash_of(cache->seed, key) : (uint64_t)time_us ^ cache->hits;
    struct event_entry **bucket = bucket_of(cache, hash);
    for (struct event_entry *e = *bucket; key.len > 0 && e != NULL; e = e->chain) {
        if (e->hash == hash && span_eq(e->key, key)) {
            e->hit_count++;
            cache->hits++;
            unlink_entry(cache, e);
            link_newest(cache, e);
            return ERR_NONE;
        }
    }
    size_t bytes = bytes_of(key, value);
    if (bytes > cache->bytes_max)
        return ERR_TOO_LARGE;
    struct event_entry *entry = mem_alloc(bytes);
    if (entry == NULL)
        return ERR_MEMORY;
    while (cache->entries >= cache->entries_max ||
           (cache->entries > 0 && cache->bytes + bytes > cache->bytes_max))
        drop_oldest(cache, dropped_hits);
    entry->key = put(entry->bytes, key);
    entry->value = put(entry->bytes + key.len, value);
    entry->hash = hash;
    entry->time_us = time_us;
    entry->hit_count = 1;
    entry->chain = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->entries++;
    cache->bytes += bytes;
    cache->hits++;
    return ERR_NONE;
}

struct event_entry *event_cache_take(struct event_cache *cache)
{
    struct event_entry *entries = cache->oldest;
    cache->oldest = cache->newest = NULL;
    cache->entries = 0;
    cache->bytes = 0;
    cache->hits = 0;
    if (cache->buckets != NULL)
        memset(cache->buckets, 0, cache->bucket_count * sizeof(struct event_entry *));
    return entries;
}
