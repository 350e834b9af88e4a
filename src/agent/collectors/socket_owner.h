/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process has a socket. The kernel tells a socket's inode only; the process is found by
 * walking /proc/PID/fd, which costs some milliseconds: walk for many sockets at once, and seldom.
 * What was found is remembered for a few sockets, and holds as long as the descriptor is the same.
 */
#ifndef GEMEL_SOCKET_OWNER_H
#define GEMEL_SOCKET_OWNER_H

#include "procfs.h"

#include <stdatomic.h>

/* All command lines that are held at once; past it they are left out. */
#define SOCKET_OWNER_BYTES_MAX (4u * 1024 * 1024)
#define SOCKET_OWNERS_KEPT 64u

/* A process, shared by all its flows; any thread may share and drop it. */
struct socket_owner {
    atomic_uint references;
    uint32_t process_id;
    enum command_line_state state;
    struct span executable;
    struct span command_line;
    char bytes[]; /* of the two spans */
};

/* Takes one more reference; returns `owner`. Either is fine with NULL. */
struct socket_owner *socket_owner_share(struct socket_owner *owner);
void socket_owner_drop(struct socket_owner *owner);

struct socket_owners {
    int proc_fd;
    struct {
        uint64_t inode; /* 0: free */
        uint32_t descriptor;
        struct socket_owner *owner;
    } kept[SOCKET_OWNERS_KEPT];
};

/* Begins; without /proc no owner is ever found. */
void socket_owners_init(struct socket_owners *ret_owners, const char *proc_dir);
void socket_owners_done(struct socket_owners *owners);

/* Returns a reference to the owner of a socket if it was found before and still has it. */
struct socket_owner *socket_owners_recall(struct socket_owners *owners, uint64_t inode) MUST_USE;

/*
 * Walks /proc for sockets, `inodes` in ascending order; `ret_owners` gets a reference for each that
 * was found, and NULL for the others. Looks at `descriptors_max` descriptors at most.
 */
void socket_owners_walk(struct socket_owners *owners, const uint64_t *inodes, size_t count,
    size_t descriptors_max, struct socket_owner **ret_owners);

#endif
