/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "file": whether files are there, and who may do what with them. A link counts as what it leads
 * to. Of many paths all must hold; with "exists": true one is enough, with false none may be there.
 */
#include "probe_priv.h"

#include <stdio.h>
#include <stdlib.h>

static bool has_type(const struct json *args, const struct stat *stat)
{
    const char *type = arg_text(args, "type");
    if (type == NULL)
        return true;
    return strcmp(type, "directory") == 0 ? S_ISDIR(stat->st_mode) : S_ISREG(stat->st_mode);
}

static bool may_own(
    struct context *context, const struct json *args, const char *name, uint32_t owner)
{
    arg_each(item, args, name)
    {
        if (strcmp(name, "owner") == 0) {
            const struct account *user = accounts_user(&context->accounts, item->text);
            if ((user != NULL && user->uid == owner) || (owner == 0 && span_is(item->text, "root")))
                return true;
        } else {
            const struct account_group *group = accounts_group(&context->accounts, item->text);
            if ((group != NULL && group->gid == owner) ||
                (owner == 0 && span_is(item->text, "root")))
                return true;
        }
    }
    return false;
}

/* The names that are allowed, for a sentence. */
static const char *names_of(struct context *context, const struct json *args, const char *name)
{
    const char *names = "";
    arg_each(item, args, name)
    {
        const char *more = arena_format(
            &context->scratch, "%s%s%s", names, *names == '\0' ? "" : " or ", item->text.ptr);
        names = more == NULL ? names : more;
    }
    return names;
}

static enum baseline_result check_mode(
    const struct json *args, const char *path, mode_t mode, struct why *why)
{
    const char *most = arg_text(args, "mode_at_most");
    mode &= 07777;
    if (most == NULL)
        return BASELINE_PASS;
    mode_t allowed = (mode_t)strtoul(most, NULL, 8);
    /* A set-user-id bit on a file that has a mode to keep is more than was allowed, too. */
    if ((mode & ~allowed & ~(mode_t)S_ISVTX) == 0)
        return BASELINE_PASS;
    why_set(why, "%s has mode %04o, %s is allowed", path, (unsigned)mode, most);
    return BASELINE_FAIL;
}

static enum baseline_result check_owners(struct context *context, const struct json *args,
    const char *path, const struct stat *stat, struct why *why)
{
    if (json_find_text(args, "owner") != NULL && !may_own(context, args, "owner", stat->st_uid)) {
        const struct account *user = accounts_uid(&context->accounts, stat->st_uid);
        why_set(why, "%s belongs to %s (user id %u), %s is asked for", path,
            user == NULL ? "an unknown user" : user->name, stat->st_uid,
            names_of(context, args, "owner"));
        return BASELINE_FAIL;
    }
    if (json_find_text(args, "group") != NULL && !may_own(context, args, "group", stat->st_gid)) {
        const struct account_group *group = accounts_gid(&context->accounts, stat->st_gid);
        why_set(why, "%s belongs to the group %s (group id %u), %s is asked for", path,
            group == NULL ? "without a name" : group->name, stat->st_gid,
            names_of(context, args, "group"));
        return BASELINE_FAIL;
    }
    return BASELINE_PASS;
}

static enum baseline_result check_one(struct context *context, const struct json *args,
    const char *path, const struct stat *stat, struct why *why)
{
    if (!has_type(args, stat)) {
        why_set(why, "%s is no %s", path, arg_text(args, "type"));
        return BASELINE_FAIL;
    }
    enum baseline_result result = check_mode(args, path, stat->st_mode, why);
    if (result == BASELINE_PASS)
        result = check_owners(context, args, path, stat, why);
    if (result == BASELINE_PASS)
        why_set(why, "%s is as it is asked for", path);
    return result;
}

static enum baseline_result missing(const struct json *args, const char *path, struct why *why)
{
    const char *word = arg_text(args, "missing");
    why_set(why, "%s does not exist", path);
    if (word == NULL || strcmp(word, "fail") == 0)
        return BASELINE_FAIL;
    return strcmp(word, "skip") == 0 ? BASELINE_SKIP : BASELINE_PASS;
}

static enum baseline_result unreadable(const char *path, int error, struct why *why)
{
    why_set(why, "%s cannot be looked at: %s", path, strerror(error));
    return BASELINE_ERROR;
}

/* "exists" alone: there is nothing else to judge. */
static enum baseline_result check_existence(
    struct context *context, const struct json *args, const struct paths *paths, struct why *why)
{
    bool wanted = arg_bool(args, "exists", true);
    for (size_t i = 0; i < paths->count; i++) {
        struct stat stat;
        int error = -root_stat(&context->root, paths->items[i], &stat);
        if (error != 0 && !root_is_missing(error))
            return unreadable(paths->items[i], error, why);
        if (error != 0 || !has_type(args, &stat))
            continue;
        why_set(why, "%s exists", paths->items[i]);
        return pass_if(wanted);
    }
    const struct json *first = arg_first(args, arg_text(args, "path") == NULL ? "paths" : "path");
    why_set(why, "%s does not exist", first->text.ptr);
    return pass_if(!wanted);
}

static enum baseline_result judge_each(
    struct context *context, const struct json *args, const struct paths *paths, struct why *why)
{
    bool single = arg_text(args, "path") != NULL;
    why_set(why, "no file is there to be judged");
    for (size_t i = 0; i < paths->count; i++) {
        struct stat stat;
        int error = -root_stat(&context->root, paths->items[i], &stat);
        if (root_is_missing(error) && !single)
            continue; /* a link that leads nowhere */
        enum baseline_result result = BASELINE_PASS;
        if (root_is_missing(error))
            return missing(args, paths->items[i], why);
        if (error != 0)
            return unreadable(paths->items[i], error, why);
        result = check_one(context, args, paths->items[i], &stat, why);
        if (result != BASELINE_PASS)
            return result;
    }
    if (paths->bounded) {
        why_set(why, "more than %u files match", PATHS_MAX);
        return BASELINE_ERROR;
    }
    return BASELINE_PASS;
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    struct paths paths;
    if (arg_paths(context, args, &paths) != ERR_NONE ||
        accounts_load(&context->root, &context->arena, &context->accounts) != ERR_NONE)
        return no_memory(why);
    bool judged = json_find_text(args, "mode_at_most") != NULL ||
                  json_find_text(args, "owner") != NULL || json_find_text(args, "group") != NULL;
    bool exists = json_find_text(args, "exists") != NULL;
    if (exists && (!judged || !arg_bool(args, "exists", true)))
        return check_existence(context, args, &paths, why);
    /* Of patterns, no match at all is fine unless the file says otherwise. */
    if (paths.count == 0 && json_find_text(args, "missing") != NULL)
        return missing(args, arg_first(args, "paths")->text.ptr, why);
    return judge_each(context, args, &paths, why);
}

static const char *const types[] = {"file", "directory", NULL};
static const char *const missings[] = {"pass", "fail", "skip", NULL};

static const struct probe_arg args_table[] = {
    {.name = "path", .kind = ARG_PATH, .group = 'A'},
    {.name = "paths", .kind = ARG_PATHS, .group = 'A'},
    {.name = "exists", .kind = ARG_BOOL, .group = 'a'},
    {.name = "mode_at_most", .kind = ARG_MODE, .group = 'a'},
    {.name = "owner", .kind = ARG_NAMES, .group = 'a'},
    {.name = "group", .kind = ARG_NAMES, .group = 'a'},
    {.name = "type", .kind = ARG_CHOICE, .choices = types, .group = 'a'},
    {.name = "missing", .kind = ARG_CHOICE, .choices = missings},
    {.name = NULL},
};

const struct probe file_probe = {.name = "file", .args = args_table, .run = run};
