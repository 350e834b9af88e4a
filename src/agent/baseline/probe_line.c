/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "line": whether a line of some files matches a pattern; of numbers, the last match counts, as in
 * most configuration. "login_defs": a value of /etc/login.defs. No line is quoted: it may hold a
 * secret.
 */
#include "probe_priv.h"

#include <stdio.h>

struct found {
    const char *path; /* of the last match; NULL: none */
    size_t number;
    bool is_number;
    uint64_t value;
    size_t files; /* that could be read */
    bool cut;     /* a line was too long to be judged whole */
};

static bool is_comment(struct span line)
{
    line = span_trim(line);
    return line.len > 0 && (line.ptr[0] == '#' || line.ptr[0] == ';');
}

/* Looks through a file. LOOKED_FAILED: it could not be read to its end. */
static enum looked search(struct context *context, const struct json *args, const char *path,
    const regex_t *regex, struct found *found, struct why *why)
{
    bool ignore = arg_bool(args, "ignore_comments", false);
    bool numbers =
        json_find_text(args, "at_most") != NULL || json_find_text(args, "at_least") != NULL;
    struct lines lines;
    struct span line, capture;
    enum looked looked = lines_open(&context->root, path, &lines, why);
    if (looked != LOOKED_FOUND)
        return looked;
    found->files++;
    while (lines_next(&lines, &line)) {
        if (ignore && is_comment(line))
            continue;
        if (!pattern_match(regex, line, numbers ? &capture : NULL)) {
            found->cut = found->cut || lines.cut;
            continue;
        }
        found->path = path;
        found->number = lines.number;
        found->is_number = numbers && span_u64(capture, INT64_MAX, &found->value);
        if (!numbers)
            break;
    }
    bool whole = lines_check(&lines, path, why);
    lines_close(&lines);
    return whole ? LOOKED_FOUND : LOOKED_FAILED;
}

static enum baseline_result judge(
    const struct json *args, const struct found *found, struct why *why)
{
    bool numbers =
        json_find_text(args, "at_most") != NULL || json_find_text(args, "at_least") != NULL;
    const char *first = arg_first(args, "paths")->text.ptr;
    bool wanted = arg_bool(args, "present", true);
    if (found->path == NULL && found->cut) {
        why_set(why, "%s or the like has a line of more than %u bytes", first, LINE_BYTES_MAX);
        return BASELINE_ERROR;
    }
    if (found->path == NULL) {
        if (found->files == 0)
            why_set(why, "%s does not exist", first);
        else
            why_set(why, "no line of %s%s is the one %s", first,
                arg_first(args, "paths")->next == NULL ? "" : " or the like",
                wanted ? "that is asked for" : "that must not be there");
        return pass_if(!wanted);
    }
    if (!numbers) {
        why_set(why, "%s, line %zu, is the one that %s", found->path, found->number,
            wanted ? "is asked for" : "must not be there");
        return pass_if(wanted);
    }
    char what[256];
    snprintf(what, sizeof(what), "the value in %.200s, line %zu,", found->path, found->number);
    if (!found->is_number) {
        why_set(why, "%s is no number", what);
        return BASELINE_FAIL;
    }
    enum baseline_result result = judge_number(args, what, (int64_t)found->value, why);
    return wanted ? result : pass_if(result == BASELINE_FAIL);
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    struct paths paths;
    struct found found = {.path = NULL};
    regex_t regex;
    if (arg_paths(context, args, &paths) != ERR_NONE)
        return no_memory(why);
    bool numbers =
        json_find_text(args, "at_most") != NULL || json_find_text(args, "at_least") != NULL;
    if (pattern_compile(arg_text(args, "pattern"), numbers ? 0 : REG_NOSUB, &regex, why) !=
        ERR_NONE)
        return BASELINE_ERROR;
    enum looked looked = LOOKED_FOUND;
    for (size_t i = 0; i < paths.count && looked != LOOKED_FAILED; i++) {
        looked = search(context, args, paths.items[i], &regex, &found, why);
        if (found.path != NULL && !numbers)
            break; /* whatever else stands there */
    }
    regfree(&regex);
    return looked == LOOKED_FAILED ? BASELINE_ERROR : judge(args, &found, why);
}

static const struct probe_arg args_table[] = {
    {.name = "paths", .kind = ARG_PATHS, .required = true},
    {.name = "pattern", .kind = ARG_PATTERN, .required = true},
    {.name = "present", .kind = ARG_BOOL, .required = true},
    {.name = "at_most", .kind = ARG_COUNT},
    {.name = "at_least", .kind = ARG_COUNT},
    {.name = "ignore_comments", .kind = ARG_BOOL},
    {.name = NULL},
};

const struct probe line_probe = {.name = "line", .args = args_table, .run = run};

/* ---- login.defs ------------------------------------------------------------------------------ */

enum looked login_defs_find(
    struct context *context, const char *key, char *ret_value, size_t size, struct why *why)
{
    struct lines lines;
    struct span line, name, value;
    bool found = false;
    enum looked looked = lines_open(&context->root, "/etc/login.defs", &lines, why);
    if (looked != LOOKED_FOUND)
        return looked;
    while (lines_next(&lines, &line))
        if (next_word(&line, &name) && span_is(name, key) && next_word(&line, &value))
            found = span_copy(value, ret_value, size) || found;
    bool whole = lines_check(&lines, "/etc/login.defs", why);
    lines_close(&lines);
    if (!whole)
        return LOOKED_FAILED;
    if (!found)
        why_set(why, "/etc/login.defs does not set %s", key);
    return found ? LOOKED_FOUND : LOOKED_MISSING;
}

static enum baseline_result run_login_defs(
    struct context *context, const struct json *args, struct why *why)
{
    const char *key = arg_text(args, "key");
    const char *equals = arg_text(args, "equals");
    char value[256], what[320];
    uint64_t number;
    struct stat stat;
    if (root_is_missing(-root_stat(&context->root, "/etc/login.defs", &stat))) {
        why_set(why, "/etc/login.defs does not exist");
        return BASELINE_SKIP;
    }
    enum looked looked = login_defs_find(context, key, value, sizeof(value), why);
    if (looked != LOOKED_FOUND)
        return looked == LOOKED_MISSING ? BASELINE_FAIL : BASELINE_ERROR;
    snprintf(what, sizeof(what), "%.250s in /etc/login.defs", key);
    if (equals != NULL) {
        why_set(why, "%s is %s, %s is asked for", what, value, equals);
        return pass_if(strcmp(value, equals) == 0);
    }
    if (!span_u64(span_of(value), INT64_MAX, &number)) {
        why_set(why, "%s is %s, which is no number", what, value);
        return BASELINE_FAIL;
    }
    return judge_number(args, what, (int64_t)number, why);
}

static const struct probe_arg login_defs_args[] = {
    {.name = "key", .kind = ARG_WORD, .required = true},
    {.name = "equals", .kind = ARG_WORD, .group = 'a'},
    {.name = "at_most", .kind = ARG_COUNT, .group = 'a'},
    {.name = "at_least", .kind = ARG_COUNT, .group = 'a'},
    {.name = NULL},
};

const struct probe login_defs_probe = {
    .name = "login_defs", .args = login_defs_args, .run = run_login_defs};
