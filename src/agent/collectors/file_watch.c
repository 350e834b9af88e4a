/* SPDX-License-Identifier: Apache-2.0 */
#include "file_watch.h"

#include "file.h"
#include "file_watch_priv.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* After an overflow everything is looked through; not more often, or a storm would get worse. */
#define SWEEP_PAUSE_US INT64_C(1000000)
/* Looks go on for so long in one turn, then others have theirs; a change of settings, after which
 * people expect what they named to be watched, takes longer. */
#define TURN_US INT64_C(5000)
#define SET_US INT64_C(500000)
/* Who ends takes in what waits, but no longer than that. */
#define DRAIN_US INT64_C(2000000)
#define MOUNTS_BYTES (1024u * 1024)

void file_watch_tell(struct file_watch *watch, uint32_t mask, bool directory,
    const struct file_node *node, struct span name, const char *moved_from)
{
    struct file_seen seen = {
        .mask = mask, .directory = directory, .moved_from = span_of(moved_from)};
    seen.path = file_tree_path(node, name, watch->path, &seen.cut);
    watch->options.seen(watch->options.self, &seen);
}

static void tell_root(
    struct file_watch *watch, struct watch_root *root, uint32_t mask, bool directory)
{
    const struct file_seen seen = {
        .mask = mask, .directory = directory, .path = span_of(root->path)};
    if (!root->in_other)
        watch->options.seen(watch->options.self, &seen);
}

/* ---- where the paths lead ---- */

static void drop_watches(struct file_watch *watch, const struct file_route *route)
{
    for (size_t i = 0; i < route->count; i++) {
        int step = route->steps[i].watch;
        bool used = step < 0;
        for (struct watch_root *root = watch->roots; !used && root != NULL; root = root->next)
            used = file_route_uses(&root->route, step);
        if (!used)
            inotify_rm_watch(watch->routes.fd, step);
    }
}

static bool is_below(const char *path, const char *directory)
{
    size_t len = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
    return strncmp(path, directory, len) == 0 && path[len] == '/';
}

/* Whether what happens at a path's end happens in a directory that is watched for another. */
static bool is_in_other(const struct file_watch *watch, const struct watch_root *root)
{
    bool before = true;
    for (const struct watch_root *other = watch->roots; other != NULL; other = other->next) {
        if (other == root) {
            before = false;
            continue;
        }
        if (!other->wanted || !other->known || other->route.real == NULL)
            continue;
        const char *place = other->route.real;
        if (strcmp(root->route.real, place) == 0) {
            if (before)
                return true;
            continue;
        }
        bool direct = strcmp(root->route.parent, place) == 0;
        if (other->route.there && S_ISDIR(other->route.stat.st_mode) &&
            (direct || (watch->recursive && is_below(root->route.real, place))))
            return true;
    }
    return false;
}

/* The contents of a path inside another's tree are watched there, if trees are watched. */
static bool is_own(const struct file_watch *watch, const struct watch_root *root)
{
    if (!root->wanted || !root->known || !root->route.there)
        return false;
    return !root->in_other || (!watch->recursive && S_ISDIR(root->route.stat.st_mode));
}

/* The directory is watched as a part of a tree already: if that will not do so any longer, the path
 * keeps the watch. Otherwise the same directory is seen at two places, and is told of at one. */
static void take_over(struct file_watch *watch, struct watch_root *root, struct file_node *node)
{
    const struct file_node *top = node;
    while (top->parent != NULL)
        top = top->parent;
    const struct watch_root *owner = watch->roots;
    while (owner != NULL && owner->node != top)
        owner = owner->next;
    bool stays = owner != NULL && owner->wanted && (watch->recursive || node == top);
    if (stays || !file_tree_move(&watch->tree, node, NULL, span_of(root->path)))
        return;
    for (struct watch_root *other = watch->roots; other != NULL; other = other->next)
        if (other->node == node)
            other->node = NULL;
    root->node = node;
    scan_keep(watch, node);
}

static void attach(struct file_watch *watch, struct watch_root *root, bool loud)
{
    struct stat stat;
    must(root->route.real != NULL);
    int fd = open(root->route.real, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return; /* its way is watched: we hear of it */
    int result = fstat(fd, &stat) == 0 ? scan_watch_fd(watch, fd) : -1;
    close(fd);
    if (result < 0) {
        log_warn(WATCH_PART, "%s cannot be watched", root->path);
        return;
    }
    struct file_node *node = file_tree_by_watch(&watch->tree, result);
    if (node != NULL) {
        take_over(watch, root, node);
        return;
    }
    node = file_tree_add(&watch->tree, NULL, span_of(root->path), result, &stat);
    if (node == NULL) {
        inotify_rm_watch(watch->contents.fd, result);
        watch->state.unwatched++;
        return;
    }
    scan_keep(watch, node);
    root->node = node;
    root->route.stat = stat;
    if (S_ISDIR(stat.st_mode))
        scan_queue(watch, node, loud ? NEWS_ALL : NEWS_NONE);
    log_debug(WATCH_PART, "%s is watched", root->path);
}

static bool is_same(const struct file_route *a, const struct file_route *b)
{
    return a->there == b->there &&
           (!a->there || (a->stat.st_dev == b->stat.st_dev && a->stat.st_ino == b->stat.st_ino));
}

static void tell_change(
    struct file_watch *watch, struct watch_root *root, const struct file_route *before)
{
    if (root->quiet || root->told || is_same(before, &root->route))
        return;
    if (before->there)
        tell_root(watch, root, IN_DELETE, S_ISDIR(before->stat.st_mode));
    if (root->route.there) {
        tell_root(watch, root, IN_CREATE, S_ISDIR(root->route.stat.st_mode));
        root->told_until = queue_mark(&watch->routes);
    }
}

/* Walks the way of a path anew; returns whether it leads elsewhere now. */
static bool walk(struct file_watch *watch, struct watch_root *root)
{
    struct file_route before = root->route;
    if (file_route_walk(watch->routes.fd, root->path, &root->route) != ERR_NONE) {
        file_route_done(&root->route);
        root->route = before;
        return false; /* dirty still */
    }
    root->dirty = false;
    root->in_other = root->route.real != NULL && is_in_other(watch, root);
    if (root->known)
        tell_change(watch, root, &before);
    if (!root->known && !root->route.there)
        log_info(WATCH_PART, "%s does not exist yet, and is waited for", root->path);
    bool same = is_same(&before, &root->route);
    root->known = true;
    drop_watches(watch, &before);
    file_route_done(&before);
    if (root->node != NULL && !same)
        scan_forget(watch, root->node);
    return !same;
}

/* First all ways, then what is in the paths: whether a path has its own watch depends on others. */
static void settle(struct file_watch *watch)
{
    bool again = false;
    watch->settle_wanted = false;
    for (struct watch_root *root = watch->roots; root != NULL; root = root->next) {
        bool first = !root->known;
        bool changed = root->dirty && walk(watch, root);
        again = again || root->dirty;
        root->quiet = root->quiet || first || !changed;
        root->told = false;
    }
    /* Who is not in another's tree adopts, by looking through its own, those that are. */
    for (struct watch_root *root = watch->roots; root != NULL; root = root->next) {
        root->in_other = root->route.real != NULL && is_in_other(watch, root);
        if (is_own(watch, root) && root->node == NULL)
            attach(watch, root, !root->quiet);
        root->quiet = false;
    }
    watch->finish_wanted = true;
    watch->settle_wanted = again;
}

static void free_root(struct file_watch *watch, struct watch_root *root)
{
    if (root->node != NULL)
        scan_forget(watch, root->node);
    struct file_route route = root->route;
    root->route = (struct file_route){.count = 0};
    drop_watches(watch, &route);
    file_route_done(&route);
    mem_free(root->path);
    mem_free(root);
}

/* Removes the paths that are no more in the settings. `all`: also those whose watches another's
 * tree is about to adopt. */
static void remove_unwanted(struct file_watch *watch, bool all)
{
    for (struct watch_root **at = &watch->roots; *at != NULL;) {
        struct watch_root *root = *at;
        if (root->wanted || (!all && watch->recursive && root->in_other)) {
            at = &root->next;
            continue;
        }
        *at = root->next;
        free_root(watch, root);
    }
}

/* Goes on with the looks; after the last one nobody will adopt any more what has no right to a
 * watch of its own. Whether all is done. */
static bool look_on(struct file_watch *watch)
{
    if (!scan_run(watch))
        return false;
    if (watch->finish_wanted) {
        watch->finish_wanted = false;
        for (struct watch_root *root = watch->roots; root != NULL; root = root->next)
            if (root->node != NULL && !is_own(watch, root))
                scan_forget(watch, root->node);
        remove_unwanted(watch, true);
    }
    return true;
}

static void want_settling(struct file_watch *watch)
{
    watch->settle_at = queue_mark(&watch->contents);
    watch->settle_wanted = true;
}

static void touch_all(struct file_watch *watch, bool quiet)
{
    for (struct watch_root *root = watch->roots; root != NULL; root = root->next) {
        root->dirty = true;
        root->quiet = root->quiet || quiet;
    }
    want_settling(watch);
}

static void take_route_event(struct file_watch *watch, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        touch_all(watch, false);
        return;
    }
    struct span name = event->len == 0 ? SPAN_NONE : span_of(event->name);
    for (struct watch_root *root = watch->roots; root != NULL; root = root->next) {
        enum route_event what = file_route_judge(&root->route, event->wd, name);
        if (what == ROUTE_UNTOUCHED)
            continue;
        root->dirty = true;
        want_settling(watch);
        if (what != ROUTE_END)
            continue;
        bool comes = (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0;
        if (comes && watch->routes.done <= root->told_until) {
            root->told_until = 0; /* told when it was seen to be there */
            continue;
        }
        tell_root(watch, root, event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO),
            (event->mask & IN_ISDIR) != 0);
        root->told = true;
        root->quiet = (event->mask & IN_MOVED_TO) != 0;
    }
}

static void routes_read(struct file_watch *watch)
{
    _Alignas(8) char bytes[4096];
    struct queue *queue = &watch->routes;
    for (unsigned reads = 0; reads < 256; reads++) {
        ssize_t got = read(queue->fd, bytes, sizeof(bytes));
        if (got <= 0)
            return;
        queue->read += (uint64_t)got;
        for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)got;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(bytes + at);
            at += sizeof(*event) + event->len;
            queue->done += sizeof(*event) + event->len;
            take_route_event(watch, event);
        }
    }
}

/* ---- mounts ---- */

static void open_mounts(struct file_watch *watch)
{
    struct epoll_event event = {.events = EPOLLPRI};
    watch->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    watch->mounts_poll_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    watch->mounts_wake_fd = epoll_create1(EPOLL_CLOEXEC);
    if (watch->mounts_fd < 0 || watch->mounts_poll_fd < 0 || watch->mounts_wake_fd < 0 ||
        epoll_ctl(watch->mounts_wake_fd, EPOLL_CTL_ADD, watch->mounts_poll_fd, &event) != 0)
        log_warn(WATCH_PART, "mounts are not noticed: %s", strerror(errno));
}

/* The mounts at or below our paths, as a number that changes with them. Names with a blank or the
 * like are written with a backslash, and count always. */
static uint64_t hash_mounts(const struct file_watch *watch)
{
    AUTO(buf_done) struct buf text = {0};
    uint64_t hash = 1;
    struct span line, part = SPAN_NONE;
    if (!file_read("/proc/self", "mountinfo", MOUNTS_BYTES, &text))
        return 0;
    struct span rest = buf_span(&text);
    while (span_cut(&rest, '\n', &line)) {
        struct span fields = line;
        char point[PATH_MAX];
        for (unsigned i = 0; i < 5; i++)
            if (!span_cut(&fields, ' ', &part))
                part = SPAN_NONE;
        bool ours = span_find(part, '\\') < part.len || !span_copy(part, point, sizeof(point));
        for (const struct watch_root *root = watch->roots; !ours && root != NULL; root = root->next)
            ours = root->route.there &&
                   (strcmp(point, root->route.real) == 0 || is_below(point, root->route.real));
        for (size_t i = 0; ours && i < line.len; i++)
            hash = (hash ^ (unsigned char)line.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Being asked resets what a descriptor of mountinfo says, so the one that wakes is not the one that
 * is asked. */
static void take_mounts(struct file_watch *watch)
{
    struct epoll_event event;
    struct pollfd changed = {.fd = watch->mounts_fd, .events = POLLPRI};
    if (poll(&changed, 1, 0) <= 0 || (changed.revents & POLLPRI) == 0)
        return;
    if (epoll_wait(watch->mounts_wake_fd, &event, 1, 0) < 0)
        log_debug(WATCH_PART, "mounts: %s", strerror(errno));
    touch_all(watch, true);
    uint64_t mounts = hash_mounts(watch);
    watch->sweep_wanted = watch->sweep_wanted || mounts != watch->mounts;
    watch->mounts = mounts;
}

/* ---- the door ---- */

static void done_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

enum err file_watch_open(
    const struct file_watch_options *options, struct file_watch **ret_watch, struct why *why)
{
    struct file_watch *watch = mem_alloc(sizeof(*watch));
    if (watch == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    watch->options = *options;
    watch->generation = 1;
    watch->contents.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch->routes.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch->mounts_fd = watch->mounts_poll_fd = watch->mounts_wake_fd = -1;
    if (watch->contents.fd < 0 || watch->routes.fd < 0) {
        enum err err = fail(ERR_REFUSED, why,
            "files cannot be watched: %s (the sysctl fs.inotify.max_user_instances is the limit)",
            strerror(errno));
        file_watch_close(watch);
        return err;
    }
    open_mounts(watch);
    *ret_watch = watch;
    return ERR_NONE;
}

void file_watch_close(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    while (watch->moving != NULL)
        scan_forget(watch, watch->moving);
    while (watch->roots != NULL) {
        struct watch_root *root = watch->roots;
        watch->roots = root->next;
        free_root(watch, root);
    }
    file_tree_done(&watch->tree);
    contents_done(watch);
    done_fd(watch->contents.fd);
    done_fd(watch->routes.fd);
    done_fd(watch->mounts_fd);
    done_fd(watch->mounts_poll_fd);
    done_fd(watch->mounts_wake_fd);
    mem_free(watch);
}

static struct watch_root *find_root(struct file_watch *watch, struct span path)
{
    struct watch_root *root = watch->roots;
    while (root != NULL && !span_is(path, root->path))
        root = root->next;
    return root;
}

/* The next path of a list, without slashes at its end. */
static bool next_path(struct span *paths, struct span *ret_path)
{
    if (!span_cut(paths, ',', ret_path))
        return false;
    while (ret_path->len > 1 && ret_path->ptr[ret_path->len - 1] == '/')
        ret_path->len--;
    return true;
}

/* Adds what is new, without watching it yet. */
static enum err add_roots(struct file_watch *watch, struct span paths)
{
    struct span path;
    while (next_path(&paths, &path)) {
        if (find_root(watch, path) != NULL)
            continue;
        struct watch_root *root = mem_alloc(sizeof(*root));
        if (root == NULL)
            return ERR_MEMORY;
        root->path = mem_text(path);
        if (root->path == NULL) {
            mem_free(root);
            return ERR_MEMORY;
        }
        root->dirty = true;
        struct watch_root **end = &watch->roots;
        while (*end != NULL)
            end = &(*end)->next;
        *end = root;
    }
    return ERR_NONE;
}

static bool is_listed(struct span paths, const char *wanted)
{
    struct span path;
    while (next_path(&paths, &path))
        if (span_is(path, wanted))
            return true;
    return false;
}

/* Whether watches end that are there. */
static bool is_less(
    const struct file_watch *watch, struct span paths, bool recursive, size_t watches_max)
{
    bool less = (watch->recursive && !recursive) || watch->tree.count > watches_max;
    for (const struct watch_root *root = watch->roots; !less && root != NULL; root = root->next)
        less = !is_listed(paths, root->path);
    return less;
}

enum err file_watch_set(struct file_watch *watch, struct span paths, bool recursive,
    size_t watches_max, struct why *why)
{
    /* Of what waits for a watch that ends nobody would know where it was. */
    if (is_less(watch, paths, recursive, watches_max) && !file_watch_drain(watch))
        watch->state.overflows++;
    enum err err = add_roots(watch, paths);
    for (struct watch_root *root = watch->roots; root != NULL; root = root->next)
        root->wanted = err == ERR_NONE ? is_listed(paths, root->path) : root->wanted;
    if (err != ERR_NONE) {
        remove_unwanted(watch, true);
        return fail(err, why, "%s", err_row(err)->text);
    }
    /* More watches help only where some were wanting. */
    bool sweep = recursive != watch->recursive ||
                 (watches_max != watch->watches_max &&
                     (watch->tree.count > watches_max || file_watch_state(watch).unwatched > 0));
    watch->recursive = recursive;
    watch->watches_max = watches_max;
    watch->turn_end_us = clock_mono_us(watch->options.clock) + SET_US;
    /* A tree adopts what was watched by itself before that gives up its watch, and the other way
     * round. */
    if (sweep && recursive)
        scan_sweep(watch, false);
    settle(watch);
    remove_unwanted(watch, false);
    if (sweep && !recursive)
        scan_sweep(watch, false);
    watch->mounts = hash_mounts(watch);
    (void)look_on(watch);
    return ERR_NONE;
}

size_t file_watch_descriptors(const struct file_watch *watch, int *ret_fds, size_t room)
{
    const int fds[FILE_WATCH_DESCRIPTORS] = {
        watch->contents.fd, watch->routes.fd, watch->mounts_wake_fd};
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(fds) && count < room; i++)
        if (fds[i] >= 0)
            ret_fds[count++] = fds[i];
    return count;
}

/* What waits for the looks to be done. */
static void run_calm(struct file_watch *watch, int64_t now_us)
{
    if (watch->settle_wanted && watch->contents.done >= watch->settle_at)
        settle(watch);
    if (watch->sweep_wanted && watch->sweep_not_before_us <= now_us) {
        watch->sweep_wanted = false;
        watch->sweep_not_before_us = now_us + SWEEP_PAUSE_US;
        scan_sweep(watch, watch->sweep_loud);
        watch->sweep_loud = false;
    }
}

int64_t file_watch_run(struct file_watch *watch)
{
    int64_t now_us = clock_mono_us(watch->options.clock);
    watch->turn_end_us = now_us + TURN_US;
    routes_read(watch);
    take_mounts(watch);
    contents_read(watch);
    if (look_on(watch))
        run_calm(watch, now_us);
    if (!look_on(watch))
        return now_us;
    int64_t next_us = contents_expire_moves(watch, now_us);
    if (watch->sweep_wanted && watch->sweep_not_before_us < next_us)
        next_us = watch->sweep_not_before_us;
    if (contents_wait(watch))
        return now_us;
    return watch->settle_wanted ? now_us + SWEEP_PAUSE_US / 20 : next_us;
}

bool file_watch_drain(struct file_watch *watch)
{
    int64_t end_us = clock_mono_us(watch->options.clock) + DRAIN_US;
    uint64_t mark = queue_mark(&watch->contents);
    for (;;) {
        (void)file_watch_run(watch);
        if (watch->contents.done >= mark && !contents_wait(watch) && scan_is_done(watch))
            return true;
        if (clock_mono_us(watch->options.clock) >= end_us)
            return false;
    }
}

void file_watch_retry(struct file_watch *watch)
{
    if (watch->state.unwatched == 0 || watch->sweeping)
        return;
    scan_sweep(watch, false);
    watch->turn_end_us = clock_mono_us(watch->options.clock) + TURN_US;
    (void)look_on(watch);
}

struct file_watch_state file_watch_state(const struct file_watch *watch)
{
    struct file_watch_state state = watch->state;
    state.watched = watch->tree.count;
    if (watch->sweeping && watch->unwatched_before > state.unwatched)
        state.unwatched = watch->unwatched_before;
    return state;
}
