/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the processes that live now, for the moment when one forks or ends: what it
 * forks is a copy of it, and of one that has ended /proc tells nothing any more. A fork shares what
 * its parent is known by. Bounded in entries and in bytes; what does not fit is not known later.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_PROCESS_LIVES_H
#define GEMEL_PROCESS_LIVES_H

#include "err.h"
#include "procfs.h"

#define PROCESS_LIVES_MAX 32768u
#define PROCESS_LIVES_BYTES_MAX (4u * 1024 * 1024)

/* What processes are known by; shared. */
struct process_known {
    uint32_t references;
    enum command_line_state state;
    struct span command_line;
    struct span executable;
    char bytes[]; /* of the two spans */
};

struct process_live {
    uint32_t pid; /* 0: a free place */
    uint32_t parent;
    uint32_t user_id;
    uint32_t born; /* which one it was to be noted, modulo 2^32 */
    bool kernel_thread;
    bool identity_known; /* whether the user is */
    bool executed;       /* it was noted for what it runs itself, not for what it was forked from */
    bool counted;        /* it was found, and neither its fork nor its program was told */
    struct process_known *known; /* NULL: not known */
};

struct process_lives {
    struct process_live *places; /* by hash of the pid, then the next free one */
    size_t place_count;          /* a power of two */
    size_t count;
    size_t bytes; /* of what is known */
    uint32_t noted;
    bool sweeping; /* the places stay where they are */
};

void process_lives_done(struct process_lives *lives); /* empty afterwards */

/* Notes a process, in place of what its pid had been before. */
void process_lives_put(
    struct process_lives *lives, const struct process_facts *facts, bool executed);
/* Notes that a process has started a program which nobody read. */
void process_lives_put_unread(struct process_lives *lives, uint32_t pid);
/* Notes one that is what its parent is. */
void process_lives_fork(struct process_lives *lives, uint32_t pid, uint32_t parent);
void process_lives_put_kernel_thread(struct process_lives *lives, uint32_t pid);
/* Notes that it was only found. */
void process_lives_set_counted(struct process_lives *lives, uint32_t pid);
/* Notes that it is another user's now. */
void process_lives_set_user(struct process_lives *lives, uint32_t pid, uint32_t user_id);

/* NULL: not known. Until the next change. */
const struct process_live *process_lives_find(const struct process_lives *lives, uint32_t pid);
void process_lives_remove(struct process_lives *lives, uint32_t pid);
/* Whether what is noted as its parent still lives, and the pid is not another's by now. */
bool process_lives_has_parent(const struct process_lives *lives, const struct process_live *live);

/* Forgets all for which `is_gone` holds: their ends were not told. It may itself forget the one
 * that it is asked about. */
void process_lives_sweep(
    struct process_lives *lives, bool (*is_gone)(void *self, uint32_t pid), void *self);

/* Whether there is no more room for a process. */
bool process_lives_full(const struct process_lives *lives);

/* Fills in what is known of a process, or of its parent, for a process. */
void process_lives_facts(const struct process_live *live, uint32_t pid, uint32_t parent,
    struct process_facts *ret_facts);

#endif
