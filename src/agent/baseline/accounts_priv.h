/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of the machine that is judged: /etc/passwd and /etc/group below the root, read once
 * a scan. Directory services are not asked. At most ACCOUNTS_MAX lines of each count.
 */
#ifndef GEMEL_BASELINE_ACCOUNTS_PRIV_H
#define GEMEL_BASELINE_ACCOUNTS_PRIV_H

#include "root_priv.h"

#define ACCOUNTS_MAX 16384u

struct account {
    const char *name;
    uint32_t uid;
    uint32_t gid;
    const char *home;
    const char *shell;
    bool legacy; /* a line that begins with '+': an inclusion of NIS */
};

struct account_group {
    const char *name;
    uint32_t gid;
    const char *members; /* names with commas between */
    bool legacy;
};

struct accounts {
    bool tried;
    enum looked users_looked;
    enum looked groups_looked;
    struct why users_why;
    struct why groups_why;
    struct account *users;
    size_t user_count;
    struct account_group *groups;
    size_t group_count;
};

/* Reads them, the first time. ERR_MEMORY. */
enum err accounts_load(struct root *root, struct arena *arena, struct accounts *accounts) MUST_USE;

/* NULL: there is none. */
const struct account *accounts_user(const struct accounts *accounts, struct span name);
const struct account *accounts_uid(const struct accounts *accounts, uint32_t uid);
const struct account_group *accounts_group(const struct accounts *accounts, struct span name);
const struct account_group *accounts_gid(const struct accounts *accounts, uint32_t gid);

#endif
