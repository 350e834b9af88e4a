/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "package": whether packages are installed, by the databases of dpkg, opkg and apk, which are
 * text. That of rpm is not read. The names are kept for the scan, in order, so that a database of
 * many thousand packages is read once.
 */
#include "probe_priv.h"

#include <stdlib.h>

#define PACKAGES_MAX 65536u

struct packages {
    enum looked looked;
    struct why why;
    const char **names;
    size_t count;
    size_t cap;
};

enum style { DPKG, APK };

struct database {
    const char *path; /* a pattern */
    enum style style;
};

static const struct database databases[] = {
    {"/var/lib/dpkg/status", DPKG},
    {"/var/lib/dpkg/status.d/*", DPKG}, /* images without dpkg itself */
    {"/usr/lib/opkg/status", DPKG},
    {"/var/lib/opkg/status", DPKG},
    {"/lib/apk/db/installed", APK},
    {"/usr/lib/apk/db/installed", APK},
};

static bool keep(struct context *context, struct packages *packages, struct span name)
{
    if (packages->count == PACKAGES_MAX) {
        why_set(&packages->why, "there are more than %u packages", PACKAGES_MAX);
        return false;
    }
    if (packages->count == packages->cap) {
        size_t cap = packages->cap == 0 ? 256 : 2 * packages->cap;
        const char **names = arena_alloc(&context->arena, cap * sizeof(*names));
        if (names == NULL)
            return false;
        if (packages->count > 0)
            memcpy(names, packages->names, packages->count * sizeof(*names));
        packages->names = names;
        packages->cap = cap;
    }
    const char *copy = arena_text(&context->arena, name);
    if (copy == NULL)
        return false;
    packages->names[packages->count++] = copy;
    return true;
}

/* "Status: install ok installed": the third word is the state. Without the line, as in status.d, it
 * is installed. */
static bool is_installed(struct span status)
{
    struct span word = SPAN_NONE;
    for (size_t i = 0; i < 3; i++)
        if (!next_word(&status, &word))
            return false;
    return span_is(word, "installed") || span_starts(word, SPAN_LIT("triggers-")) ||
           span_is(word, "unpacked") || span_is(word, "half-configured");
}

/* Takes in stanzas with blank lines between. */
static bool read_stanzas(
    struct context *context, struct packages *packages, struct lines *lines, enum style style)
{
    struct span name_tag = style == APK ? SPAN_LIT("P:") : SPAN_LIT("Package:");
    char name[256] = "";
    bool installed = true;
    struct span line;
    while (lines_next(lines, &line)) {
        /* A line that begins with a blank goes on with what stood before. */
        if (span_trim(line).len == 0) {
            if (name[0] != '\0' && installed && !keep(context, packages, span_of(name)))
                return false;
            name[0] = '\0';
            installed = true;
        } else if (span_starts(line, name_tag)) {
            if (!span_copy(span_trim(span_from(line, name_tag.len)), name, sizeof(name)))
                name[0] = '\0';
        } else if (style == DPKG && span_starts(line, SPAN_LIT("Status:"))) {
            installed = is_installed(span_from(line, strlen("Status:")));
        }
    }
    return name[0] == '\0' || !installed || keep(context, packages, span_of(name));
}

static void read_database(
    struct context *context, const struct database *database, struct packages *packages)
{
    struct paths paths = {.count = 0};
    if (root_glob(&context->root, &context->scratch, database->path, &paths) != ERR_NONE)
        packages->looked = LOOKED_FAILED;
    for (size_t i = 0; i < paths.count && packages->looked != LOOKED_FAILED; i++) {
        struct lines lines;
        enum looked looked = lines_open(&context->root, paths.items[i], &lines, &packages->why);
        if (looked == LOOKED_MISSING)
            continue;
        packages->looked = looked;
        if (looked != LOOKED_FOUND)
            return;
        if (!read_stanzas(context, packages, &lines, database->style) ||
            !lines_check(&lines, paths.items[i], &packages->why))
            packages->looked = LOOKED_FAILED;
        lines_close(&lines);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* NULL without memory. */
static const struct packages *load(struct context *context)
{
    if (context->packages != NULL)
        return context->packages;
    struct packages *packages = arena_alloc(&context->arena, sizeof(*packages));
    if (packages == NULL)
        return NULL;
    packages->looked = LOOKED_MISSING;
    for (size_t i = 0; i < COUNT_OF(databases) && packages->looked != LOOKED_FAILED; i++)
        read_database(context, &databases[i], packages);
    if (packages->looked == LOOKED_MISSING)
        why_set(&packages->why, "no database of dpkg, opkg or apk is on this system");
    if (packages->looked == LOOKED_FAILED && packages->why.text[0] == '\0')
        no_memory(&packages->why);
    if (packages->count > 0)
        qsort(packages->names, packages->count, sizeof(*packages->names), by_name);
    context->packages = packages;
    return packages;
}

static bool has(const struct packages *packages, const char *name)
{
    return packages->count > 0 && bsearch(&name, packages->names, packages->count,
                                      sizeof(*packages->names), by_name) != NULL;
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    bool wanted = arg_bool(args, "installed", true);
    const char *names = arg_text(args, "name") != NULL ? "name" : "names";
    const struct packages *packages = load(context);
    if (packages == NULL)
        return no_memory(why);
    *why = packages->why;
    if (packages->looked != LOOKED_FOUND)
        return packages->looked == LOOKED_MISSING ? BASELINE_SKIP : BASELINE_ERROR;
    arg_each(item, args, names) if (has(packages, item->text.ptr))
    {
        why_set(why, "the package %s is installed", item->text.ptr);
        return pass_if(wanted);
    }
    why_set(why, "the package %s%s is not installed", arg_first(args, names)->text.ptr,
        arg_next(args, names, arg_first(args, names)) == NULL ? "" : " or the like");
    return pass_if(!wanted);
}

static const struct probe_arg args_table[] = {
    {.name = "name", .kind = ARG_WORD, .group = 'A'},
    {.name = "names", .kind = ARG_WORDS, .group = 'A'},
    {.name = "installed", .kind = ARG_BOOL, .required = true},
    {.name = NULL},
};

const struct probe package_probe = {.name = "package", .args = args_table, .run = run};
