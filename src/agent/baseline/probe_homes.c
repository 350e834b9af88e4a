/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the home directories of those who can log in. */
#include "account_rules_priv.h"

#include <limits.h>
#include <stdio.h>

/* True: the account offends. `home` is NULL where there is no directory. */
typedef bool judge_home(
    struct context *context, const struct account *user, const struct stat *home);

static enum baseline_result judge_homes(
    struct context *context, judge_home *judge, const char *good, const char *bad, struct why *why)
{
    struct offenders offenders = {.count = 0};
    for (size_t i = 0; i < context->accounts.user_count; i++) {
        const struct account *user = &context->accounts.users[i];
        struct stat stat;
        if (!account_can_log_in(user))
            continue;
        int error = user->home[0] == '/' ? -root_stat(&context->root, user->home, &stat) : 0;
        if (error != 0 && !root_is_missing(error)) {
            why_set(why, "%s cannot be looked at: %s", user->home, strerror(error));
            return BASELINE_ERROR;
        }
        bool there = user->home[0] == '/' && error == 0 && S_ISDIR(stat.st_mode);
        if (judge(context, user, there ? &stat : NULL))
            offenders_add(&offenders, user->name);
    }
    return offenders_judge(&offenders, good, bad, why);
}

static bool is_missing(
    struct context *context UNUSED, const struct account *user UNUSED, const struct stat *home)
{
    return home == NULL;
}

enum baseline_result rule_home_exists(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(context, is_missing, "everybody who can log in has a home directory",
        "has or have no home directory", why);
}

static bool is_foreign(
    struct context *context UNUSED, const struct account *user, const struct stat *home)
{
    return home != NULL && home->st_uid != user->uid;
}

enum baseline_result rule_home_owned(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(context, is_foreign, "everybody owns the own home directory",
        "does or do not own the own home directory", why);
}

static bool is_open(
    struct context *context UNUSED, const struct account *user UNUSED, const struct stat *home)
{
    return home != NULL && (home->st_mode & 027) != 0;
}

enum baseline_result rule_home_mode(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(context, is_open, "no home directory is more open than mode 0750",
        "has or have a home directory that is more open than mode 0750", why);
}

/* ---- files in them --------------------------------------------------------------------------- */

struct dotfiles {
    struct context *context;
    const char *home;
    bool writable;
};

static bool look_at(void *self, const char *name)
{
    struct dotfiles *dotfiles = self;
    struct stat stat;
    if (name[0] != '.')
        return true;
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", dotfiles->home, name);
    if (len > 0 && (size_t)len < sizeof(path) &&
        root_lstat(&dotfiles->context->root, path, &stat) == 0 && S_ISREG(stat.st_mode))
        dotfiles->writable = (stat.st_mode & 022) != 0;
    return !dotfiles->writable;
}

static bool has_open_dotfile(
    struct context *context, const struct account *user, const struct stat *home)
{
    struct dotfiles dotfiles = {context, user->home, false};
    if (home != NULL)
        (void)root_each(&context->root, user->home, look_at, &dotfiles);
    return dotfiles.writable;
}

enum baseline_result rule_dotfiles_mode(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(context, has_open_dotfile, "no dot file can be written to by others",
        "has or have a dot file that others can write to", why);
}

static bool has_file(struct context *context, const struct account *user, const char *name)
{
    struct stat stat;
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", user->home, name);
    return len > 0 && (size_t)len < sizeof(path) && root_lstat(&context->root, path, &stat) == 0;
}

static bool has_rhosts(struct context *context, const struct account *user, const struct stat *home)
{
    return home != NULL && has_file(context, user, ".rhosts");
}

static bool has_netrc(struct context *context, const struct account *user, const struct stat *home)
{
    return home != NULL && has_file(context, user, ".netrc");
}

static bool has_forward(
    struct context *context, const struct account *user, const struct stat *home)
{
    return home != NULL && has_file(context, user, ".forward");
}

enum baseline_result rule_no_rhosts(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(
        context, has_rhosts, "nobody has a file .rhosts", "has or have a file .rhosts", why);
}

enum baseline_result rule_no_netrc(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(
        context, has_netrc, "nobody has a file .netrc", "has or have a file .netrc", why);
}

enum baseline_result rule_no_forward(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    return judge_homes(
        context, has_forward, "nobody has a file .forward", "has or have a file .forward", why);
}
