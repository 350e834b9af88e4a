/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.json: the last desired document that was put in force, for a start without network.
 *
 *   {"format":1,"latest_state":"success","desired":{…,"$version":7}}
 */
#ifndef GEMEL_CACHE_PRIV_H
#define GEMEL_CACHE_PRIV_H

#include "json.h"

struct cache {
    const char *dir;
    struct buf written; /* what the file holds, so that the same is not written again */
    bool staged;        /* the file is written, and not yet durable and in place */
};

void cache_init(struct cache *cache, const char *dir);
void cache_done(struct cache *cache);

/* Reads the document, preferring one that was staged when the agent ended; NULL if there is none. A
 * damaged file is set aside and logged. */
struct json *cache_load(struct cache *cache, struct arena *arena);

/* Writes a document where the next start finds it; a failure is logged, for the agent goes on
 * without. */
void cache_stage(struct cache *cache, const struct json *desired);

/* Makes durable what was staged: this waits for the disk. */
void cache_commit(struct cache *cache);

#endif
