/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users, from the passwd file alone. Not through the system's name service: its modules
 * (LDAP, SSSD) may wait for the network, and what watches the machine must not wait. A user that
 * only they know has no name here; its id is always sent.
 */
#ifndef GEMEL_USERS_H
#define GEMEL_USERS_H

#include "buf.h"

#define USERS_FILE_MAX (1024u * 1024)

struct users {
    struct buf text;
};

/* Reads "passwd" in a directory, at most USERS_FILE_MAX of it. Without it there are no names. */
void users_load(const char *etc_dir, struct users *ret_users);
void users_done(struct users *users);

/* The name of a user id, borrowed; the empty span if it has none. */
struct span users_find(const struct users *users, uint32_t user_id);

#endif
