/* SPDX-License-Identifier: Apache-2.0 */
#include "accounts_priv.h"

struct table {
    struct arena *arena;
    size_t size; /* of a row */
    char *rows;
    size_t count;
    size_t cap;
};

static void *add_row(struct table *table)
{
    if (table->count == table->cap) {
        size_t cap = table->cap == 0 ? 64 : 2 * table->cap;
        char *rows = arena_alloc(table->arena, cap * table->size);
        if (rows == NULL)
            return NULL;
        if (table->count > 0)
            memcpy(rows, table->rows, table->count * table->size);
        table->rows = rows;
        table->cap = cap;
    }
    return table->rows + table->count++ * table->size;
}

static enum err add_user(struct table *table, struct span line)
{
    struct span name, field, home, shell;
    uint64_t uid = 0, gid = 0;
    struct span rest = line;
    bool legacy = line.len > 0 && line.ptr[0] == '+';
    if (!span_cut(&rest, ':', &name))
        return ERR_NONE;
    bool whole = span_cut(&rest, ':', &field) && span_cut(&rest, ':', &field) &&
                 span_u64(field, UINT32_MAX, &uid) && span_cut(&rest, ':', &field) &&
                 span_u64(field, UINT32_MAX, &gid) && span_cut(&rest, ':', &field) &&
                 span_cut(&rest, ':', &home) && span_cut(&rest, ':', &shell);
    if (!whole && !legacy)
        return ERR_NONE;
    struct account *user = add_row(table);
    if (user == NULL)
        return ERR_MEMORY;
    *user = (struct account){.uid = (uint32_t)uid,
        .gid = (uint32_t)gid,
        .legacy = legacy,
        .name = arena_text(table->arena, name),
        .home = arena_text(table->arena, whole ? home : SPAN_LIT("")),
        .shell = arena_text(table->arena, whole ? shell : SPAN_LIT(""))};
    return user->name == NULL || user->home == NULL || user->shell == NULL ? ERR_MEMORY : ERR_NONE;
}

static enum err add_group(struct table *table, struct span line)
{
    struct span rest = line, name, field, members = SPAN_NONE;
    uint64_t gid = 0;
    bool legacy = line.len > 0 && line.ptr[0] == '+';
    if (!span_cut(&rest, ':', &name))
        return ERR_NONE;
    bool whole = span_cut(&rest, ':', &field) && span_cut(&rest, ':', &field) &&
                 span_u64(field, UINT32_MAX, &gid);
    if (!whole && !legacy)
        return ERR_NONE;
    if (!span_cut(&rest, ':', &members))
        members = SPAN_NONE;
    struct account_group *group = add_row(table);
    if (group == NULL)
        return ERR_MEMORY;
    *group = (struct account_group){.gid = (uint32_t)gid,
        .legacy = legacy,
        .name = arena_text(table->arena, name),
        .members = arena_text(table->arena, members)};
    return group->name == NULL || group->members == NULL ? ERR_MEMORY : ERR_NONE;
}

static enum err load(struct root *root, const char *path, struct table *table,
    enum err (*add)(struct table *table, struct span line), enum looked *ret_looked,
    struct why *ret_why)
{
    struct lines lines;
    struct span line;
    enum err err = ERR_NONE;
    *ret_looked = lines_open(root, path, &lines, ret_why);
    if (*ret_looked != LOOKED_FOUND)
        return ERR_NONE;
    while (err == ERR_NONE && lines_next(&lines, &line)) {
        line = span_first(line, strnlen(line.ptr, line.len)); /* no name holds a NUL */
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        if (table->count == ACCOUNTS_MAX) {
            why_set(ret_why, "%s has more than %u lines", path, ACCOUNTS_MAX);
            *ret_looked = LOOKED_FAILED;
            break;
        }
        err = add(table, line);
    }
    if (!lines_check(&lines, path, ret_why))
        *ret_looked = LOOKED_FAILED;
    lines_close(&lines);
    return err;
}

enum err accounts_load(struct root *root, struct arena *arena, struct accounts *accounts)
{
    if (accounts->tried)
        return ERR_NONE;
    struct table users = {.arena = arena, .size = sizeof(struct account)};
    struct table groups = {.arena = arena, .size = sizeof(struct account_group)};
    enum err err =
        load(root, "/etc/passwd", &users, add_user, &accounts->users_looked, &accounts->users_why);
    if (err == ERR_NONE)
        err = load(root, "/etc/group", &groups, add_group, &accounts->groups_looked,
            &accounts->groups_why);
    if (err != ERR_NONE)
        return err;
    accounts->users = (struct account *)(void *)users.rows;
    accounts->user_count = users.count;
    accounts->groups = (struct account_group *)(void *)groups.rows;
    accounts->group_count = groups.count;
    accounts->tried = true;
    return ERR_NONE;
}

const struct account *accounts_user(const struct accounts *accounts, struct span name)
{
    for (size_t i = 0; i < accounts->user_count; i++)
        if (!accounts->users[i].legacy && span_is(name, accounts->users[i].name))
            return &accounts->users[i];
    return NULL;
}

const struct account *accounts_uid(const struct accounts *accounts, uint32_t uid)
{
    for (size_t i = 0; i < accounts->user_count; i++)
        if (!accounts->users[i].legacy && accounts->users[i].uid == uid)
            return &accounts->users[i];
    return NULL;
}

const struct account_group *accounts_group(const struct accounts *accounts, struct span name)
{
    for (size_t i = 0; i < accounts->group_count; i++)
        if (!accounts->groups[i].legacy && span_is(name, accounts->groups[i].name))
            return &accounts->groups[i];
    return NULL;
}

const struct account_group *accounts_gid(const struct accounts *accounts, uint32_t gid)
{
    for (size_t i = 0; i < accounts->group_count; i++)
        if (!accounts->groups[i].legacy && accounts->groups[i].gid == gid)
            return &accounts->groups[i];
    return NULL;
}
