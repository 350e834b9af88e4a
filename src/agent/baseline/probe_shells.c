/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about what shells begin with, as the files that set it say; no shell is asked. */
#include "account_rules_priv.h"

#include <limits.h>

static const char *const shell_files[] = {
    "/etc/profile", "/etc/profile.d/*.sh", "/etc/bash.bashrc", "/etc/bashrc"};

/* Judges the value that an assignment has; false: it is not good enough. */
typedef bool judge_value(const struct json *args, struct span value);

struct found {
    size_t count;
    const char *bad_path; /* of the first that is not good enough */
    size_t bad_line;
};

static enum looked search_file(struct context *context, const struct json *args, const char *path,
    const regex_t *regex, judge_value *judge, struct found *found, struct why *why)
{
    struct lines lines;
    struct span line, value;
    enum looked looked = lines_open(&context->root, path, &lines, why);
    if (looked != LOOKED_FOUND)
        return looked;
    while (lines_next(&lines, &line)) {
        if (!pattern_match(regex, line, &value))
            continue;
        found->count++;
        if (found->bad_path == NULL && !judge(args, value)) {
            found->bad_path = path;
            found->bad_line = lines.number;
        }
    }
    bool whole = lines_check(&lines, path, why);
    lines_close(&lines);
    return whole ? LOOKED_FOUND : LOOKED_FAILED;
}

/* False: it could not be looked at. */
static bool search_shell_files(struct context *context, const struct json *args,
    const char *pattern, judge_value *judge, struct found *found, struct why *why)
{
    struct paths paths = {.count = 0};
    regex_t regex;
    for (size_t i = 0; i < COUNT_OF(shell_files); i++)
        if (root_glob(&context->root, &context->scratch, shell_files[i], &paths) != ERR_NONE) {
            no_memory(why);
            return false;
        }
    if (pattern_compile(pattern, 0, &regex, why) != ERR_NONE)
        return false;
    enum looked looked = LOOKED_FOUND;
    for (size_t i = 0; i < paths.count && looked != LOOKED_FAILED; i++)
        looked = search_file(context, args, paths.items[i], &regex, judge, found, why);
    regfree(&regex);
    return looked != LOOKED_FAILED;
}

/* ---- umask ----------------------------------------------------------------------------------- */

/* "027", or "u=rwx,g=rx,o=": what is left to others. */
static bool is_strict(const struct json *args UNUSED, struct span value)
{
    unsigned mask = 0;
    struct span rest = value, part;
    if (value.len > 0 && value.ptr[0] >= '0' && value.ptr[0] <= '7') {
        for (size_t i = 0; i < value.len && mask <= 07777; i++)
            mask = 8 * mask + (unsigned)(value.ptr[i] - '0');
        return (mask & 027) == 027;
    }
    bool others = false, group = false;
    while (span_cut(&rest, ',', &part)) {
        size_t at = span_find(part, '=');
        struct span rights = span_from(part, at + 1);
        if (span_find(span_first(part, at), 'o') < at)
            others = rights.len == 0;
        if (span_find(span_first(part, at), 'g') < at)
            group = span_find(rights, 'w') == rights.len;
    }
    return others && group;
}

enum baseline_result rule_default_umask(
    struct context *context, const struct json *args, struct why *why)
{
    struct found found = {.count = 0};
    char value[64];
    if (!search_shell_files(context, args, "^[[:space:]]*umask[[:space:]]+([0-7ugorwx=,]+)",
            is_strict, &found, why))
        return BASELINE_ERROR;
    if (found.bad_path != NULL) {
        why_set(why, "%s, line %zu, sets a umask that leaves more than 027", found.bad_path,
            found.bad_line);
        return BASELINE_FAIL;
    }
    if (found.count > 0) {
        why_set(why, "every umask of the shells' files is 027 or stricter");
        return BASELINE_PASS;
    }
    /* pam_umask takes it for every session. */
    enum looked looked = login_defs_find(context, "UMASK", value, sizeof(value), why);
    if (looked == LOOKED_FAILED)
        return BASELINE_ERROR;
    if (looked == LOOKED_MISSING) {
        why_set(why, "neither the shells' files nor /etc/login.defs set a umask");
        return BASELINE_FAIL;
    }
    why_set(why, "the umask in /etc/login.defs is %s", value);
    return pass_if(is_strict(args, span_of(value)));
}

/* ---- TMOUT ----------------------------------------------------------------------------------- */

static bool is_in_time(const struct json *args, struct span value)
{
    uint64_t seconds;
    int64_t most = 900;
    (void)arg_int(args, "at_most", &most);
    return span_u64(value, INT64_MAX, &seconds) && seconds > 0 && (int64_t)seconds <= most;
}

enum baseline_result rule_shell_timeout(
    struct context *context, const struct json *args, struct why *why)
{
    struct found found = {.count = 0};
    int64_t most = 900;
    (void)arg_int(args, "at_most", &most);
    if (!search_shell_files(context, args, "^[^#]*TMOUT=[\"']?([0-9]+)", is_in_time, &found, why))
        return BASELINE_ERROR;
    if (found.bad_path != NULL)
        why_set(why, "%s, line %zu, sets TMOUT to 0 or to more than %lld", found.bad_path,
            found.bad_line, (long long)most);
    else if (found.count == 0)
        why_set(why, "no file of the shells sets TMOUT");
    else
        why_set(why, "TMOUT is set, and is %lld at most", (long long)most);
    return pass_if(found.count > 0 && found.bad_path == NULL);
}

/* ---- root's search path ---------------------------------------------------------------------- */

/* Why a directory of the path is not to be trusted; NULL: it is, or it is not there. */
static const char *distrust(struct context *context, const char *directory)
{
    struct stat stat;
    if (directory[0] != '/')
        return "is not absolute";
    if (root_stat(&context->root, directory, &stat) != 0)
        return NULL;
    if (!S_ISDIR(stat.st_mode))
        return "is no directory";
    if (stat.st_uid != 0)
        return "does not belong to root";
    return (stat.st_mode & 022) != 0 ? "can be written to by others than root" : NULL;
}

static enum baseline_result judge_path(
    struct context *context, const char *place, struct span path, struct why *why)
{
    struct span rest = path, part;
    while (span_cut(&rest, ':', &part)) {
        char directory[PATH_MAX];
        if (part.len == 0) {
            why_set(why, "the path in %s has an empty part: the current directory", place);
            return BASELINE_FAIL;
        }
        if (!span_copy(part, directory, sizeof(directory)))
            continue;
        const char *reason = distrust(context, directory);
        if (reason != NULL) {
            why_set(why, "%s in the path in %s %s", directory, place, reason);
            return BASELINE_FAIL;
        }
    }
    why_set(why, "the search path of root names trusted directories only");
    return BASELINE_PASS;
}

/* "PATH=…", with or without quotes around the value; the empty span if it is none. */
static struct span path_value(struct span line)
{
    line = span_trim(line);
    if (!span_starts(line, SPAN_LIT("PATH=")))
        return SPAN_NONE;
    line = span_from(line, strlen("PATH="));
    if (line.len > 1 && line.ptr[0] == '"' && line.ptr[line.len - 1] == '"')
        line = (struct span){line.ptr + 1, line.len - 2};
    return line;
}

enum baseline_result rule_root_path(
    struct context *context, const struct json *args UNUSED, struct why *why)
{
    char value[LINE_BYTES_MAX];
    struct lines lines;
    struct span line;
    enum baseline_result result = BASELINE_SKIP;
    enum looked looked = login_defs_find(context, "ENV_SUPATH", value, sizeof(value), why);
    if (looked == LOOKED_FAILED)
        return BASELINE_ERROR;
    if (looked == LOOKED_FOUND) {
        struct span path = path_value(span_of(value));
        result = judge_path(context, "/etc/login.defs", path.len == 0 ? span_of(value) : path, why);
    }
    if (result == BASELINE_FAIL)
        return result;
    looked = lines_open(&context->root, "/etc/environment", &lines, why);
    if (looked == LOOKED_FAILED)
        return BASELINE_ERROR;
    if (looked == LOOKED_FOUND) {
        while (result != BASELINE_FAIL && lines_next(&lines, &line)) {
            struct span path = path_value(line);
            if (path.len > 0)
                result = judge_path(context, "/etc/environment", path, why);
        }
        lines_close(&lines);
    }
    if (result == BASELINE_SKIP)
        why_set(why, "neither /etc/login.defs nor /etc/environment set the search path of root");
    else if (result == BASELINE_PASS)
        why_set(why, "the search path of root names trusted directories only");
    return result;
}
