/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's process connector (netlink): one message at every fork, exec, exit and more. A
 * filter in the kernel keeps only what is wanted, and nothing of threads, before the receive buffer
 * is charged; what then finds no room there is counted by the kernel for this very socket
 * (SO_MEMINFO). So losses are exact, and count what was let through only. The sequence numbers of
 * the messages could not tell that: they count events of every kind, by processor, and the kind of
 * a missing one is unknown.
 *
 * What is no process: a thread that ends, or is made. The first thread of a process stands for it,
 * so a process whose first thread ends before the others has ended here, and one that calls exec in
 * another thread ends and starts.
 *
 * Needs CAP_NET_ADMIN before Linux 6.6, the first network and pid namespace always, and Linux 4.12
 * for SO_MEMINFO. One thread reads; process_netlink_lost() may be called from any.
 */
#ifndef GEMEL_PROCESS_NETLINK_H
#define GEMEL_PROCESS_NETLINK_H

#include "err.h"
#include "process_sighting.h"
#include "span.h"

/* What is asked for; the kernel's own limit (net.core.rmem_max) counts only without CAP_NET_ADMIN.
 * Holds the forks, execs and exits of about 20,000 processes. It is a bound: the kernel takes
 * memory only for what waits. */
#define PROCESS_NETLINK_BUFFER_BYTES (24 * 1024 * 1024)

struct process_netlink;

/* Opens for some types (PROCESS_EVENT_BIT) and waits (at most a second) for the kernel's word that
 * it will send. ERR_REFUSED with the reason: no permission, a namespace, or no connector in this
 * kernel.
 */
enum err process_netlink_open(int buffer_bytes, unsigned events,
    struct process_netlink **ret_netlink, struct why *why) MUST_USE;
void process_netlink_close(struct process_netlink *netlink); /* NULL is fine */

/* Lets other types through from now on; what waits to be read stays. False: for want of memory all
 * is as before. */
bool process_netlink_set_events(struct process_netlink *netlink, unsigned events) MUST_USE;

/* For poll(). */
int process_netlink_fd(const struct process_netlink *netlink);

/*
 * For poll() as well: wakes for the start of a program alone, which must be looked at before it
 * ends, while forks and ends may wait for company. Each wake-up costs more than what it is for.
 * What wakes it is also read by process_netlink_read(), which silences it. -1: there is none, as
 * where nothing else is wanted.
 */
int process_netlink_bell_fd(const struct process_netlink *netlink);

/* Whether each change of a process's user is told (PROCESS_NEW_USER), in time for the program that
 * it starts next. Where it is not, a PROCESS_GAP comes first. */
bool process_netlink_tells_users(const struct process_netlink *netlink);

#define PROCESS_NETLINK_BATCH 64u

/* Reads what is there, without waiting, and calls `seen` for each. Returns after one batch, so that
 * the caller can look elsewhere, how many messages that were. */
size_t process_netlink_read(struct process_netlink *netlink, process_seen *seen, void *self);

/* Whether there was more to read than one batch, or a program started meanwhile. */
bool process_netlink_has_more(const struct process_netlink *netlink);

/* How many of them the kernel had to drop since the open, modulo 2^32. */
uint32_t process_netlink_lost(const struct process_netlink *netlink);

/* What the kernel granted: the size asked for that it corresponds to. */
int process_netlink_buffer_bytes(const struct process_netlink *netlink);

/* One message of the connector. */
struct process_message {
    uint32_t what;      /* PROC_EVENT_… of linux/cn_proc.h; 0: an answer to a request */
    uint32_t request;   /* of an answer: which request, plus one */
    uint32_t error;     /* of an answer: errno, or 0 */
    int32_t process_id; /* of the process, not of the thread; of a fork, of the new one */
    int32_t parent_id;  /* of a fork */
    uint32_t exit_status;
    uint32_t user_id;     /* of a change of it */
    uint64_t happened_ns; /* mono */
};

/* Takes the next message of the connector from a datagram; others are skipped. False: there is no
 * further one, or the rest is malformed. */
bool process_message_next(struct span *datagram, struct process_message *ret_message);

#endif
