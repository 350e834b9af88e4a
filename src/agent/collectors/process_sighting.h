/* SPDX-License-Identifier: Apache-2.0 */
/* What a source sees of a process: it was forked, it started a program, it ended. Threads are none.
 */
#ifndef GEMEL_PROCESS_SIGHTING_H
#define GEMEL_PROCESS_SIGHTING_H

#include "base.h"

#include <sys/types.h>

enum process_event_type { PROCESS_FORK, PROCESS_EXEC, PROCESS_EXIT, PROCESS_EVENT_TYPES };

#define PROCESS_EVENT_BIT(type) (1u << (type))

struct process_sighting {
    enum process_event_type type;
    pid_t pid;
    pid_t parent;         /* of a fork; 0: not known */
    bool exit_known;      /* of an exit: whether the next is */
    uint32_t exit_status; /* as wait(2) tells it */
};

typedef void process_seen(void *self, const struct process_sighting *sighting);

#endif
