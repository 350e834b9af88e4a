/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a line of the PAM log, which packaging/pam/pam_audit.sh writes:
 *
 *   time,seconds,pid,open_session|close_session|auth,service,user,remote host,terminal,0|1|2
 *
 * with 0 for a login, 1 for a logout, 2 for a failure. The script writes '%', ',' and control bytes
 * of a field as "%2C". The original's does not; there a comma can only be in the user's name, which
 * is what stands between the fields before and behind it. Pure.
 */
#ifndef GEMEL_LOGIN_PAM_H
#define GEMEL_LOGIN_PAM_H

#include "login_event.h"

/* The event's texts lie in `scratch` or in the line. False: not of that form, or of a program that
 * nobody logs in through. */
bool login_pam_parse(struct span line, char scratch[LOGIN_USER_MAX + LOGIN_ADDRESS_MAX],
    struct login_event *ret_event);

#endif
