/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of twins that the hub makes by itself, many in one transaction: configurations, jobs. */
#ifndef GEMEL_TWIN_WRITE_H
#define GEMEL_TWIN_WRITE_H

#include "service_priv.h"

struct twin_write {
    struct service *service;
    struct store_txn *txn;
    struct arena *arena; /* of the effects, and of what they tell */
    int64_t hub_id;
    struct effect *effects; /* out: what is to be told after the commit */
};

/* Who asks for a change, as the history tells it: "configuration x". */
struct twin_author {
    const char *from;
    struct span name;
};

/* Writes a twin that had `version` before, with history and event, and notes who must hear of it.
 * `patch` may be NULL where neither tags nor desired changed. */
enum err twin_write_put(struct twin_write *write, const struct identity *identity, int64_t version,
    const struct twin_change *change, const struct json *patch,
    const struct twin_author *author) MUST_USE;

/* Tells it, after the commit. */
void twin_write_tell(struct service *service, int64_t hub_id, const struct effect *effects);

#endif
