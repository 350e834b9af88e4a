/* SPDX-License-Identifier: Apache-2.0 */
#include "file_route.h"

#include "mem.h"

#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define LINKS_MAX 40u /* as the kernel's */
#define STEPS_MAX 4096u
#define WATCHED                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR |           \
        IN_MASK_ADD)

/* A walk: `at` is a directory without links on the way, `rest` what is still to be looked up. */
struct walk {
    char at[PATH_MAX];
    char rest[2 * PATH_MAX];
    unsigned links;
};

static bool add_step(struct file_route *route, int watch, struct span name)
{
    if (route->count % 16 == 0) {
        struct file_step *steps =
            mem_resize(route->steps, (route->count + 16) * sizeof(struct file_step));
        if (steps == NULL)
            return false;
        route->steps = steps;
    }
    char *copy = mem_text(name);
    if (copy == NULL)
        return false;
    route->steps[route->count++] = (struct file_step){watch, copy};
    return true;
}

/* Takes the next name off the rest. False: nothing is left. */
static bool next_name(struct walk *walk, char ret_name[NAME_MAX + 1], bool *ret_too_long)
{
    char *from = walk->rest;
    while (*from == '/')
        from++;
    size_t len = strcspn(from, "/");
    *ret_too_long = len > NAME_MAX;
    if (len == 0 || *ret_too_long)
        return len != 0;
    memcpy(ret_name, from, len);
    ret_name[len] = '\0';
    memmove(walk->rest, from + len, strlen(from + len) + 1);
    return true;
}

static void go_up(struct walk *walk)
{
    char *slash = strrchr(walk->at, '/');
    slash[slash == walk->at ? 1 : 0] = '\0';
}

static bool join(const char *dir, const char *name, char ret_path[PATH_MAX])
{
    int len = snprintf(ret_path, PATH_MAX, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);
    return len > 0 && len < PATH_MAX;
}

/* Puts what a link says before the rest. False: the link is gone, or it is too much. */
static bool follow(struct walk *walk, const char *link)
{
    char target[PATH_MAX];
    ssize_t got = readlink(link, target, sizeof(target));
    size_t len = got <= 0 ? 0 : (size_t)got, left = strlen(walk->rest);
    if (len == 0 || ++walk->links > LINKS_MAX || len + left + 2 > sizeof(walk->rest))
        return false;
    memmove(walk->rest + len + 1, walk->rest, left + 1);
    memcpy(walk->rest, target, len);
    walk->rest[len] = '/';
    if (target[0] == '/')
        memcpy(walk->at, "/", 2);
    return true;
}

static bool is_last(const struct walk *walk)
{
    return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* Looks up one name, after the directory is watched: what happens later is heard of. Returns false
 * at the end of the way. */
static bool look_up(
    int inotify_fd, struct walk *walk, const char *name, struct file_route *route, enum err *err)
{
    char path[PATH_MAX];
    struct stat stat;
    int watch = inotify_add_watch(inotify_fd, walk->at, WATCHED);
    if (route->count >= STEPS_MAX)
        return false;
    if (!add_step(route, watch, span_of(name))) {
        *err = ERR_MEMORY;
        return false;
    }
    route->complete = is_last(walk);
    if (!join(walk->at, name, path))
        return route->complete = false;
    bool there = lstat(path, &stat) == 0;
    if (there && S_ISLNK(stat.st_mode))
        return follow(walk, path);
    memcpy(walk->at, path, sizeof(path));
    if (!there)
        return false;
    route->stat = stat;
    route->there = route->complete;
    return !route->complete && S_ISDIR(stat.st_mode);
}

enum err file_route_walk(int inotify_fd, const char *path, struct file_route *ret_route)
{
    struct walk walk = {.at = "/"};
    char name[NAME_MAX + 1];
    enum err err = ERR_NONE;
    bool too_long = false;
    *ret_route = (struct file_route){.count = 0};
    snprintf(walk.rest, sizeof(walk.rest), "%s", path);
    for (;;) {
        if (!next_name(&walk, name, &too_long)) {
            /* It ends in "/", "." or "..": in a directory that was passed. */
            ret_route->there = lstat(walk.at, &ret_route->stat) == 0;
            ret_route->complete = ret_route->there;
            break;
        }
        if (too_long)
            break;
        if (strcmp(name, "..") == 0)
            go_up(&walk);
        if (name[0] == '.' && (name[1] == '\0' || strcmp(name, "..") == 0))
            continue;
        if (!look_up(inotify_fd, &walk, name, ret_route, &err))
            break;
    }
    if (err == ERR_NONE && ret_route->complete) {
        ret_route->real = mem_text(span_of(walk.at));
        go_up(&walk);
        ret_route->parent = mem_text(span_of(walk.at));
        if (ret_route->real == NULL || ret_route->parent == NULL)
            err = ERR_MEMORY;
    }
    return err;
}

void file_route_done(struct file_route *route)
{
    for (size_t i = 0; i < route->count; i++)
        mem_free(route->steps[i].name);
    mem_free(route->steps);
    mem_free(route->real);
    mem_free(route->parent);
    *route = (struct file_route){.count = 0};
}

bool file_route_uses(const struct file_route *route, int watch)
{
    for (size_t i = 0; i < route->count; i++)
        if (route->steps[i].watch == watch)
            return true;
    return false;
}

enum route_event file_route_judge(const struct file_route *route, int watch, struct span name)
{
    enum route_event judgement = ROUTE_UNTOUCHED;
    for (size_t i = 0; i < route->count; i++) {
        const struct file_step *step = &route->steps[i];
        if (step->watch != watch || (name.len > 0 && !span_is(name, step->name)))
            continue;
        bool end = name.len > 0 && route->complete && i + 1 == route->count;
        if (end)
            return ROUTE_END;
        judgement = ROUTE_TOUCHED;
    }
    return judgement;
}
