/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gemel-agent collect NAME`: one collector, once, with what it would send printed as JSON. It runs
 * beside an agent without touching its state.
 */
#ifndef GEMEL_AGENT_COLLECT_H
#define GEMEL_AGENT_COLLECT_H

#include "buf.h"

struct collect_options {
    const char *name; /* of the collector; upper and lower case are the same */
    const char *config_dir;
    int64_t seconds; /* how long an event-based collector listens; negative: a while */
};

/* Writes the names of all collectors, with blanks between. */
void collect_names(struct buf *out);

/* Prints {"security_module_id",…,"events":[…]}, in which "events" may be empty; returns the exit
 * code of the program. Settings are those of conf.json, and the collector is switched on. */
int agent_collect(const struct collect_options *options);

#endif
