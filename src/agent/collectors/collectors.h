/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collectors of the agent, as the rest of the agent sees them: they are put in force together,
 * run when they are due, flushed before a change, and asked for their counters. What is due at one
 * moment shares one message (split only when it would pass the message limit).
 *
 *   settings --apply--> [ Process | SystemInformation | Heartbeat | … ] --run, flush--> deliver()
 *
 * Called from the agent's main loop only. A collector may have a thread of its own inside.
 */
#ifndef GEMEL_COLLECTORS_H
#define GEMEL_COLLECTORS_H

#include "clock.h"
#include "json.h"
#include "settings.h"

struct collectors;

struct collectors_options {
    const struct clock *clock;
    const char *proc_dir;   /* "/proc" */
    const char *config_dir; /* where sysinfo.json may lie */
    const char *state_dir;
    uint32_t (*random)(void); /* for the jitter of the first collection and event ids */
    int64_t first_delay_us;   /* the first collection comes at a random time within this */
    /* Takes one finished message (a JSON text); not ERR_NONE: it was not kept, and is counted. */
    enum err (*deliver)(void *self, struct span body, size_t event_count);
    void *self;
};

enum err collectors_new(const struct collectors_options *options,
    struct collectors **ret_collectors, struct why *why) MUST_USE;
void collectors_free(struct collectors *collectors); /* stops; NULL is fine */

/*
 * Puts settings in force: starts, stops or restarts only the collectors whose settings differ from
 * those in force (all, the first time). If one cannot be put in force, what was in force before is
 * restored, and the error comes with the name of the field to blame in `*ret_field` (static text)
 * and the reason. Unsent events are not touched: call collectors_flush() before.
 */
enum err collectors_apply(struct collectors *collectors, const struct settings *settings,
    const char **ret_field, struct why *why) MUST_USE;

/* Runs what is due and delivers it; returns the mono time (microseconds) of the next due moment. */
int64_t collectors_run(struct collectors *collectors);

/* Delivers everything that event-based collectors hold, due or not. */
void collectors_flush(struct collectors *collectors);

/* Adds one member a collector: state, mode, and counters {"seen","sent","lost":{reason:n}}. */
enum err collectors_status(
    struct collectors *collectors, struct arena *arena, struct json *object) MUST_USE;

#endif
