/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process events that wait for the next collection. Identical ones, with the same command line
 * and user, are one entry with a hit count for each type: forks, execs, exits; of each the first
 * one's moment, pid and parent are kept. At the bound (entries, and bytes of text) the oldest entry
 * gives way to the newest, and its hits are told to the caller, who counts them as lost. The oldest
 * is the one whose last occurrence lies farthest back: what occurs again and again is kept, and
 * with it the fewest hits are lost.
 *
 * Processes whose command line could not be read are told apart by the kernel's name for them.
 * Not for two threads at once.
 */
#ifndef GEMEL_PROCESS_CACHE_H
#define GEMEL_PROCESS_CACHE_H

#include "err.h"
#include "process_sighting.h"
#include "procfs.h"

/* Bounds what hostile command lines can hold; the default 256 entries fit at their longest. */
#define PROCESS_CACHE_BYTES_MAX (8u * 1024 * 1024)

/* All of one type; what is kept of the first. */
struct process_occurrences {
    uint64_t hit_count;
    int64_t time_us; /* wall time */
    uint32_t process_id;
    uint32_t parent_process_id;
    bool exit_known;
    uint32_t exit_status;
};

struct process_event {
    struct process_event *next; /* the next newer one */
    struct process_event *previous;
    struct process_event *chain; /* of the bucket */
    uint64_t hash;
    struct process_occurrences of[PROCESS_EVENT_TYPES];
    bool identity_known;
    uint32_t user_id;
    enum command_line_state state;
    struct span command_line;
    struct span executable;
    char bytes[]; /* of the two spans */
};

struct process_cache {
    size_t entries_max;
    size_t entries;
    size_t bytes;
    uint64_t hits; /* of all entries */
    uint64_t seed;
    struct process_event *oldest;
    struct process_event *newest;
    struct process_event **buckets;
    size_t bucket_count; /* a power of two */
};

/* Begins; `seed` is random, so that nobody can choose command lines that collide. */
void process_cache_init(struct process_cache *ret_cache, uint64_t seed);
void process_cache_done(struct process_cache *cache);

/* Sets the bound, at least 1, before the first add. Adds the hits that fall out to
 * `*dropped_hits`. ERR_MEMORY: the old bound stays. */
enum err process_cache_set_bound(
    struct process_cache *cache, size_t entries_max, uint64_t *dropped_hits) MUST_USE;

/* Adds one occurrence; hits that fall out are added to `*dropped_hits`. ERR_MEMORY: the
 * occurrence is not in. */
enum err process_cache_add(struct process_cache *cache, int64_t time_us,
    const struct process_sighting *sighting, const struct process_facts *facts,
    uint64_t *dropped_hits) MUST_USE;

/* Moves all events out, oldest first; the caller frees each with mem_free(). NULL: none. */
struct process_event *process_cache_take(struct process_cache *cache);

#endif
