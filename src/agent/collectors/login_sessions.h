/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is logged in, as far as logouts need it: wtmp says of a logout only the terminal, sshd only
 * its process and the user. Each kind has a bound of its own, since anybody can make unknown users.
 * Of those who are logged in there are no more than the kernel has terminals, as a rule; the oldest
 * gives way, and its logout then lacks what is not known any more.
 */
#ifndef GEMEL_LOGIN_SESSIONS_H
#define GEMEL_LOGIN_SESSIONS_H

#include "login_event.h"

#define LOGIN_SESSIONS_MAX 4096u /* kernel.pty.max */
#define LOGIN_SESSIONS_INVALID_MAX 512u

enum login_session_kind {
    LOGIN_SESSION_LINE,    /* on a terminal, by wtmp */
    LOGIN_SESSION_SSH,     /* of a process of sshd */
    LOGIN_SESSION_INVALID, /* such a process has told of an unknown user, and no failure yet */
    LOGIN_SESSION_KINDS
};

struct login_session {
    struct login_session *next; /* the next older one */
    enum login_session_kind kind;
    uint32_t process_id;
    struct span terminal;
    struct span user;
    struct span address;
    char bytes[]; /* of the spans */
};

struct login_sessions {
    struct login_session *newest;
    size_t counts[LOGIN_SESSION_KINDS];
};

void login_sessions_done(struct login_sessions *sessions);

/* Notes a session by its terminal (LINE) or process, in place of an older one. */
void login_sessions_put(
    struct login_sessions *sessions, enum login_session_kind kind, const struct login_event *event);

/* Takes a session out; NULL: there is none. mem_free() it. */
struct login_session *login_sessions_take(struct login_sessions *sessions,
    enum login_session_kind kind, struct span terminal, uint32_t process_id);

/* Forgets all of a kind. */
void login_sessions_clear(struct login_sessions *sessions, enum login_session_kind kind);

#endif
