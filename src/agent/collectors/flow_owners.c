/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_owners.h"

#include "clock.h"
#include "log.h"

#include <stdlib.h>

/* 64 flows each 100 ms: a storm of new flows costs some thousandths of the processor. */
#define ASK_PAUSE_US INT64_C(100000)
#define ASK_AT_ONCE 64u
/* A connection that was not yet accepted has no owner at first. */
#define TRY_AGAIN_US INT64_C(1000000)
#define TRIES_MAX 2u
#define WALK_PAUSE_US INT64_C(200000)
#define WALK_PAUSES 100
#define WALK_DESCRIPTORS_MAX 100000u

void flow_owners_init(struct flow_owners *ret_owners, const char *proc_dir)
{
    struct why why = {""};
    memset(ret_owners, 0, sizeof(*ret_owners));
    ret_owners->diag.fd = -1;
    if (socket_diag_open(&ret_owners->diag, &why) != ERR_NONE)
        log_info("networkactivity", "whose connections are is not known: %s",
            why_text(&why, ERR_REFUSED));
    socket_owners_init(&ret_owners->owners, proc_dir);
}

void flow_owners_done(struct flow_owners *owners)
{
    socket_diag_close(&owners->diag);
    socket_owners_done(&owners->owners);
    owners->count = 0;
}

static void drop(struct flow_owners *owners, size_t at)
{
    memmove(&owners->waiting[at], &owners->waiting[at + 1],
        (--owners->count - at) * sizeof(owners->waiting[0]));
}

void flow_owners_add(
    struct flow_owners *owners, const struct flow_key *keys, size_t count, int64_t mono_us)
{
    for (size_t i = 0; i < count && owners->diag.fd >= 0; i++) {
        if (owners->count == FLOW_OWNERS_WAITING_MAX)
            drop(owners, 0);
        owners->waiting[owners->count++] = (struct flow_waiting){.key = keys[i], .due_us = mono_us};
    }
}

/* Asks for sockets; what can be told at once is, and waits no longer. */
static void ask(struct flow_owners *owners, int64_t mono_us, flow_owned *owned, void *self)
{
    size_t left = ASK_AT_ONCE, at = 0;
    while (at < owners->count) {
        struct flow_waiting *waiting = &owners->waiting[at];
        if (waiting->inode != 0 || waiting->due_us > mono_us || left == 0) {
            at++;
            continue;
        }
        struct socket_facts facts;
        left--;
        if (!socket_diag_find(&owners->diag, &waiting->key, &facts)) {
            waiting->due_us = mono_us + TRY_AGAIN_US;
            if (++waiting->tries == TRIES_MAX)
                drop(owners, at);
            else
                at++;
            continue;
        }
        waiting->inode = facts.inode;
        waiting->user_id = facts.user_id;
        struct socket_owner *owner = socket_owners_recall(&owners->owners, facts.inode);
        owned(self, &waiting->key, facts.user_id, owner);
        if (owner != NULL)
            drop(owners, at);
        else
            at++;
    }
    if (left < ASK_AT_ONCE)
        owners->ask_due_us = mono_us + ASK_PAUSE_US;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Walks for all sockets that are found and whose process is not. */
static void walk(struct flow_owners *owners, flow_owned *owned, void *self)
{
    uint64_t inodes[FLOW_OWNERS_WAITING_MAX];
    struct socket_owner *found[FLOW_OWNERS_WAITING_MAX];
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < owners->count; i++)
        if (owners->waiting[i].inode != 0)
            inodes[count++] = owners->waiting[i].inode;
    if (count == 0)
        return;
    qsort(inodes, count, sizeof(inodes[0]), compare);
    size_t different = 1;
    for (size_t i = 1; i < count; i++)
        if (inodes[i] != inodes[different - 1])
            inodes[different++] = inodes[i];
    int64_t begin_us = clock_mono_us(&clock_system);
    socket_owners_walk(&owners->owners, inodes, different, WALK_DESCRIPTORS_MAX, found);
    int64_t end_us = clock_mono_us(&clock_system);
    int64_t pause_us = (end_us - begin_us) * WALK_PAUSES;
    owners->walk_due_us = end_us + (pause_us < WALK_PAUSE_US ? WALK_PAUSE_US : pause_us);

    for (size_t i = 0; i < owners->count; i++) {
        const struct flow_waiting *waiting = &owners->waiting[i];
        if (waiting->inode == 0) {
            owners->waiting[kept++] = *waiting;
            continue;
        }
        const uint64_t *at =
            bsearch(&waiting->inode, inodes, different, sizeof(inodes[0]), compare);
        struct socket_owner *owner = at == NULL ? NULL : found[at - inodes];
        if (owner != NULL)
            owned(self, &waiting->key, waiting->user_id, socket_owner_share(owner));
    }
    owners->count = kept;
    for (size_t i = 0; i < different; i++)
        socket_owner_drop(found[i]);
}

static int64_t next_of(const struct flow_owners *owners)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < owners->count; i++) {
        const struct flow_waiting *waiting = &owners->waiting[i];
        int64_t due_us = owners->walk_due_us;
        if (waiting->inode == 0)
            due_us = waiting->due_us > owners->ask_due_us ? waiting->due_us : owners->ask_due_us;
        if (due_us < next_us)
            next_us = due_us;
    }
    return next_us;
}

int64_t flow_owners_run(
    struct flow_owners *owners, int64_t mono_us, bool at_once, flow_owned *owned, void *self)
{
    if (owners->count == 0)
        return INT64_MAX;
    if (at_once || owners->ask_due_us <= mono_us)
        ask(owners, mono_us, owned, self);
    if (at_once || owners->walk_due_us <= mono_us)
        walk(owners, owned, self);
    return next_of(owners);
}
