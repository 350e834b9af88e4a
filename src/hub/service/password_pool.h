/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads that check and hash passwords: each takes a processor and 32 MiB for tens of
 * milliseconds, which neither a gateway's nor a store's thread can spare.
 *
 *   submit -> may it be tried now? -> waiting, in order -> check -> hash the fresh one -> done
 *                   \--(no: wrong before)--> done
 *
 * A check that has to wait for others of the same account or address (sign_in_delay.h) lets those
 * behind it pass, and is then judged anew. What waits is bounded.
 */
#ifndef GEMEL_PASSWORD_POOL_H
#define GEMEL_PASSWORD_POOL_H

#include "password.h"
#include "service.h"

struct password_pool;

struct password_task {
    struct password_task *next; /* the pool's own */
    bool admitted;              /* likewise */
    /* in; all live until done, which is called once, on a thread of the pool */
    struct span user; /* whose password is checked; empty: none is */
    struct span address;
    struct span password;
    const char *hash;  /* NULL: there is no such user, which takes as long */
    struct span fresh; /* a password to be hashed; empty: none */
    void (*done)(struct password_task *task);
    void *owner; /* the caller's */
    /* out */
    enum err err; /* ERR_UNAUTHORIZED: wrong; ERR_THROTTLED: not tried, see retry_seconds */
    struct why why;
    unsigned retry_seconds;
    char fresh_hash[PASSWORD_HASH_SIZE];
};

/* Starts the threads. */
enum err password_pool_new(const struct clock *clock, const struct access_limits *limits,
    struct password_pool **ret_pool, struct why *why) MUST_USE;
/* Ends them; every task must be done. NULL is fine. */
void password_pool_free(struct password_pool *pool);

/* Hands a task in. Where too many wait, or an account has to wait, done is called at once. */
void password_pool_submit(struct password_pool *pool, struct password_task *task);

#endif
