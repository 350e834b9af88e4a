/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.json: the desired document that is in force, for a start without network, and while it is
 * on probation the last good one too; and which version was taken back, so that it is not put in
 * force again.
 *
 *   {"format":1,"latest_state":"success","desired":{…,"$version":7},
 *    "proven":{…,"$version":6},"starts":1,
 *    "refused":{"version":8,"fields":{"Process_Mode":"…"}}}
 *
 * "proven" stands there during a probation only, "refused" after one that failed. An agent that
 * knows neither takes "desired".
 */
#ifndef GEMEL_CACHE_PRIV_H
#define GEMEL_CACHE_PRIV_H

#include "json.h"

#define CACHE_NO_DOCUMENT "{}" /* none: conf.json over the defaults */

struct cache {
    const char *dir;

    /* What the file is to say: JSON objects as texts. */
    struct buf desired; /* in force; empty: nothing was ever put in force */
    bool on_probation;
    struct buf proven;       /* during a probation: the document before */
    int64_t starts;          /* during a probation: starts of the agent without a proper stop */
    int64_t refused_version; /* 0: none */
    struct buf refused;      /* name of a field -> sentence */

    struct buf written; /* what the file holds, so that the same is not written again */
    bool staged;        /* the file is written, and not yet durable and in place */
};

void cache_init(struct cache *cache, const char *dir);
void cache_done(struct cache *cache);

/* Reads the file, preferring one that was staged when the agent ended; without one `desired` is
 * empty. A damaged file is set aside and logged. */
void cache_load(struct cache *cache);

/* Replaces a text of the cache by a JSON object; false without memory, and then it is as before. */
bool cache_set(struct buf *text, const struct json *object) MUST_USE;

/* Writes all that where the next start finds it; a failure is logged, for the agent goes on
 * without. */
void cache_stage(struct cache *cache);

/* Makes durable what was staged: this waits for the disk. */
void cache_commit(struct cache *cache);

#endif
