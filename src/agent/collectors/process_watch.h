/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that watches processes, through the process connector or by looking at /proc, and tells
 * of each that is forked, starts a program or ends. What it is to do can be changed while it runs,
 * and then nothing is told twice, and nothing missed: what happened before the change is told as
 * was wanted before, and what happens after it as is wanted now.
 *
 *   main thread:  opens a new source, if one is wanted; plan ──> waits
 *   this thread:  lets through what either plan needs, learns what runs, tells what waits; where
 *                 the source is another, sorts out what both saw; the new plan is in force
 */
#ifndef GEMEL_PROCESS_WATCH_H
#define GEMEL_PROCESS_WATCH_H

#include "err.h"
#include "gate.h"
#include "process_sighting.h"
#include "procfs.h"

/* What Process_Mode says. Auto: the connector or, where that is refused, polling. */
enum process_mode { PROCESS_MODE_AUTO = 1, PROCESS_MODE_NETLINK, PROCESS_MODE_POLLING };

struct process_watch_plan {
    enum process_mode mode;
    int64_t interval_us; /* between two looks, when polling */
    unsigned events;     /* what is wanted: PROCESS_EVENT_BIT */
};

struct process_watch_options {
    const char *proc_dir;
    struct collector_gate *gate; /* asked for each that is wanted; NULL: all are admitted */
    /* Called in the thread for each event that is wanted. */
    void (*seen)(
        void *self, const struct process_sighting *sighting, const struct process_facts *facts);
    void *self;
};

struct process_watch;

/* Begins, and returns when the plan is in force. ERR_REFUSED: the mode asked for cannot be had
 * here. Other errors: no memory, thread, … */
enum err process_watch_new(const struct process_watch_options *options,
    const struct process_watch_plan *plan, struct process_watch **ret_watch,
    struct why *why) MUST_USE;

/* Changes the plan, and returns when the new one is in force; on failure the old one still is. */
enum err process_watch_change(
    struct process_watch *watch, const struct process_watch_plan *plan, struct why *why) MUST_USE;

/* Ends the thread, which first tells what the source still holds. NULL is fine. */
void process_watch_stop(struct process_watch *watch);
void process_watch_free(struct process_watch *watch); /* stops; NULL is fine */

/* What the kernel had no room to tell of, modulo 2^32. Like what follows, from the thread that
 * made it. */
uint32_t process_watch_lost(const struct process_watch *watch);

bool process_watch_is_netlink(const struct process_watch *watch);

/* The connector's receive buffer; 0 when polling. */
int process_watch_buffer_bytes(const struct process_watch *watch);

#endif
