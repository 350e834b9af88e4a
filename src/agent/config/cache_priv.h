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
};

void cache_init(struct cache *cache, const char *dir);
void cache_done(struct cache *cache);

/* Reads the document; NULL if there is none. A damaged file is set aside and logged. */
struct json *cache_load(struct cache *cache, struct arena *arena);

/* Keeps a document; a failure is logged, for the agent goes on without. */
void cache_save(struct cache *cache, const struct json *desired);

#endif
