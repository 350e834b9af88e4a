/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a collector whose events wait in an event_cache: what is seen is counted, admitted
 * by the gate and kept; what a collection takes out is written, each as the collector's payload;
 * what gave way or could not be written is counted, and said in the log once a collection.
 *
 *   held_events_add() ──> cache ──> held_events_write() ──> payload() ──> message
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_HELD_EVENTS_H
#define GEMEL_HELD_EVENTS_H

#include "collector.h"
#include "event_cache.h"

struct held_events {
    const struct clock *clock;
    struct collector_gate *gate;
    struct event_cache cache;
    uint64_t seen;
    uint64_t lost[LOSS_COUNT];
    uint64_t told[LOSS_COUNT]; /* of `lost`, what the log says */
};

/* Begins without room: held_events_set_bound() comes before the first event. */
void held_events_init(
    struct held_events *ret_held, const struct collectors_options *options, size_t bytes_max);
void held_events_done(struct held_events *held);

/* How many different events may wait; what falls out is counted. ERR_MEMORY: the old bound stays.
 */
enum err held_events_set_bound(struct held_events *held, size_t entries_max) MUST_USE;

/* Counts an event, and keeps it if there is room in the budget. Key and value: event_cache.h. */
void held_events_add(struct held_events *held, struct span key, struct span value);
/* The same for one that the gate has admitted. */
void held_events_keep(struct held_events *held, struct span key, struct span value);

/* How many were lost for a reason since this was asked last, for the log. */
uint64_t held_events_untold(struct held_events *held, enum loss loss);

struct held_events_kind {
    const char *part;      /* of the log */
    enum setting_id bound; /* the setting that bounds the cache */
    const char *what;      /* in a sentence: "an event of a file" */
    /* NULL: no memory. */
    struct json *(*payload)(
        void *self, struct collector_writer *writer, const struct event_entry *entry);
};

/* Says what gave way, and writes all that waits; an error is that of the last one that could not be
 * written. */
enum err held_events_write(struct held_events *held, const struct held_events_kind *kind,
    void *self, struct collector_writer *writer, struct why *why) MUST_USE;

void held_events_count(const struct held_events *held, struct collector_counts *ret_counts);

#endif
