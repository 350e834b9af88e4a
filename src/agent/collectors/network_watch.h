/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches interfaces on a thread of its own, so that a slow moment of the main loop loses no
 * packet:
 *
 *   capture, capture, … ─┐                lock
 *   links that come, go ─┼─ thread ─> account (flows, names) <─ main loop
 *   sock_diag, /proc    ─┘
 *
 * Everything here is called from the main loop. What it asks of the thread it waits for, a few
 * hundred milliseconds at most.
 */
#ifndef GEMEL_NETWORK_WATCH_H
#define GEMEL_NETWORK_WATCH_H

#include "clock.h"
#include "network_account.h"
#include "network_devices.h"

struct network_watch;

struct network_watch_options {
    const struct clock *clock; /* of the events' wall time */
    struct collector_gate *gate;
    const char *proc_dir;
    uint64_t seed;
};

enum err network_watch_new(const struct network_watch_options *options,
    struct network_watch **ret_watch, struct why *why) MUST_USE;
void network_watch_free(struct network_watch *watch); /* stops; NULL is fine */

/* Sets how many flows wait; at least 1, before the first start. */
enum err network_watch_set_bound(struct network_watch *watch, size_t entries_max) MUST_USE;

/* Captures the interfaces of a list, and those only; returns when it is so, as far as they exist.
 * ERR_REFUSED: the kernel gives an interface that is captured no buffer of that size, and all is as
 * before. */
enum err network_watch_start(
    struct network_watch *watch, struct span list, size_t buffer_bytes, struct why *why) MUST_USE;

/* Ends all captures, after reading what they hold. */
void network_watch_stop(struct network_watch *watch);

/* Moves all flows out, oldest first, with all packets that had come; for flow_free(). */
struct flow *network_watch_take(struct network_watch *watch);

struct network_watch_counts {
    uint64_t seen;
    uint64_t waiting;
    uint64_t ignored;
    uint64_t lost[LOSS_COUNT];
};
void network_watch_count(struct network_watch *watch, struct network_watch_counts *ret_counts);

/* How the interfaces fare; returns how many there are. */
size_t network_watch_states(struct network_watch *watch,
    struct network_device_state ret_states[NETWORK_DEVICES_STATES_MAX]);

#endif
