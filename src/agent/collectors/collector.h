/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a collector is. Each is one file that ends in one `const struct collector`, named in one
 * line of collectors.def (recipe: docs/guide/add-a-collector.md). The scheduler (collectors.c)
 * knows collectors only by this header, and a collector knows nothing of the others.
 *
 *   start(settings) ──> collect(writer) at every due moment ──> stop()
 *
 * Between collections, a collector that listens to something gives its descriptors to the main loop
 * and is run when one of them is ready or when it asked to be; so most need no thread of their own.
 *
 * There are two sorts. An event-based collector holds what happened since the last collection; a
 * snapshot collector looks at the machine when it is collected, holds nothing, and so needs no
 * flush and is due again at once when its settings change.
 *
 * Everything here is called from the agent's main loop; what a collector shares with a thread of
 * its own, it locks itself.
 */
#ifndef GEMEL_COLLECTOR_H
#define GEMEL_COLLECTOR_H

#include "collectors.h"
#include "gate.h"
#include "ledger.h"

/*
 * Occurrences, not events: an event with hit_count 5 counts five times. Totals that outlive the
 * agent's runs; all but `waiting`, `queued` and `sent` only grow. Why something can be lost: enum
 * loss, in ledger.h.
 *
 *   happened = seen + lost[LOSS_KERNEL_BUFFER]
 *   seen     = waiting + queued + delivered + all other losses
 */
struct collector_counts {
    uint64_t seen;
    uint64_t waiting;   /* held by the collector */
    uint64_t queued;    /* in the outbox, not acknowledged by the hub */
    uint64_t delivered; /* acknowledged */
    uint64_t sent;      /* queued + delivered */
    uint64_t accepted;  /* by the outbox, whatever became of it */
    uint64_t lost[LOSS_COUNT];
};

/* Where a collector puts its events; lives during one collect(). */
struct collector_writer;

/*
 * Starts the payload of an event: an empty object in an arena that is cleared by the next call.
 * NULL without memory.
 */
struct json *collector_payload(struct collector_writer *writer, struct arena **ret_arena) MUST_USE;

/*
 * Adds an event to the message. `time_us` is when it happened first (wall time), `occurrences` what
 * it stands for. `payload` NULL counts as out of memory. On failure nothing was added: ERR_MEMORY,
 * already counted as lost; ERR_TOO_LARGE, and then the caller writes it again, smaller, or calls
 * collector_lose().
 */
enum err collector_write(struct collector_writer *writer, int64_t time_us, uint64_t occurrences,
    const struct json *payload) MUST_USE;

/* Counts what could not be written. */
void collector_lose(struct collector_writer *writer, enum loss loss, uint64_t occurrences);

/*
 * For a collector that must neither send twice nor lose what it read, whatever ends the agent:
 * makes sure that events of so many bytes share one message, and returns how many messages were
 * kept before that one. With that number, written down before the events are, its next life can
 * tell whether they were kept: collectors_options.kept is then greater.
 */
uint64_t collector_begin(struct collector_writer *writer, size_t bytes);

/* The most bytes that fit into one message. */
size_t collector_message_bytes(const struct collector_writer *writer);

/* The wall time of this collection. */
int64_t collector_now_us(const struct collector_writer *writer);

/*
 * Says how the collectors of this agent fare, one a call, `at` from 0 on: what statistics are made
 * of. The name is static. False: there are no more.
 */
bool collector_tally(const struct collector_writer *writer, size_t at, const char **ret_name,
    struct collector_counts *ret_counts) MUST_USE;

/* What the statistics told of the same collector so far: theirs to change, kept over restarts. */
struct ledger_told *collector_told(struct collector_writer *writer, size_t at) MUST_USE;

struct collector {
    const char *name; /* the payload_type of its events, its member in the status */
    enum setting_part part;
    enum setting_id disabled;  /* its ..._Disabled */
    enum setting_id frequency; /* its ..._MessageFrequency */
    bool snapshot;
    uint64_t capabilities; /* that it makes use of where it has them: bits of CAP_… */
    bool resumes;          /* what waited when the agent was killed is read, and seen, again */
    bool light; /* costs next to nothing: its interval stays when the agent is over its budget */

    /* Required when there is any state; `state` is NULL otherwise. */
    enum err (*new)(const struct collectors_options *options, void **ret_state, struct why *why);
    void (*free)(void *state);

    /*
     * Puts settings in force, also while it runs with others, and then restarts no more than what
     * they touch. On failure what ran before goes on as before, and the name of the setting to
     * blame is in `*ret_field`. The settings are borrowed for the call. Optional.
     */
    enum err (*start)(
        void *state, const struct settings *settings, const char **ret_field, struct why *why);
    /* Ends what start() began; what is held stays held. Called also when it does not run. Optional.
     */
    void (*stop)(void *state);

    /* Writes the descriptors that wake it when they can be read, at most `room`; returns how many.
     * Asked anew before every wait. Optional. */
    size_t (*descriptors)(void *state, int *ret_fds, size_t room);
    /* Takes in what came, without blocking, and does what is due; returns the mono time at which it
     * wants to be called again (INT64_MAX: not before a descriptor is ready). Called in a turn of
     * the main loop where one of the two is so, after start(), and before each collect(), also
     * without cause. Optional. */
    int64_t (*run)(void *state);

    /* Does a piece of what a collection that is due needs done before; returns the mono time at
     * which to ask again, or 0: it can be collected. Others are collected meanwhile. Optional. */
    int64_t (*prepare)(void *state);

    /* Writes the events and holds them no longer. An error is logged and counted; what was
     * written before it is sent. */
    enum err (*collect)(void *state, struct collector_writer *writer, struct why *why);

    /* Fills in seen, waiting and the losses before collect(), all since new(), where a collector
     * sees things between collections. Optional: else what is written is what was seen. */
    void (*count)(void *state, struct collector_counts *ret_counts);
    /* Adds members of its own to its status; false without memory. Optional. */
    bool (*status)(void *state, struct arena *arena, struct json *object);
};

#define COLLECTOR(name) extern const struct collector name##_collector;
#include "collectors.def"
#undef COLLECTOR

/* Returns the collectors of collectors.def, one a call, `at` from 0 on; NULL: there are no more. */
const struct collector *collectors_at(size_t at);

/* As collectors_new(), with the collectors of a table (which must outlive the result).
 */
enum err collectors_new_of(const struct collectors_options *options,
    const struct collector *const *table, size_t count, struct collectors **ret_collectors,
    struct why *why) MUST_USE;

#endif
