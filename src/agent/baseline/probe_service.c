/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "service": whether a service starts with the system, as the links say: systemd's in *.wants,
 * *.requires and by alias (presets say only what will be enabled some day), SysV's in rc?.d where
 * systemd has no unit of that name, OpenRC's and OpenWrt's.
 */
#include "probe_priv.h"

#include <limits.h>

static const char *const wanted_by[] = {"/etc/systemd/system/*.wants/%s",
    "/etc/systemd/system/*.requires/%s", "/run/systemd/system/*.wants/%s",
    "/run/systemd/system/*.requires/%s", "/usr/lib/systemd/system/*.wants/%s",
    "/lib/systemd/system/*.wants/%s", "/usr/local/lib/systemd/system/*.wants/%s"};

static const char *const units[] = {"/etc/systemd/system/%s", "/run/systemd/system/%s",
    "/usr/local/lib/systemd/system/%s", "/usr/lib/systemd/system/%s", "/lib/systemd/system/%s"};

static const char *const scripts[] = {
    "/etc/rc[2-5].d/S[0-9][0-9]%s", "/etc/rc.d/S[0-9][0-9]%s", "/etc/runlevels/*/%s"};

static const char *const inits[] = {
    "/usr/lib/systemd", "/lib/systemd", "/etc/init.d", "/etc/rc.d", "/etc/runlevels"};

static bool has_suffix(const char *name)
{
    static const char *const suffixes[] = {".service", ".socket", ".timer", ".path", ".target",
        ".mount", ".automount", ".slice", ".swap"};
    size_t len = strlen(name);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        size_t suffix = strlen(suffixes[i]);
        if (len > suffix && strcmp(name + len - suffix, suffixes[i]) == 0)
            return true;
    }
    return false;
}

/* Finds what a place with "%s" for the name matches. */
static const char *find(struct context *context, const char *place, const char *name)
{
    struct paths paths = {.count = 0};
    const char *percent = strstr(place, "%s");
    const char *pattern = arena_format(
        &context->scratch, "%.*s%s%s", (int)(percent - place), place, name, percent + 2);
    if (pattern == NULL ||
        root_glob(&context->root, &context->scratch, pattern, &paths) != ERR_NONE)
        return NULL;
    return paths.count == 0 ? NULL : paths.items[0];
}

/* The first unit file there is, which counts; `*ret_masked`: it leads to /dev/null or is empty. */
static const char *find_unit(struct context *context, const char *unit, bool *ret_masked)
{
    *ret_masked = false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        char target[PATH_MAX];
        struct stat stat;
        const char *path = find(context, units[i], unit);
        if (path == NULL)
            continue;
        *ret_masked = (root_readlink(&context->root, path, target, sizeof(target)) &&
                          strcmp(target, "/dev/null") == 0) ||
                      (root_stat(&context->root, path, &stat) == 0 && S_ISREG(stat.st_mode) &&
                          stat.st_size == 0);
        return path;
    }
    return NULL;
}

/* An alias in /etc is a link to the unit under another name. */
struct alias {
    struct context *context;
    const char *unit;
    bool found;
};

static bool is_alias(void *self, const char *name)
{
    struct alias *alias = self;
    char target[PATH_MAX];
    const char *path = arena_format(&alias->context->scratch, "/etc/systemd/system/%s", name);
    if (path == NULL)
        return false;
    if (strcmp(name, alias->unit) != 0 &&
        root_readlink(&alias->context->root, path, target, sizeof(target))) {
        const char *slash = strrchr(target, '/');
        alias->found = strcmp(slash == NULL ? target : slash + 1, alias->unit) == 0;
    }
    return !alias->found;
}

static bool is_enabled(struct context *context, const char *name, struct why *why)
{
    bool masked;
    const char *unit =
        has_suffix(name) ? name : arena_format(&context->scratch, "%s.service", name);
    if (unit == NULL)
        return false;
    const char *file = find_unit(context, unit, &masked);
    if (masked) {
        why_set(why, "%s is masked", unit);
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(wanted_by); i++) {
        const char *link = find(context, wanted_by[i], unit);
        if (link != NULL) {
            why_set(why, "%s is enabled by %s", unit, link);
            return true;
        }
    }
    struct alias alias = {context, unit, false};
    if (file != NULL)
        (void)root_each(&context->root, "/etc/systemd/system", is_alias, &alias);
    if (alias.found) {
        why_set(why, "%s is enabled under another name", unit);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(scripts) && file == NULL && unit != name; i++) {
        const char *link = find(context, scripts[i], name);
        if (link != NULL) {
            why_set(why, "%s is enabled by %s", name, link);
            return true;
        }
    }
    why_set(why, "%s is not enabled", name);
    return false;
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    bool wanted = arg_bool(args, "enabled", true);
    bool known = false;
    struct stat stat;
    for (size_t i = 0; i < COUNT_OF(inits); i++)
        known = known || root_stat(&context->root, inits[i], &stat) == 0;
    if (!known) {
        why_set(why, "how services start on this system is not known");
        return BASELINE_SKIP;
    }
    arg_each(item, args,
        arg_text(args, "name") != NULL ? "name" : "names") if (is_enabled(context, item->text.ptr,
                                                                   why)) return pass_if(wanted);
    return pass_if(!wanted);
}

static const struct probe_arg args_table[] = {
    {.name = "name", .kind = ARG_WORD, .group = 'A'},
    {.name = "names", .kind = ARG_WORDS, .group = 'A'},
    {.name = "enabled", .kind = ARG_BOOL, .required = true},
    {.name = NULL},
};

const struct probe service_probe = {.name = "service", .args = args_table, .run = run};
