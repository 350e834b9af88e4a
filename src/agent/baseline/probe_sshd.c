/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "sshd": what the SSH server is told, as sshd_config(5) says: of a keyword the first value counts,
 * also from included files, in the place where they are included; what stands behind Match is for
 * some connections only, and is not looked at. Without the keyword the default of the check counts.
 */
#include "probe_priv.h"

#include <fnmatch.h>
#include <stdio.h>

#define CONFIG "/etc/ssh/sshd_config"
#define INCLUDES_MAX 16u /* as OpenSSH's own limit */
#define FILES_MAX 256u

struct search {
    struct context *context;
    const char *keyword;
    char value[LINE_BYTES_MAX];
    const char *path; /* where it stands; NULL: not found */
    unsigned files;
    enum looked looked; /* LOOKED_FAILED stops the search */
    struct why why;
};

static void search_file(struct search *search, const char *path, unsigned depth);

/* A word, or what stands between double quotes. */
static bool next_value(struct span *rest, struct span *ret_value)
{
    *rest = span_trim(*rest);
    if (rest->len == 0 || rest->ptr[0] != '"')
        return next_word(rest, ret_value);
    *rest = span_from(*rest, 1);
    *ret_value = span_first(*rest, span_find(*rest, '"'));
    *rest = span_from(*rest, ret_value->len + 1);
    return true;
}

static void include(struct search *search, struct span rest, unsigned depth)
{
    struct span pattern;
    struct arena *arena = &search->context->scratch;
    while (search->path == NULL && search->looked != LOOKED_FAILED && next_value(&rest, &pattern)) {
        struct paths paths = {.count = 0};
        const char *text = arena_format(arena, "%s%.*s",
            pattern.len > 0 && pattern.ptr[0] == '/' ? "" : "/etc/ssh/", SPAN_ARG(pattern));
        if (text == NULL || root_glob(&search->context->root, arena, text, &paths) != ERR_NONE) {
            no_memory(&search->why);
            search->looked = LOOKED_FAILED;
            return;
        }
        for (size_t i = 0; i < paths.count; i++)
            search_file(search, paths.items[i], depth + 1);
    }
}

/* "Keyword value" or "Keyword=value"; false at a Match block. */
static bool search_line(struct search *search, struct span line, const char *path, unsigned depth)
{
    line = span_trim(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return true;
    size_t len = 0;
    while (len < line.len && line.ptr[len] != ' ' && line.ptr[len] != '\t' &&
           line.ptr[len] != '=' && line.ptr[len] != '"')
        len++;
    struct span keyword = span_first(line, len);
    struct span rest = span_trim(span_from(line, len));
    if (rest.len > 0 && rest.ptr[0] == '=')
        rest = span_trim(span_from(rest, 1));
    if (span_eq_nocase(keyword, SPAN_LIT("Match")))
        return false;
    if (span_eq_nocase(keyword, SPAN_LIT("Include"))) {
        include(search, rest, depth);
        return true;
    }
    if (!span_eq_nocase(keyword, span_of(search->keyword)))
        return true;
    struct span value = rest;
    if (rest.len > 1 && rest.ptr[0] == '"')
        (void)next_value(&rest, &value);
    if (span_copy(value, search->value, sizeof(search->value)))
        search->path = path;
    return true;
}

static void search_file(struct search *search, const char *path, unsigned depth)
{
    struct lines *lines;
    struct span line;
    if (search->path != NULL || search->looked == LOOKED_FAILED)
        return;
    if (depth > INCLUDES_MAX || search->files++ == FILES_MAX) {
        why_set(&search->why, "%s includes too many files, or itself", CONFIG);
        search->looked = LOOKED_FAILED;
        return;
    }
    lines = mem_alloc(sizeof(*lines));
    if (lines == NULL) {
        no_memory(&search->why);
        search->looked = LOOKED_FAILED;
        return;
    }
    enum looked looked = lines_open(&search->context->root, path, lines, &search->why);
    if (looked == LOOKED_FAILED || depth == 0)
        search->looked = looked;
    if (looked == LOOKED_FOUND) {
        while (search->path == NULL && search->looked != LOOKED_FAILED &&
               lines_next(lines, &line) && search_line(search, line, path, depth))
            ;
        if (search->looked != LOOKED_FAILED && !lines_check(lines, path, &search->why))
            search->looked = LOOKED_FAILED;
        lines_close(lines);
    }
    mem_free(lines);
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool names_word(const char *list, const char *word, bool as_pattern)
{
    struct span rest = span_of(list), item;
    char text[256];
    while (span_cut(&rest, ',', &item))
        if (span_copy(span_trim(item), text, sizeof(text)) &&
            (as_pattern ? fnmatch(text, word, 0) == 0 : strcmp(text, word) == 0))
            return true;
    return false;
}

/* Lists of algorithms may begin with '+' or '^' (besides the default) or '-' (without these). */
static bool has_word(const char *value, const char *otherwise, const char *word)
{
    if (value[0] == '+' || value[0] == '^')
        return names_word(value + 1, word, false) || names_word(otherwise, word, false);
    if (value[0] == '-')
        return names_word(otherwise, word, false) && !names_word(value + 1, word, true);
    return names_word(value, word, false);
}

static bool is_one_of(const struct json *args, const char *value)
{
    arg_each(item, args, "one_of") if (span_eq_nocase(item->text, span_of(value))) return true;
    return false;
}

static enum baseline_result judge_text(
    const struct json *args, const char *value, const char *what, struct why *why)
{
    const char *pattern = arg_text(args, "matches");
    why_set(why, "%s is %s", what, value);
    if (json_find_text(args, "one_of") != NULL && !is_one_of(args, value))
        return BASELINE_FAIL;
    if (pattern != NULL) {
        regex_t regex;
        if (pattern_compile(pattern, REG_NOSUB, &regex, why) != ERR_NONE)
            return BASELINE_ERROR;
        bool matches = pattern_match(&regex, span_of(value), NULL);
        regfree(&regex);
        if (!matches)
            return BASELINE_FAIL;
    }
    arg_each(
        item, args, "none_of_words") if (has_word(value, arg_text(args, "default"), item->text.ptr))
    {
        why_set(why, "%s has %s", what, item->text.ptr);
        return BASELINE_FAIL;
    }
    return BASELINE_PASS;
}

static enum baseline_result judge(
    const struct json *args, const char *value, const char *where, struct why *why)
{
    char what[320];
    struct span text = span_of(value);
    uint64_t number;
    snprintf(what, sizeof(what), "%.60s (%.200s)", arg_text(args, "keyword"), where);
    enum baseline_result result = judge_text(args, value, what, why);
    if (result != BASELINE_PASS ||
        (json_find_text(args, "at_most") == NULL && json_find_text(args, "at_least") == NULL))
        return result;
    if (!span_u64(text, INT64_MAX, &number)) {
        why_set(why, "%s is %s, which is no number", what, value);
        return BASELINE_FAIL;
    }
    return judge_number(args, what, (int64_t)number, why);
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    struct search *search = arena_alloc(&context->scratch, sizeof(*search));
    if (search == NULL)
        return no_memory(why);
    search->context = context;
    search->keyword = arg_text(args, "keyword");
    search->looked = LOOKED_FOUND;
    search_file(search, CONFIG, 0);
    *why = search->why;
    if (search->looked != LOOKED_FOUND)
        return search->looked == LOOKED_MISSING ? BASELINE_SKIP : BASELINE_ERROR;
    if (search->path != NULL)
        return judge(args, search->value, search->path, why);
    return judge(args, arg_text(args, "default"), "by default", why);
}

static const struct probe_arg args_table[] = {
    {.name = "keyword", .kind = ARG_WORD, .required = true},
    {.name = "default", .kind = ARG_TEXT, .required = true},
    {.name = "one_of", .kind = ARG_WORDS, .group = 'a'},
    {.name = "at_most", .kind = ARG_COUNT, .group = 'a'},
    {.name = "at_least", .kind = ARG_COUNT, .group = 'a'},
    {.name = "matches", .kind = ARG_PATTERN, .group = 'a'},
    {.name = "none_of_words", .kind = ARG_WORDS, .group = 'a'},
    {.name = NULL},
};

const struct probe sshd_probe = {.name = "sshd", .args = args_table, .run = run};
