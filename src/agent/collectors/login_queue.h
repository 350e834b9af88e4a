/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logins that wait for the next collection, and what makes one of two: a login through ssh
 * stands in wtmp and in the system's log, a failed one in btmp and there. An event is dropped when
 * another source has told one like it, within a window by the times that both say, that has not
 * been matched yet: so each source's record absorbs at most one of the other's, and two logins stay
 * two. Failures match by process; logins and logouts by user and address, since sshd logs with
 * the one process and writes wtmp for another.
 *
 * The queue is bounded: the oldest gives way to the newest. So is the memory for matching. Not for
 * two threads at once.
 */
#ifndef GEMEL_LOGIN_QUEUE_H
#define GEMEL_LOGIN_QUEUE_H

#include "gate.h"
#include "login_event.h"
#include "tail.h"

#define LOGIN_MATCHES_MAX 8192u

/* An event that waits, and how far its source was read with it. */
struct login_held {
    struct login_held *next;
    uint64_t number;
    enum login_operation operation;
    enum login_source source;
    int64_t time_us;
    bool ssh;
    uint32_t process_id;
    struct tail_position after; /* of a file */
    struct span user;
    struct span address;
    struct span cursor; /* of the journal */
    size_t terminal_len;
    char terminal[LOGIN_TERMINAL_MAX];
    char bytes[]; /* of the spans */
};

struct login_match;

struct login_queue {
    struct collector_gate *gate; /* NULL: everything is kept */
    struct login_held *oldest;
    struct login_held *newest;
    size_t entries;
    size_t entries_max;
    uint64_t numbers;
    struct login_match *matches; /* oldest first */
    size_t match_count;
    size_t match_cap;
};

void login_queue_init(struct login_queue *ret_queue);
void login_queue_done(struct login_queue *queue);

/* Sets the bound, at least 1; returns how many fell out. */
uint64_t login_queue_set_bound(struct login_queue *queue, size_t entries_max);

enum login_outcome {
    LOGIN_KEPT,
    LOGIN_KNOWN,     /* another source told it, or `only_match`, or over the budget and counted */
    LOGIN_NO_MEMORY, /* it is not in */
};

/* Adds an event. `only_match`: it was told before this process began, and is only remembered.
 * Events that fall out are added to `*dropped`. */
enum login_outcome login_queue_add(struct login_queue *queue, const struct login_event *event,
    const struct tail_position *after, struct span cursor, bool only_match, uint64_t *dropped);

/* Takes the oldest; NULL: none. mem_free() it. */
struct login_held *login_queue_take(struct login_queue *queue);

#endif
