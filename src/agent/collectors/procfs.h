/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what /proc says of one process, within fixed bounds: a process chooses its command line,
 * its name and its path, so nothing here grows with them. A process may end, and become a zombie,
 * between any two reads; that is an outcome and no error.
 */
#ifndef GEMEL_PROCFS_H
#define GEMEL_PROCFS_H

#include "span.h"

#include <sys/types.h>

#define PROCESS_COMMAND_LINE_MAX 4096u
#define PROCESS_EXECUTABLE_MAX 4096u
#define PROCESS_COMM_MAX 64u

enum command_line_state {
    COMMAND_LINE_COMPLETE,
    COMMAND_LINE_CUT,        /* longer than PROCESS_COMMAND_LINE_MAX */
    COMMAND_LINE_GONE,       /* the process had ended before it could be read */
    COMMAND_LINE_UNREADABLE, /* /proc did not let us */
};

struct process_facts {
    uint32_t process_id;
    bool identity_known; /* whether the next two are */
    uint32_t parent_process_id;
    uint32_t user_id; /* the real one: who started it, not what it may do */
    enum command_line_state state;
    size_t command_line_len;
    size_t executable_len;
    char command_line[PROCESS_COMMAND_LINE_MAX]; /* arguments with a blank between; any bytes */
    /* The path; the kernel's name for the process (no '/') where the path cannot be read. */
    char executable[PROCESS_EXECUTABLE_MAX];
};

/* Reads a process; `proc_fd` is an open /proc. What cannot be known is empty. */
void procfs_read(int proc_fd, pid_t pid, struct process_facts *ret_facts);

/* The same where its parent and its user are known already: it costs half. */
void procfs_read_of_user(int proc_fd, pid_t pid, uint32_t parent_process_id, uint32_t user_id,
    struct process_facts *ret_facts);

/* The part of /proc/PID/stat that tells one life of a pid from another. */
struct process_stat {
    char state; /* 'Z': zombie */
    uint32_t parent_process_id;
    bool kernel_thread;
    bool executed; /* it has called exec since it was forked; before, it is its parent's copy */
    /* It has a command line, even if that is empty; false also where we may not know. While a
     * program starts, it has none yet. */
    bool has_arguments;
    uint64_t start_ticks; /* since boot */
};

/* Reads it; false if the process is gone. */
bool procfs_stat(int proc_fd, pid_t pid, struct process_stat *ret_stat);

/* Whether a program starts in this very moment: it has no command line yet. */
bool procfs_is_starting(int proc_fd, pid_t pid);

/* Whether users have the same numbers here as for the kernel: not in a user namespace. */
bool procfs_shows_all_users(int proc_fd);

/* The parsers, for bytes from anywhere. False: not of that form. */
bool procfs_parse_stat(struct span text, struct process_stat *ret_stat);

struct process_status {
    struct span comm; /* in the text; escaped by the kernel */
    char state;
    uint32_t parent_process_id;
    uint32_t user_id;
};
bool procfs_parse_status(struct span text, struct process_status *ret_status);

#endif
