/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds processes that started a program by looking through /proc again and again. What starts and
 * ends between two looks is missed, unseen and so uncounted: this is the fallback where the process
 * connector cannot be used. One life of a pid is told from another by its start time. Kernel
 * threads are none, and a process that was only forked is its parent's copy: it is told once it has
 * called exec.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_PROCESS_POLL_H
#define GEMEL_PROCESS_POLL_H

#include "err.h"

#include <sys/types.h>

struct process_poll;

/* Opens the directory and takes what runs now as known. */
enum err process_poll_open(
    const char *proc_dir, struct process_poll **ret_poll, struct why *why) MUST_USE;
void process_poll_close(struct process_poll *poll); /* NULL is fine */

/* Looks once, and calls `started` for each process that started a program since the last look. On
 * failure (memory, /proc) nothing is forgotten: the next look finds it. */
enum err process_poll_look(
    struct process_poll *poll, void (*started)(void *self, pid_t pid), void *self) MUST_USE;

#endif
