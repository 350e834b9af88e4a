/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collectors of the agent, as the rest of the agent sees them: they are put in force together,
 * run when they are due, flushed before a change, and asked for their counters. What is due at one
 * moment shares one message (split only when it would pass the message limit).
 *
 *   settings --apply--> [ Process | SystemInformation | Heartbeat | … ] --run, flush--> deliver()
 *
 * Moments count on the mono clock from the first collection on, in whole intervals: a slower
 * interval that is a multiple of a faster one coincides with it. A collector that fails is logged
 * and counted, and never keeps the others from theirs.
 *
 * Called from the agent's main loop only. A collector may have a thread of its own inside.
 */
#ifndef GEMEL_COLLECTORS_H
#define GEMEL_COLLECTORS_H

#include "clock.h"
#include "json.h"
#include "ledger.h"
#include "settings.h"

struct collectors;

/* Azure's limit of a message, body and properties together, less room for the properties. */
#define COLLECTORS_MESSAGE_BYTES (256u * 1024 - 4096)

struct collectors_options {
    const struct clock *clock;
    const char *proc_dir;     /* NULL: "/proc" */
    const char *sys_dir;      /* NULL: "/sys" */
    const char *etc_dir;      /* NULL: "/etc" (passwd, os-release) */
    const char *root_dir;     /* stands before every other path, as of /run and /var; NULL: "" */
    const char *config_dir;   /* where sysinfo.json may lie; NULL: nowhere */
    const char *baseline_dir; /* the check files; NULL: where this program's own lie */
    const char *state_dir;
    uint32_t (*random)(void); /* for the jitter of the first collection and event ids */
    int64_t first_delay_us;   /* the first collection comes at a random time within this */
    bool at_once; /* what is due is collected in one turn, be it long: there is no main loop */
    size_t message_limit_bytes; /* of one body; 0: COLLECTORS_MESSAGE_BYTES */
    /* Takes one finished message (a JSON text, schema docs/reference/events/message.schema.json),
     * and how many occurrences of whom it stands for, by the entries of `ledger`; not ERR_NONE: it
     * was not kept, and is counted as lost. */
    enum err (*deliver)(
        void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies);
    /* How many messages deliver() has kept, ever: a number that survives a restart. NULL: what a
     * collector notes for its next life is not told apart from what became of it. */
    uint64_t (*kept)(void *self);
    void *self;
    /* Where everything is counted; who keeps it books what deliver() takes. It must outlive the
     * collectors. NULL: one that lives as long as they do, and what deliver() takes counts as
     * delivered. */
    struct ledger *ledger;
    /* Of the collector whose new() is called; set by the scheduler. See gate.h. */
    struct collector_gate *gate;
};

/* The capabilities (bits of CAP_…) that collectors make use of: all there are (`settings` NULL), or
 * those that are switched on. */
uint64_t collectors_capabilities(const struct settings *settings);

/* Takes a copy of the options; the clock and the texts must live as long as the collectors. */
enum err collectors_new(const struct collectors_options *options,
    struct collectors **ret_collectors, struct why *why) MUST_USE;
void collectors_free(struct collectors *collectors); /* stops; NULL is fine */

/*
 * Puts settings in force: starts, stops or restarts only the collectors whose settings differ from
 * those in force (all, the first time). If one cannot be put in force, what was in force before is
 * restored, and the error comes with the name of the field to blame in `*ret_field` (static text;
 * NULL when no field is to blame, as without memory) and the reason: these two are written on
 * failure. Unsent events are not touched: call collectors_flush() before. A collector that is
 * switched off delivers what it still holds.
 */
enum err collectors_apply(struct collectors *collectors, const struct settings *settings,
    const char **ret_field, struct why *why) MUST_USE;

/* The most descriptors that collectors_descriptors() gives. */
#define COLLECTORS_DESCRIPTORS_MAX 64u

/* Writes the descriptors whose being readable is a reason to call collectors_run(); returns how
 * many. Ask anew before every wait. */
size_t collectors_descriptors(
    struct collectors *collectors, int ret_fds[COLLECTORS_DESCRIPTORS_MAX]);

/* Says which of the descriptors last given are ready, all of them in their order: the next
 * collectors_run() runs only whose are, or who is due. It is asked for since some can be asked only
 * once: that mounts have changed, is told to the first. Without this, collectors_run() asks. */
struct pollfd;
void collectors_woken(struct collectors *collectors, const struct pollfd *polled, size_t count);

/*
 * Lets collectors take in what came, runs what is due and delivers it; returns the mono time
 * (microseconds) of the next due moment, which is never more than an hour ahead. Before the first
 * apply, and early, it does nothing.
 */
int64_t collectors_run(struct collectors *collectors);

/* Delivers everything that event-based collectors hold, due or not. */
void collectors_flush(struct collectors *collectors);

/* Delivers as collectors_flush() does, for the last time: who listens to something takes in what
 * came, and then listens no more. */
void collectors_stop(struct collectors *collectors);

/*
 * Says how far the agent is over its budget (budget.h), 0 not at all. At 1 snapshots come half as
 * often and what polls, looks less often; from 2 on, of what happens only every so-manieth is kept,
 * and the rest is counted (LOSS_BUDGET). What costs next to nothing goes on.
 */
void collectors_set_level(struct collectors *collectors, unsigned level);

/* Brings the ledger up to date with what the collectors saw since the last message. */
void collectors_note(struct collectors *collectors);

/*
 * Adds one member a collector: {"state","starts","failures","interval_seconds","seen","waiting",
 * "queued","delivered","sent","lost":{reason:n}} and what it says of itself (Process: "source").
 * Everything seen is waiting, queued, delivered or lost; what the kernel dropped ("kernel_buffer")
 * was lost without being seen. The numbers are totals of all runs. What the ledger has of
 * collectors that this version does not know follows, with "state" "absent".
 */
enum err collectors_status(
    struct collectors *collectors, struct arena *arena, struct json *object) MUST_USE;

#endif
