/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The latest entries of the agent's log, for the collector that sends them. As the log itself it is
 * one for the whole process, and entries come from any thread. It is bounded in entries and bytes;
 * the oldest gives way and is counted. It allocates nothing, so that logging cannot fail or disturb
 * who counts allocations, and its pages cost nothing before they are used.
 */
#ifndef GEMEL_LOG_RING_H
#define GEMEL_LOG_RING_H

#include "log.h"

#define LOG_RING_BYTES (256u * 1024)
#define LOG_RING_TEXT_MAX 1152u

struct log_ring_entry {
    int64_t time_s; /* wall */
    const char *filename;
    unsigned line;
    enum log_level level;
    size_t len;
    char text[LOG_RING_TEXT_MAX]; /* "part: sentence", no NUL */
};

struct log_ring_counts {
    uint64_t seen;
    uint64_t waiting;
    uint64_t dropped;
};

/* Begins to keep entries, or goes on with another level and bound; what is kept stays, as far as
 * there is room. */
void log_ring_listen(enum log_level level, size_t entries_max);
/* Keeps no more; what is kept stays. */
void log_ring_deafen(void);
/* The same, and forgets entries and counts. */
void log_ring_clear(void);

/* Takes the oldest entry out; false if there is none. */
bool log_ring_take(struct log_ring_entry *ret_entry) MUST_USE;

struct log_ring_counts log_ring_counts(void);

#endif
