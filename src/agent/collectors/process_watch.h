/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that watches processes, through the process connector or by looking at /proc, and tells
 * of each that is forked, starts a program or ends. It is made in two steps, so that one watch can
 * take over from another when everything that can fail has been done: the source is open, and holds
 * what happens, from process_watch_new() on; the thread begins to tell at process_watch_go().
 */
#ifndef GEMEL_PROCESS_WATCH_H
#define GEMEL_PROCESS_WATCH_H

#include "err.h"
#include "gate.h"
#include "process_sighting.h"

/* What Process_Mode says. Auto: the connector or, where that is refused, polling. */
enum process_mode { PROCESS_MODE_AUTO = 1, PROCESS_MODE_NETLINK, PROCESS_MODE_POLLING };

struct process_watch_options {
    enum process_mode mode;
    int64_t interval_us; /* between two looks, when polling */
    const char *proc_dir;
    const struct collector_gate *gate; /* says how much longer to wait; NULL: not at all */
    unsigned events;                   /* what is wanted: PROCESS_EVENT_BIT */
    void (*begin)(void *self);         /* called in the thread, before the first */
    process_seen *seen;                /* called in the thread */
    void *self;
};

struct process_watch;

/* ERR_REFUSED: the mode asked for cannot be had here. Other errors: no memory, thread, … */
enum err process_watch_new(const struct process_watch_options *options,
    struct process_watch **ret_watch, struct why *why) MUST_USE;
void process_watch_go(struct process_watch *watch);

/* Ends the thread, which first tells what the source still holds. NULL is fine. */
void process_watch_stop(struct process_watch *watch);
void process_watch_free(struct process_watch *watch); /* stops; NULL is fine */

unsigned process_watch_events(const struct process_watch *watch);

/* What the kernel had no room to tell of, modulo 2^32. From any thread. */
uint32_t process_watch_lost(const struct process_watch *watch);

bool process_watch_is_netlink(const struct process_watch *watch);
int64_t process_watch_interval_us(const struct process_watch *watch);

/* The connector's receive buffer; 0 when polling. */
int process_watch_buffer_bytes(const struct process_watch *watch);

#endif
