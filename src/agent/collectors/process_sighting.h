/* SPDX-License-Identifier: Apache-2.0 */
/* What a source sees of a process: it was forked, it started a program, it ended. Threads are none.
 * What stands behind the events is none, but what must be known to name them. */
#ifndef GEMEL_PROCESS_SIGHTING_H
#define GEMEL_PROCESS_SIGHTING_H

#include "base.h"

#include <sys/types.h>

enum process_event_type {
    PROCESS_FORK,
    PROCESS_EXEC,
    PROCESS_EXIT,
    PROCESS_EVENT_TYPES,
    PROCESS_NEW_USER = PROCESS_EVENT_TYPES, /* it is another user's now */
    PROCESS_GAP, /* of what happened before the next, something was lost; of no process */
};

#define PROCESS_EVENT_BIT(type) (1u << (type))

struct process_sighting {
    enum process_event_type type;
    pid_t pid;
    pid_t parent;         /* of a fork; 0: not known */
    bool exit_known;      /* of an exit: whether the next is */
    uint32_t exit_status; /* as wait(2) tells it */
    uint32_t user_id;     /* the new one: the real one */
    int64_t age_us;       /* how long ago it happened */
};

typedef void process_seen(void *self, const struct process_sighting *sighting);

#endif
