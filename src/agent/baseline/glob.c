/* SPDX-License-Identifier: Apache-2.0 */
#include "root_priv.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* One walk through a pattern, level by level: `prefix` is what is matched already. */
struct walk {
    struct root *root;
    struct arena *arena;
    struct paths *paths;
    const char *prefix;
    char name[NAME_MAX + 1]; /* the pattern of this level */
    const char *rest;        /* of the pattern, from the next '/' on; "" at its end */
    enum err err;
};

static enum err match(struct root *root, struct arena *arena, const char *prefix, const char *rest,
    struct paths *paths);

bool root_is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

static enum err add(struct arena *arena, const char *path, struct paths *paths)
{
    if (paths->count == PATHS_MAX) {
        paths->bounded = true;
        return ERR_NONE;
    }
    if (paths->count == paths->cap) {
        size_t cap = paths->cap == 0 ? 16 : 2 * paths->cap;
        const char **items = arena_alloc(arena, cap * sizeof(*items));
        if (items == NULL)
            return ERR_MEMORY;
        if (paths->count > 0)
            memcpy(items, paths->items, paths->count * sizeof(*items));
        paths->items = items;
        paths->cap = cap;
    }
    paths->items[paths->count++] = path;
    return ERR_NONE;
}

static bool each(void *self, const char *name)
{
    struct walk *walk = self;
    if (fnmatch(walk->name, name, FNM_PERIOD) != 0)
        return true;
    const char *path = arena_format(walk->arena, "%s/%s", walk->prefix, name);
    walk->err =
        path == NULL ? ERR_MEMORY : match(walk->root, walk->arena, path, walk->rest, walk->paths);
    return walk->err == ERR_NONE && !walk->paths->bounded;
}

/* `rest` is "" or begins with '/'. */
static enum err match(struct root *root, struct arena *arena, const char *prefix, const char *rest,
    struct paths *paths)
{
    while (*rest == '/')
        rest++;
    if (*rest == '\0') {
        struct stat stat;
        return root_lstat(root, prefix, &stat) == 0 ? add(arena, prefix, paths) : ERR_NONE;
    }
    struct walk walk = {.root = root, .arena = arena, .paths = paths, .prefix = prefix};
    struct span name = span_first(span_of(rest), span_find(span_of(rest), '/'));
    if (!span_copy(name, walk.name, sizeof(walk.name)))
        return ERR_NONE; /* no name is that long */
    walk.rest = rest + name.len;
    if (!root_is_pattern(walk.name)) {
        const char *path = arena_format(arena, "%s/%s", prefix, walk.name);
        return path == NULL ? ERR_MEMORY : match(root, arena, path, walk.rest, paths);
    }
    if (root_each(root, *prefix == '\0' ? "/" : prefix, each, &walk) > 0)
        paths->bounded = true;
    return walk.err;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum err root_glob(struct root *root, struct arena *arena, const char *pattern, struct paths *paths)
{
    size_t before = paths->count;
    enum err err = match(root, arena, "", pattern, paths);
    if (paths->count > before)
        qsort(paths->items + before, paths->count - before, sizeof(*paths->items), by_name);
    return err;
}
