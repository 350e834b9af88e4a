/* SPDX-License-Identifier: Apache-2.0 */
/* "accounts": rules about users and groups, as /etc/passwd, /etc/group and /etc/shadow have them.
 */
#include "account_rules_priv.h"

#include <stdio.h>
#include <stdlib.h>

bool account_can_log_in(const struct account *user)
{
    static const char *const closed[] = {"nologin", "false", "sync", "shutdown", "halt", "true"};
    const char *slash = strrchr(user->shell, '/');
    const char *name = slash == NULL ? user->shell : slash + 1;
    for (size_t i = 0; i < COUNT_OF(closed); i++)
        if (strcmp(name, closed[i]) == 0)
            return false;
    return !user->legacy;
}

void offenders_add(struct offenders *offenders, const char *name)
{
    size_t len = strlen(offenders->names);
    if (offenders->count++ < 5)
        snprintf(offenders->names + len, sizeof(offenders->names) - len, "%s%.64s",
            len == 0 ? "" : ", ", name);
}

enum baseline_result offenders_judge(
    const struct offenders *offenders, const char *good, const char *bad, struct why *why)
{
    if (offenders->count == 0)
        why_set(why, "%s", good);
    else if (offenders->count <= 5)
        why_set(why, "%s %s", offenders->names, bad);
    else
        why_set(why, "%zu (%s, ...) %s", offenders->count, offenders->names, bad);
    return pass_if(offenders->count == 0);
}

/* ---- users ----------------------------------------------------------------------------------- */

static enum baseline_result uid0_only_root(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    struct offenders offenders = {.count = 0};
    for (size_t i = 0; i < context->accounts.user_count; i++) {
        const struct account *user = &context->accounts.users[i];
        if (!user->legacy && user->uid == 0 && strcmp(user->name, "root") != 0)
            offenders_add(&offenders, user->name);
    }
    return offenders_judge(
        &offenders, "only root has the user id 0", "has or have the user id 0", why);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the pieces that occur more than once. */
static enum baseline_result judge_unique(
    const char **texts, size_t count, const char *what, struct why *why)
{
    struct offenders offenders = {.count = 0};
    char good[80], bad[80];
    if (texts == NULL)
        return no_memory(why);
    qsort(texts, count, sizeof(*texts), by_text);
    for (size_t i = 1; i < count; i++)
        if (strcmp(texts[i], texts[i - 1]) == 0 &&
            (i == 1 || strcmp(texts[i - 1], texts[i - 2]) != 0))
            offenders_add(&offenders, texts[i]);
    snprintf(good, sizeof(good), "no %s occurs twice", what);
    snprintf(bad, sizeof(bad), "stands or stand more than once as %s", what);
    return offenders_judge(&offenders, good, bad, why);
}

enum column { USER_NAME, USER_ID, GROUP_NAME, GROUP_ID };

static enum baseline_result unique(
    struct context *context, enum column column, const char *what, struct why *why)
{
    const struct accounts *accounts = &context->accounts;
    bool users = column == USER_NAME || column == USER_ID;
    size_t rows = users ? accounts->user_count : accounts->group_count, count = 0;
    const char **texts = arena_alloc(&context->scratch, (rows + 1) * sizeof(*texts));
    for (size_t i = 0; texts != NULL && i < rows; i++) {
        if (users ? accounts->users[i].legacy : accounts->groups[i].legacy)
            continue;
        const char *text = users ? accounts->users[i].name : accounts->groups[i].name;
        if (column == USER_ID || column == GROUP_ID)
            text = arena_format(
                &context->scratch, "%u", users ? accounts->users[i].uid : accounts->groups[i].gid);
        if (text == NULL)
            return no_memory(why);
        texts[count++] = text;
    }
    return judge_unique(texts, count, what, why);
}

static enum baseline_result unique_uid(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return unique(context, USER_ID, "user id", why);
}

static enum baseline_result unique_gid(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return unique(context, GROUP_ID, "group id", why);
}

static enum baseline_result unique_user(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return unique(context, USER_NAME, "user name", why);
}

static enum baseline_result unique_group(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return unique(context, GROUP_NAME, "group name", why);
}

static enum baseline_result groups_exist(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    struct offenders offenders = {.count = 0};
    for (size_t i = 0; i < context->accounts.user_count; i++) {
        const struct account *user = &context->accounts.users[i];
        if (!user->legacy && accounts_gid(&context->accounts, user->gid) == NULL)
            offenders_add(&offenders, user->name);
    }
    return offenders_judge(&offenders, "the group of every user exists",
        "is or are in a group that does not exist", why);
}

static enum baseline_result root_gid0(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    const struct account *root = accounts_user(&context->accounts, SPAN_LIT("root"));
    if (root == NULL) {
        why_set(why, "there is no user root");
        return BASELINE_SKIP;
    }
    why_set(why, "the group id of root is %u", root->gid);
    return pass_if(root->gid == 0);
}

static enum baseline_result system_nologin(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    struct offenders offenders = {.count = 0};
    char text[32];
    uint64_t first = 1000;
    struct why ignored;
    if (login_defs_find(context, "UID_MIN", text, sizeof(text), &ignored) == LOOKED_FOUND &&
        !span_u64(span_of(text), UINT32_MAX, &first))
        first = 1000;
    for (size_t i = 0; i < context->accounts.user_count; i++) {
        const struct account *user = &context->accounts.users[i];
        if (user->uid != 0 && user->uid < first && account_can_log_in(user))
            offenders_add(&offenders, user->name);
    }
    return offenders_judge(
        &offenders, "no system account has a login shell", "has or have a login shell", why);
}

static enum baseline_result shadow_group_empty(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    const struct account_group *shadow = accounts_group(&context->accounts, SPAN_LIT("shadow"));
    struct offenders offenders = {.count = 0};
    if (shadow == NULL) {
        why_set(why, "there is no group shadow");
        return BASELINE_PASS;
    }
    struct span rest = span_of(shadow->members), name;
    while (span_cut(&rest, ',', &name)) {
        char text[65];
        if (span_copy(span_first(span_trim(name), 64), text, sizeof(text)) && text[0] != '\0')
            offenders_add(&offenders, text);
    }
    for (size_t i = 0; i < context->accounts.user_count; i++)
        if (!context->accounts.users[i].legacy && context->accounts.users[i].gid == shadow->gid)
            offenders_add(&offenders, context->accounts.users[i].name);
    return offenders_judge(
        &offenders, "the group shadow has no members", "is or are in the group shadow", why);
}

static enum baseline_result no_legacy_plus(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    struct offenders offenders = {.count = 0};
    for (size_t i = 0; i < context->accounts.user_count; i++)
        if (context->accounts.users[i].legacy)
            offenders_add(&offenders, "/etc/passwd");
    for (size_t i = 0; i < context->accounts.group_count; i++)
        if (context->accounts.groups[i].legacy)
            offenders_add(&offenders, "/etc/group");
    return offenders_judge(
        &offenders, "no line begins with '+'", "has or have a line that begins with '+'", why);
}

/* ---- the table ------------------------------------------------------------------------------- */

struct rule_row {
    const char *name;
    account_rule *judge;
};

static const struct rule_row rows[] = {
    {"default_umask", rule_default_umask},
    {"dotfiles_mode", rule_dotfiles_mode},
    {"empty_password", rule_empty_password},
    {"groups_exist", groups_exist},
    {"home_exists", rule_home_exists},
    {"home_mode", rule_home_mode},
    {"home_owned", rule_home_owned},
    {"inactive_days", rule_inactive_days},
    {"last_change_past", rule_last_change_past},
    {"no_forward", rule_no_forward},
    {"no_legacy_plus", no_legacy_plus},
    {"no_netrc", rule_no_netrc},
    {"no_rhosts", rule_no_rhosts},
    {"password_max_days", rule_password_max_days},
    {"password_min_days", rule_password_min_days},
    {"password_warn_days", rule_password_warn_days},
    {"root_gid0", root_gid0},
    {"root_path", rule_root_path},
    {"shadow_group_empty", shadow_group_empty},
    {"shell_timeout", rule_shell_timeout},
    {"system_nologin", system_nologin},
    {"uid0_only_root", uid0_only_root},
    {"unique_gid", unique_gid},
    {"unique_group", unique_group},
    {"unique_uid", unique_uid},
    {"unique_user", unique_user},
};

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    struct accounts *accounts = &context->accounts;
    if (accounts_load(&context->root, &context->arena, accounts) != ERR_NONE)
        return no_memory(why);
    if (accounts->users_looked != LOOKED_FOUND || accounts->groups_looked != LOOKED_FOUND) {
        *why = accounts->users_looked != LOOKED_FOUND ? accounts->users_why : accounts->groups_why;
        return BASELINE_ERROR;
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].name, arg_text(args, "rule")) == 0)
            return rows[i].judge(context, args, why);
    must(false); /* a rule that the reader let through has a row */
    return BASELINE_ERROR;
}

static const char *const rules[] = {"default_umask", "dotfiles_mode", "empty_password",
    "groups_exist", "home_exists", "home_mode", "home_owned", "inactive_days", "last_change_past",
    "no_forward", "no_legacy_plus", "no_netrc", "no_rhosts", "password_max_days",
    "password_min_days", "password_warn_days", "root_gid0", "root_path", "shadow_group_empty",
    "shell_timeout", "system_nologin", "uid0_only_root", "unique_gid", "unique_group", "unique_uid",
    "unique_user", NULL};

static const struct probe_arg args_table[] = {
    {.name = "rule", .kind = ARG_CHOICE, .choices = rules, .required = true},
    {.name = "at_most", .kind = ARG_COUNT},
    {.name = "at_least", .kind = ARG_COUNT},
    {.name = NULL},
};

const struct probe accounts_probe = {.name = "accounts", .args = args_table, .run = run};
