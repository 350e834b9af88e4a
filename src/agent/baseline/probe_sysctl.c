/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "sysctl": a kernel setting as it is, and with "configured" also as the files of sysctl.d(5) would
 * set it at the next start: of files with the same name the one in the first directory counts, they
 * are read in the order of their names, and the last assignment wins; one without a pattern wins
 * over one with. Without systemd, /etc/sysctl.conf is read after all of them.
 */
#include "probe_priv.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const directories[] = {"/etc/sysctl.d", "/run/sysctl.d",
    "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"};

struct configured {
    char value[256]; /* of the last assignment by name */
    char by_pattern[256];
    bool found;
    bool found_pattern;
    const char *path; /* where it stands */
};

/* With the first separator a '.', the two change places (sysctl(8)): the form is the path's. */
static bool normal(struct span key, char *ret_key, size_t size)
{
    if (!span_copy(key, ret_key, size))
        return false;
    char *first = strpbrk(ret_key, "./");
    if (first == NULL || *first == '/')
        return true;
    for (char *at = ret_key; *at != '\0'; at++)
        *at = *at == '.' ? '/' : *at == '/' ? '.' : *at;
    return true;
}

static void read_line(
    struct span line, const char *path, const char *key, struct configured *configured)
{
    char name[256];
    line = span_trim(line);
    if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
        return;
    if (line.ptr[0] == '-')
        line = span_from(line, 1);
    size_t at = span_find(line, '=');
    if (at == line.len || !normal(span_trim(span_first(line, at)), name, sizeof(name)))
        return;
    struct span value = span_trim(span_from(line, at + 1));
    if (strcmp(name, key) == 0) {
        configured->found = span_copy(value, configured->value, sizeof(configured->value));
        configured->path = path;
    } else if (root_is_pattern(name) && fnmatch(name, key, FNM_PATHNAME) == 0) {
        configured->found_pattern =
            span_copy(value, configured->by_pattern, sizeof(configured->by_pattern));
        if (!configured->found)
            configured->path = path;
    }
}

static const char *base_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

static int by_base(const void *a, const void *b)
{
    return strcmp(base_name(*(const char *const *)a), base_name(*(const char *const *)b));
}

/* The files that count, in the order in which they are read. ERR_MEMORY. */
static enum err list_files(struct context *context, struct paths *ret_files)
{
    *ret_files = (struct paths){.count = 0};
    for (size_t i = 0; i < COUNT_OF(directories); i++) {
        struct paths found = {.count = 0};
        const char *pattern = arena_format(&context->scratch, "%s/*.conf", directories[i]);
        if (pattern == NULL ||
            root_glob(&context->root, &context->scratch, pattern, &found) != ERR_NONE)
            return ERR_MEMORY;
        const char **items =
            arena_alloc(&context->scratch, (ret_files->count + found.count + 1) * sizeof(*items));
        if (items == NULL)
            return ERR_MEMORY;
        size_t before = ret_files->count, count = before;
        if (before > 0)
            memcpy(items, ret_files->items, before * sizeof(*items));
        for (size_t j = 0; j < found.count; j++) {
            bool hidden = false;
            for (size_t k = 0; k < before && !hidden; k++)
                hidden = strcmp(base_name(items[k]), base_name(found.items[j])) == 0;
            if (!hidden)
                items[count++] = found.items[j];
        }
        *ret_files = (struct paths){.items = items, .count = count};
    }
    if (ret_files->count > 0)
        qsort(ret_files->items, ret_files->count, sizeof(*ret_files->items), by_base);
    return ERR_NONE;
}

static bool read_file(struct context *context, const char *path, const char *key,
    struct configured *configured, struct why *why)
{
    struct lines lines;
    struct span line;
    struct stat stat;
    /* A link to /dev/null switches off the file that it hides. */
    if (root_stat(&context->root, path, &stat) == 0 && S_ISCHR(stat.st_mode))
        return true;
    enum looked looked = lines_open(&context->root, path, &lines, why);
    if (looked != LOOKED_FOUND)
        return looked == LOOKED_MISSING;
    while (lines_next(&lines, &line))
        read_line(line, path, key, configured);
    bool whole = lines_check(&lines, path, why);
    lines_close(&lines);
    return whole;
}

static bool has_systemd(struct context *context)
{
    struct stat stat;
    return root_stat(&context->root, "/lib/systemd/systemd", &stat) == 0 ||
           root_stat(&context->root, "/usr/lib/systemd/systemd", &stat) == 0;
}

static bool allowed(const struct json *args, const char *value)
{
    const char *equals = arg_text(args, "equals");
    if (equals != NULL)
        return strcmp(equals, value) == 0;
    arg_each(item, args, "one_of") if (strcmp(item->text.ptr, value) == 0) return true;
    return false;
}

static enum baseline_result judge_configured(
    struct context *context, const struct json *args, const char *path, struct why *why)
{
    const char *key = arg_text(args, "key");
    struct configured configured = {.found = false};
    struct paths files;
    if (list_files(context, &files) != ERR_NONE)
        return no_memory(why);
    for (size_t i = 0; i < files.count; i++)
        if (!read_file(context, files.items[i], path, &configured, why))
            return BASELINE_ERROR;
    if (!has_systemd(context) && !read_file(context, "/etc/sysctl.conf", path, &configured, why))
        return BASELINE_ERROR;
    if (!configured.found && !configured.found_pattern) {
        why_set(why, "%s is as it should be now, but no file of sysctl.d sets it at the next start",
            key);
        return BASELINE_FAIL;
    }
    const char *value = configured.found ? configured.value : configured.by_pattern;
    why_set(why, "%s sets %s to %s", configured.path, key, value);
    return pass_if(allowed(args, value));
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    const char *key = arg_text(args, "key");
    char path[256];
    struct lines lines;
    struct span line = SPAN_NONE;
    char value[256];
    if (!normal(span_of(key), path, sizeof(path)) || strstr(path, "..") != NULL) {
        why_set(why, "%s is no kernel setting", key);
        return BASELINE_ERROR;
    }
    const char *file = arena_format(&context->scratch, "/proc/sys/%s", path);
    if (file == NULL)
        return no_memory(why);
    enum looked looked = lines_open(&context->root, file, &lines, why);
    if (looked == LOOKED_MISSING) {
        why_set(why, "this kernel has no setting %s", key);
        return BASELINE_SKIP;
    }
    if (looked == LOOKED_FAILED)
        return BASELINE_ERROR;
    bool read = lines_next(&lines, &line) && span_copy(span_trim(line), value, sizeof(value));
    bool whole = lines_check(&lines, file, why);
    lines_close(&lines);
    if (!whole)
        return BASELINE_ERROR;
    why_set(why, "%s is %s", key, read ? value : "empty");
    if (!read || !allowed(args, value))
        return BASELINE_FAIL;
    return arg_bool(args, "configured", false) ? judge_configured(context, args, path, why)
                                               : BASELINE_PASS;
}

static const struct probe_arg args_table[] = {
    {.name = "key", .kind = ARG_WORD, .required = true},
    {.name = "equals", .kind = ARG_WORD, .group = 'A'},
    {.name = "one_of", .kind = ARG_WORDS, .group = 'A'},
    {.name = "configured", .kind = ARG_BOOL},
    {.name = NULL},
};

const struct probe sysctl_probe = {.name = "sysctl", .args = args_table, .run = run};
