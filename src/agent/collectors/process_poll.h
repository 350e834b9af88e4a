/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds processes that began, started a program or ended by looking through /proc again and again.
 * What begins and ends between two looks is missed, unseen and so uncounted: this is the fallback
 * where the process connector cannot be used. One life of a pid is told from another by its start
 * time. Kernel threads are none, and a process that was only forked is its parent's copy: its start
 * is told once it has called exec.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_PROCESS_POLL_H
#define GEMEL_PROCESS_POLL_H

#include "err.h"
#include "process_sighting.h"

struct process_poll;

/* Opens the directory and takes what runs now as known. */
enum err process_poll_open(
    const char *proc_dir, struct process_poll **ret_poll, struct why *why) MUST_USE;
void process_poll_close(struct process_poll *poll); /* NULL is fine */

/* What is known of a pid by others who watched it. */
struct process_poll_known {
    bool lives;    /* its start was told */
    bool executed; /* so was the program that it runs */
};

/* Takes as known only what others have told of: the next look finds the rest. */
void process_poll_review(struct process_poll *poll,
    struct process_poll_known (*known)(void *self, pid_t pid), void *self);

/* Lets the next look read also what has been put off: it may be the last one. */
void process_poll_hurry(struct process_poll *poll);

/* Whether the last look found a pid. */
bool process_poll_found(const struct process_poll *poll, pid_t pid);

/* Looks once, and calls `seen` for what changed since the last look, by pid.
 * On failure (memory, /proc) nothing is forgotten: the next look finds it. */
enum err process_poll_look(struct process_poll *poll, process_seen *seen, void *self) MUST_USE;

#endif
