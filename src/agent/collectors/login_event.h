/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A login as its sources tell it. Texts are borrowed from the record or line that was read; user
 * names and addresses are whatever somebody typed or a name server answered, so they may hold any
 * bytes, and are cut where they are kept.
 */
#ifndef GEMEL_LOGIN_EVENT_H
#define GEMEL_LOGIN_EVENT_H

#include "span.h"

#define LOGIN_USER_MAX 256u
#define LOGIN_ADDRESS_MAX 255u
#define LOGIN_TERMINAL_MAX 32u

enum login_operation { LOGIN_IN, LOGIN_OUT, LOGIN_FAILED };

/* Where it was read. What two of them tell of one login is one event (login_queue.h). sshd writes
 * to the log first, so that is read first. */
enum login_source {
    LOGIN_AUTH_LOG,
    LOGIN_WTMP,
    LOGIN_BTMP,
    LOGIN_PAM,
    LOGIN_JOURNAL,
    LOGIN_SOURCES
};

struct login_event {
    enum login_operation operation;
    enum login_source source;
    int64_t time_us;     /* wall time */
    bool ssh;            /* sshd told it in the log, which does not know the terminal */
    uint32_t process_id; /* 0: not known */
    struct span user;    /* empty: not known */
    struct span terminal;
    struct span address; /* empty: not known; LOGIN_LOCAL: this machine */
};

#define LOGIN_LOCAL "0.0.0.0"

#endif
