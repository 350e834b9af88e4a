/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads records of wtmp and btmp, in this machine's own layout of struct utmpx. A write that was
 * cut short by a crash leaves a piece of a record, behind which all others stand askew: so a record
 * is taken for one only if it looks like one. Pure.
 */
#ifndef GEMEL_LOGIN_UTMP_H
#define GEMEL_LOGIN_UTMP_H

#include "login_event.h"

#include <netinet/in.h>
#include <utmpx.h>

#define LOGIN_UTMP_BYTES sizeof(struct utmpx)

enum login_utmp_kind {
    LOGIN_UTMP_TORN,  /* no record */
    LOGIN_UTMP_OTHER, /* of no interest */
    LOGIN_UTMP_BOOT,  /* all sessions have ended */
    LOGIN_UTMP_IN,    /* in btmp: failed */
    LOGIN_UTMP_OUT,   /* of the session on that terminal; the user is not said */
};

struct login_utmp {
    enum login_utmp_kind kind;
    struct utmpx record; /* where the texts of the event lie */
    char address[INET6_ADDRSTRLEN];
    struct login_event event;
};

/* `source` is LOGIN_WTMP or LOGIN_BTMP; `bytes` is LOGIN_UTMP_BYTES long. The result points into
 * itself: do not copy it. */
void login_utmp_parse(enum login_source source, struct span bytes, struct login_utmp *ret_utmp);

#endif
