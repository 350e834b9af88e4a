/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what sshd and login write to the system's log, in auth.log or in the journal. Whoever
 * tries to log in chooses the user name in such a line, and may write "root from 192.0.2.1 port 22
 * ssh2" into it: where a name is not one of the system's, the address is read from the line's end,
 * which sshd alone writes, and not at all where sshd had to cut the line. Pure.
 */
#ifndef GEMEL_LOGIN_LINE_H
#define GEMEL_LOGIN_LINE_H

#include "login_event.h"

/* What a message says; some matter only together with others of the same process. */
enum login_line_kind {
    LOGIN_LINE_OTHER,
    LOGIN_LINE_ACCEPTED, /* by sshd */
    LOGIN_LINE_FAILED,
    LOGIN_LINE_INVALID, /* sshd's first word on an unknown user; a failure may follow, or not */
    LOGIN_LINE_FAILED_INVALID, /* that failure */
    LOGIN_LINE_OPENED,         /* a session of another program than sshd */
    LOGIN_LINE_CLOSED,
};

struct login_line {
    enum login_line_kind kind;
    uint32_t repeated; /* how often: syslog daemons write "message repeated 3 times: [ … ]" */
    int64_t time_us;
    struct span program;
    uint32_t process_id;
    struct span user;
    struct span terminal;
    struct span address;
};

/* The most that a line which says "repeated" is believed. */
#define LOGIN_REPEATED_MAX 1000u

/*
 * Reads a line of auth.log, with an ISO 8601 time or the traditional one ("Nov 28 05:53:17": local
 * time without a year, which is taken from `now_us`). False: not of that form.
 */
bool login_line_parse(struct span line, int64_t now_us, struct login_line *ret_line);

/* Reads the message of a program (the journal gives program, pid and time apart). */
void login_message_parse(struct span program, struct span message, struct login_line *ret_line);

#endif
