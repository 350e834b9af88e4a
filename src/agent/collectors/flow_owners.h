/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out whose the sockets of new flows are. Asking the kernel for one socket is cheap, and done
 * at once for a few; walking /proc for the process is not, so it is done for all that wait
 * together, and afterwards not for a hundred times as long as it took. What cannot be found stays
 * unknown: nobody waits for it. For one thread.
 */
#ifndef GEMEL_FLOW_OWNERS_H
#define GEMEL_FLOW_OWNERS_H

#include "network_account.h"
#include "socket_diag.h"

#define FLOW_OWNERS_WAITING_MAX 128u

struct flow_waiting {
    struct flow_key key;
    uint64_t inode; /* 0: its socket is not found yet */
    uint32_t user_id;
    unsigned tries;
    int64_t due_us;
};

struct flow_owners {
    struct socket_diag diag;
    struct socket_owners owners;
    int64_t ask_due_us;
    int64_t walk_due_us;
    size_t count;
    struct flow_waiting waiting[FLOW_OWNERS_WAITING_MAX];
};

/* Called with what was found out; takes the reference to `owner`, which may be NULL. */
typedef void flow_owned(
    void *self, const struct flow_key *key, uint32_t user_id, struct socket_owner *owner);

void flow_owners_init(struct flow_owners *ret_owners, const char *proc_dir);
void flow_owners_done(struct flow_owners *owners);

/* Lets flows wait; those that wait longest give way. */
void flow_owners_add(
    struct flow_owners *owners, const struct flow_key *keys, size_t count, int64_t mono_us);

/* Does what is due, or, `at_once`, all it can: the flows are wanted now. Returns when something is
 * due again; INT64_MAX: nothing waits. */
int64_t flow_owners_run(
    struct flow_owners *owners, int64_t mono_us, bool at_once, flow_owned *owned, void *self);

#endif
