/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "service": whether a service starts with the system, as the links say: systemd's in *.wants,
 * *.requires and by alias (presets say only what will be enabled some day), SysV's in rc?.d where
 * systemd has no unit of that name, OpenRC's and OpenWrt's.
 */
#include "probe_priv.h"

#include <limits.h>
#include <stdio.h>

/* What makes a unit start; the link has the unit's name. */
static const char *const wanted_by[] = {"/etc/systemd/system/*.wants/*",
    "/etc/systemd/system/*.requires/*", "/run/systemd/system/*.wants/*",
    "/run/systemd/system/*.requires/*", "/usr/local/lib/systemd/system/*.wants/*",
    "/usr/lib/systemd/system/*.wants/*", "/lib/systemd/system/*.wants/*"};

static const char *const units[] = {"/etc/systemd/system", "/run/systemd/system",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"};

/* What makes a script start: "S20name" in the first two, "name" in the last. */
static const char *const started_by[] = {
    "/etc/rc[2-5].d/S[0-9][0-9]*", "/etc/rc.d/S[0-9][0-9]*", "/etc/runlevels/*/*"};

static const char *const inits[] = {
    "/usr/lib/systemd", "/lib/systemd", "/etc/init.d", "/etc/rc.d", "/etc/runlevels"};

struct link {
    const char *name;
    const char *path;
};

/* Read once a scan. */
struct services {
    bool known; /* how services start here */
    struct link *units;
    size_t unit_count;
    struct link *aliases; /* the name of the unit behind another name */
    size_t alias_count;
    struct link *scripts;
    size_t script_count;
};

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

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Lists what patterns match. False: no memory. */
static bool list(struct context *context, const char *const *patterns, size_t count,
    struct link **ret_links, size_t *ret_count)
{
    struct paths paths = {.count = 0};
    for (size_t i = 0; i < count; i++)
        if (root_glob(&context->root, &context->arena, patterns[i], &paths) != ERR_NONE)
            return false;
    struct link *links = arena_alloc(&context->arena, (paths.count + 1) * sizeof(*links));
    for (size_t i = 0; links != NULL && i < paths.count; i++)
        links[i] = (struct link){base_name(paths.items[i]), paths.items[i]};
    *ret_links = links;
    *ret_count = paths.count;
    return links != NULL;
}

/* An alias in /etc is a link to the unit under another name. */
static bool list_aliases(struct context *context, struct services *services)
{
    static const char *const place[] = {"/etc/systemd/system/*"};
    size_t count, kept = 0;
    if (!list(context, place, 1, &services->aliases, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        char target[PATH_MAX];
        struct link *link = &services->aliases[i];
        if (!root_readlink(&context->root, link->path, target, sizeof(target)) ||
            strcmp(base_name(target), link->name) == 0)
            continue;
        const char *name = arena_text(&context->arena, span_of(base_name(target)));
        if (name == NULL)
            return false;
        services->aliases[kept++] = (struct link){name, link->path};
    }
    services->alias_count = kept;
    return true;
}

static bool list_scripts(struct context *context, struct services *services)
{
    if (!list(
            context, started_by, COUNT_OF(started_by), &services->scripts, &services->script_count))
        return false;
    for (size_t i = 0; i < services->script_count; i++) {
        struct link *script = &services->scripts[i];
        if (strncmp(script->path, "/etc/rc", 7) == 0)
            script->name += strlen("S20");
    }
    return true;
}

/* NULL without memory. */
static const struct services *load(struct context *context)
{
    struct stat stat;
    if (context->services != NULL)
        return context->services;
    struct services *services = arena_alloc(&context->arena, sizeof(*services));
    if (services == NULL || !list_aliases(context, services) || !list_scripts(context, services) ||
        !list(context, wanted_by, COUNT_OF(wanted_by), &services->units, &services->unit_count))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(inits); i++)
        services->known = services->known || root_stat(&context->root, inits[i], &stat) == 0;
    context->services = services;
    return services;
}

static const struct link *find(const struct link *links, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(links[i].name, name) == 0)
            return &links[i];
    return NULL;
}

/* Whether there is a unit file; the first one counts. `*ret_masked`: it leads to /dev/null or is
 * empty. */
static bool find_unit(struct context *context, const char *unit, bool *ret_masked)
{
    *ret_masked = false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        char target[PATH_MAX];
        struct stat stat;
        char path[PATH_MAX];
        int len = snprintf(path, sizeof(path), "%s/%s", units[i], unit);
        if (len < 0 || (size_t)len >= sizeof(path) || root_lstat(&context->root, path, &stat) != 0)
            continue;
        *ret_masked = root_readlink(&context->root, path, target, sizeof(target))
                          ? strcmp(target, "/dev/null") == 0
                          : S_ISREG(stat.st_mode) && stat.st_size == 0;
        return true;
    }
    return false;
}

static bool is_enabled(
    struct context *context, const struct services *services, const char *name, struct why *why)
{
    bool masked;
    const char *unit =
        has_suffix(name) ? name : arena_format(&context->scratch, "%s.service", name);
    if (unit == NULL)
        return false;
    bool has_unit = find_unit(context, unit, &masked);
    if (masked) {
        why_set(why, "%s is masked", unit);
        return false;
    }
    const struct link *link = find(services->units, services->unit_count, unit);
    if (link == NULL && has_unit)
        link = find(services->aliases, services->alias_count, unit);
    if (link == NULL && !has_unit && unit != name)
        link = find(services->scripts, services->script_count, name);
    if (link == NULL)
        why_set(why, "%s is not enabled", name);
    else
        why_set(why, "%s is enabled by %s", name, link->path);
    return link != NULL;
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    bool wanted = arg_bool(args, "enabled", true);
    const struct services *services = load(context);
    if (services == NULL)
        return no_memory(why);
    if (!services->known) {
        why_set(why, "how services start on this system is not known");
        return BASELINE_SKIP;
    }
    arg_each(item, args,
        arg_text(args, "name") != NULL ? "name"
                                       : "names") if (is_enabled(context, services, item->text.ptr,
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
