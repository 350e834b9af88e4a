/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that wait for the next collection, whatever they are: an entry has a key, which says what
 * makes two occurrences identical, and a value, which the first occurrence leaves. Identical ones
 * are one entry with a hit count and the time of the first. At the bound (entries, and bytes) the
 * entry whose last occurrence lies farthest back gives way to the newest, and its hits are told to
 * the caller, who counts them as lost.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_EVENT_CACHE_H
#define GEMEL_EVENT_CACHE_H

#include "err.h"
#include "span.h"

struct event_entry {
    struct event_entry *next; /* the next newer one */
    struct event_entry *previous;
    struct event_entry *chain; /* of the bucket */
    uint64_t hash;
    int64_t time_us; /* wall time, first seen */
    uint64_t hit_count;
    struct span key;
    struct span value;
    char bytes[]; /* of the two spans */
};

struct event_cache {
    size_t entries_max;
    size_t bytes_max;
    size_t entries;
    size_t bytes; /* of the entries, their own size included */
    uint64_t hits;
    uint64_t seed;
    struct event_entry *oldest;
    struct event_entry *newest;
    struct event_entry **buckets;
    size_t bucket_count; /* a power of two */
};

/* Begins; `seed` is random, so that nobody can choose keys that collide. */
void event_cache_init(struct event_cache *ret_cache, size_t bytes_max, uint64_t seed);
void event_cache_done(struct event_cache *cache);

/* Sets the bound, at least 1, before the first add. Adds the hits that fall out to
 * `*dropped_hits`. ERR_MEMORY: the old bound stays. */
enum err event_cache_set_bound(
    struct event_cache *cache, size_t entries_max, uint64_t *dropped_hits) MUST_USE;

/* Adds one occurrence; with an empty key it is like no other. Hits that fall out are added to
 * `*dropped_hits`. ERR_MEMORY, ERR_TOO_LARGE (more than all the bytes there may be): it is not in.
 */
enum err event_cache_add(struct event_cache *cache, int64_t time_us, struct span key,
    struct span value, uint64_t *dropped_hits) MUST_USE;

/* Moves all entries out, oldest first; the caller frees each with mem_free(). NULL: none. */
struct event_entry *event_cache_take(struct event_cache *cache);

#endif
