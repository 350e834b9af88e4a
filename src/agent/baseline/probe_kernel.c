/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "kernel_module": whether a module is neither loaded nor can be. It cannot when modprobe.d runs
 * true or false in its place or lists it as not to be loaded, or when it was not built at all.
 */
#include "probe_priv.h"

#include <stdio.h>

static const char *const directories[] = {"/etc/modprobe.d/*.conf", "/run/modprobe.d/*.conf",
    "/usr/local/lib/modprobe.d/*.conf", "/usr/lib/modprobe.d/*.conf", "/lib/modprobe.d/*.conf"};

/* '-' and '_' are the same in a module's name. */
static bool is_module(struct span text, const char *module)
{
    if (text.len != strlen(module))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char a = text.ptr[i] == '-' ? '_' : text.ptr[i];
        char b = module[i] == '-' ? '_' : module[i];
        if (a != b)
            return false;
    }
    return true;
}

/* "kernel/fs/udf/udf.ko.xz: …" names the module udf. */
static bool names_file_of(struct span line, const char *module)
{
    struct span path = span_trim(span_first(line, span_find(line, ':')));
    for (size_t slash; (slash = span_find(path, '/')) < path.len;)
        path = span_from(path, slash + 1);
    return is_module(span_first(path, span_find(path, '.')), module);
}

static bool is_loaded(struct span line, const char *module)
{
    struct span word;
    return next_word(&line, &word) && is_module(word, module);
}

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* "install udf /bin/true", "blacklist udf" */
static bool is_barred(struct span line, const char *module)
{
    struct span verb, name, command;
    if (!next_word(&line, &verb) || !next_word(&line, &name) || !is_module(name, module))
        return false;
    if (span_is(verb, "blacklist"))
        return true;
    return span_is(verb, "install") && next_word(&line, &command) &&
           (ends_with(command, "/true") || ends_with(command, "/false"));
}

/* Whether a line of a file says so. LOOKED_MISSING: the file is not there. */
static enum looked find_line(struct context *context, const char *path, const char *module,
    bool (*says)(struct span line, const char *module), bool *ret_found, struct why *why)
{
    struct lines lines;
    struct span line;
    bool found = false;
    enum looked looked = lines_open(&context->root, path, &lines, why);
    if (looked != LOOKED_FOUND)
        return looked;
    while (!found && lines_next(&lines, &line))
        found = says(line, module);
    bool whole = found || lines_check(&lines, path, why);
    lines_close(&lines);
    *ret_found = found;
    return whole ? LOOKED_FOUND : LOOKED_FAILED;
}

static enum looked find_barred(
    struct context *context, const char *module, bool *ret_found, struct why *why)
{
    struct paths paths = {.count = 0};
    *ret_found = false;
    for (size_t i = 0; i < COUNT_OF(directories); i++)
        if (root_glob(&context->root, &context->scratch, directories[i], &paths) != ERR_NONE) {
            no_memory(why);
            return LOOKED_FAILED;
        }
    for (size_t i = 0; i < paths.count && !*ret_found; i++) {
        if (find_line(context, paths.items[i], module, is_barred, ret_found, why) == LOOKED_FAILED)
            return LOOKED_FAILED;
        if (*ret_found)
            why_set(why, "%s keeps %s from being loaded", paths.items[i], module);
    }
    return LOOKED_FOUND;
}

/* Whether it is among the modules that can be loaded, or in the kernel itself. */
static enum baseline_result judge_files(
    struct context *context, const char *module, struct why *why)
{
    bool found = false;
    const char *builtin =
        arena_format(&context->scratch, "/lib/modules/%s/modules.builtin", context->kernel_release);
    const char *loadable =
        arena_format(&context->scratch, "/lib/modules/%s/modules.dep", context->kernel_release);
    if (builtin == NULL || loadable == NULL)
        return no_memory(why);
    enum looked looked = find_line(context, builtin, module, names_file_of, &found, why);
    if (looked == LOOKED_FAILED)
        return BASELINE_ERROR;
    if (found) {
        why_set(why, "%s is built into the kernel", module);
        return BASELINE_FAIL;
    }
    bool barred;
    if (find_barred(context, module, &barred, why) != LOOKED_FOUND)
        return BASELINE_ERROR;
    if (barred)
        return BASELINE_PASS;
    looked = find_line(context, loadable, module, names_file_of, &found, why);
    if (looked == LOOKED_FAILED)
        return BASELINE_ERROR;
    if (looked == LOOKED_MISSING) {
        why_set(
            why, "the modules of the kernel %s are not on this system", context->kernel_release);
        return BASELINE_SKIP;
    }
    why_set(why, found ? "%s can be loaded" : "the kernel has no module %s", module);
    return pass_if(!found);
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    const char *module = arg_text(args, "module");
    bool loaded = false;
    /* A kernel without modules has no such file. */
    if (find_line(context, "/proc/modules", module, is_loaded, &loaded, why) == LOOKED_FAILED)
        return BASELINE_ERROR;
    if (loaded) {
        why_set(why, "%s is loaded", module);
        return BASELINE_FAIL;
    }
    return judge_files(context, module, why);
}

static const char *const states[] = {"disabled", NULL};

static const struct probe_arg args_table[] = {
    {.name = "module", .kind = ARG_WORD, .required = true},
    {.name = "state", .kind = ARG_CHOICE, .choices = states, .required = true},
    {.name = NULL},
};

const struct probe kernel_module_probe = {.name = "kernel_module", .args = args_table, .run = run};
