/* SPDX-License-Identifier: Apache-2.0 */
/* Looks through directories: what is in a new one, and what an overflow hid. */
#include "file_watch_priv.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

/* So many directories that wait to be looked through are held open; the others may be moved away
 * before. */
#define FDS_MAX 256u
#define STEPS_A_LOOK 32u /* at the clock */
/* MASK_ADD, since the kernel otherwise takes the mask of a watch that is there away for a moment,
 * and events of that moment with it. */
#define WATCHED                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |                 \
        IN_EXCL_UNLINK | IN_MASK_ADD)

/* ---- watches ---- */

void scan_keep(struct file_watch *watch, struct file_node *node)
{
    if (node->generation == watch->generation)
        return;
    node->generation = watch->generation;
    watch->kept++;
}

static void tell_want(struct file_watch *watch, const char *what)
{
    if (!watch->want_told)
        log_error(WATCH_PART, "%s, and directories go unwatched (%zu are watched)", what,
            watch->tree.count);
    watch->want_told = true;
    watch->state.unwatched++;
}

int scan_watch_fd(struct file_watch *watch, int fd)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int result = inotify_add_watch(watch->contents.fd, path, WATCHED);
    if (result >= 0)
        return result;
    if (errno == ENOSPC)
        tell_want(watch, "the kernel gives no more watches: raise the sysctl "
                         "fs.inotify.max_user_watches");
    else {
        watch->state.unwatched++;
        log_debug(WATCH_PART, "a directory cannot be watched: %s", strerror(errno));
    }
    return result;
}

static void unqueue(struct file_watch *watch, struct file_node *node)
{
    struct file_node *next = node->scan_next, *previous = node->scan_previous;
    *(previous == NULL ? &watch->scan_first : &previous->scan_next) = next;
    *(next == NULL ? &watch->scan_last : &next->scan_previous) = previous;
    node->scan_queued = false;
}

static void let_go(struct file_watch *watch, struct file_node *node)
{
    if (node->scan_fd == 0)
        return;
    close(node->scan_fd - 1);
    node->scan_fd = 0;
    watch->scan_fds--;
}

static void end_look(struct file_watch *watch)
{
    closedir(watch->look.dir);
    watch->look = (struct look){.node = NULL};
}

static void unlink_moving(struct file_watch *watch, struct file_node *node)
{
    struct file_node **at = &watch->moving;
    while (*at != NULL && *at != node)
        at = &(*at)->move_next;
    if (*at != NULL)
        *at = node->move_next;
    node->cookie = 0;
}

static void forget_one(struct file_watch *watch, struct file_node *node)
{
    if (watch->look.node == node)
        end_look(watch);
    let_go(watch, node);
    if (node->scan_queued)
        unqueue(watch, node);
    if (node->parent == NULL) {
        unlink_moving(watch, node);
        for (struct watch_root *root = watch->roots; root != NULL; root = root->next)
            if (root->node == node)
                root->node = NULL;
    }
    if (node->generation == watch->generation)
        watch->kept--;
    inotify_rm_watch(watch->contents.fd, node->watch); /* may be gone already */
    file_tree_remove(&watch->tree, node);
}

void scan_forget(struct file_watch *watch, struct file_node *node)
{
    for (;;) {
        struct file_node *leaf = node;
        while (leaf->first != NULL)
            leaf = leaf->first;
        bool last = leaf == node;
        forget_one(watch, leaf);
        if (last)
            return;
    }
}

void scan_queue(struct file_watch *watch, struct file_node *node, enum file_news news)
{
    node->scan_wanted = true;
    if (node->scan_news < news)
        node->scan_news = news;
    if (node->scan_queued)
        return;
    node->scan_queued = true;
    node->scan_next = NULL;
    node->scan_previous = watch->scan_last;
    *(watch->scan_last == NULL ? &watch->scan_first : &watch->scan_last->scan_next) = node;
    watch->scan_last = node;
}

void scan_again_below(struct file_watch *watch, struct file_node *node)
{
    struct file_node *at = node;
    for (;;) {
        if (at->scan_wanted)
            scan_queue(watch, at, NEWS_NONE);
        if (at->first != NULL) {
            at = at->first;
            continue;
        }
        while (at != node && at->next == NULL)
            at = at->parent;
        if (at == node)
            return;
        at = at->next;
    }
}

void scan_note_unseen(struct file_watch *watch, enum file_news news)
{
    if (news != NEWS_NONE)
        watch->unseen_until = queue_mark(&watch->contents);
}

/* The directory is known by another place: it was moved here and we have not heard of that yet, or
 * it is a path of the settings, or it is mounted at both. */
static void adopt(struct file_watch *watch, struct file_node *node, struct file_node *parent,
    struct span name, enum file_news news)
{
    for (struct file_node *above = parent; above != NULL; above = above->parent)
        if (above == node)
            return;
    bool root = false;
    for (struct watch_root *r = watch->roots; r != NULL; r = r->next)
        root = root || r->node == node;
    if (!root && node->parent != NULL && contents_is_there(watch, node))
        return;
    if (!file_tree_move(&watch->tree, node, parent, name))
        return;
    unlink_moving(watch, node);
    for (struct watch_root *r = watch->roots; r != NULL; r = r->next)
        if (r->node == node)
            r->node = NULL;
    scan_keep(watch, node);
    if (news == NEWS_YOUNG && watch->look.node == parent) /* old, but new here */
        file_watch_tell(watch, IN_CREATE, true, parent, name, NULL);
    scan_again_below(watch, node);
    watch->arrived = watch->arrived || watch->held.len > 0;
    if (watch->sweeping)
        scan_queue(watch, node, root ? NEWS_NONE : news);
}

/* Whether the node keeps the descriptor. */
static bool add_child(struct file_watch *watch, struct file_node *parent, struct span name, int fd,
    const struct stat *stat, enum file_news news)
{
    int result = scan_watch_fd(watch, fd);
    if (result < 0)
        return false;
    struct file_node *node = file_tree_by_watch(&watch->tree, result);
    if (node != NULL) {
        adopt(watch, node, parent, name, news);
        return false;
    }
    node = file_tree_add(&watch->tree, parent, name, result, stat);
    if (node == NULL) {
        inotify_rm_watch(watch->contents.fd, result);
        tell_want(watch, "there is no memory for more watches");
        return false;
    }
    scan_keep(watch, node);
    scan_note_unseen(watch, news);
    scan_queue(watch, node, news);
    if (watch->scan_fds >= FDS_MAX)
        return false;
    node->scan_fd = fd + 1;
    watch->scan_fds++;
    return true;
}

/* Of what is watched already, a sweep keeps no more than the bound allows, which may be a smaller
 * one now. */
static bool has_room(const struct file_watch *watch, const struct file_node *node)
{
    return !watch->sweeping || node->generation == watch->generation ||
           watch->kept < watch->watches_max;
}

void scan_enter(struct file_watch *watch, struct file_node *parent, struct span name, int at_fd,
    const char *at_name, enum file_news news)
{
    struct stat stat;
    int fd = openat(at_fd, at_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            scan_note_unseen(watch, news);
        else if (errno != ENOTDIR && errno != ELOOP)
            tell_want(watch, errno == ENAMETOOLONG ? "a path is too long" : strerror(errno));
        return;
    }
    bool kept = false;
    struct file_node *child = file_tree_child(&watch->tree, parent, name);
    if (fstat(fd, &stat) != 0)
        stat.st_mode = 0;
    if (child != NULL && child->device == stat.st_dev && child->inode == stat.st_ino &&
        has_room(watch, child)) {
        scan_keep(watch, child);
        if (watch->sweeping)
            scan_queue(watch, child, NEWS_NONE);
    } else {
        if (child != NULL)
            scan_forget(watch, child);
        if (watch->tree.count >= watch->watches_max)
            tell_want(watch, "FileSystem_WatchesMax is reached");
        else if (S_ISDIR(stat.st_mode))
            kept = add_child(watch, parent, name, fd, &stat, news);
    }
    if (!kept)
        close(fd);
}

/* ---- a look through a directory ---- */

static bool is_directory(int fd, const struct dirent *entry)
{
    struct stat stat;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode);
}

/* Whether something came since nothing waited last. A directory changes with what is in it, so it
 * counts when it was made; a file changes when it is moved, too. */
static bool is_young(const struct file_watch *watch, int fd, const char *name, bool directory)
{
    struct statx stat;
    if (statx(fd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_CTIME, &stat) != 0)
        return false;
    const struct statx_timestamp *since =
        directory && (stat.stx_mask & STATX_BTIME) != 0 ? &stat.stx_btime : &stat.stx_ctime;
    return since->tv_sec * INT64_C(1000000) + since->tv_nsec / 1000 >= watch->calm_before_us;
}

static void look_at(
    struct file_watch *watch, struct file_node *node, int fd, const struct dirent *entry)
{
    struct span name = span_of(entry->d_name);
    if (span_is(name, ".") || span_is(name, ".."))
        return;
    bool directory = is_directory(fd, entry);
    bool entered = directory && watch->recursive;
    struct waiting_first first = waiting_first(watch, node, name);
    enum file_news news = watch->look.news;
    if (news == NEWS_YOUNG && is_young(watch, fd, entry->d_name, directory))
        news = NEWS_ALL; /* and so is what is in it */
    bool unknown = entered && file_tree_child(&watch->tree, node, name) == NULL;
    if (unknown && watch->sweeping && watch->sweep_tells)
        news = NEWS_ALL;
    bool comes = (first.mask & WAITING_COMES) != 0;
    if (news == NEWS_ALL && !comes && (first.mask == 0 || first.position >= watch->look.gone_told))
        file_watch_tell(watch, IN_CREATE, directory, node, name, NULL);
    /* What is unknown and has events is theirs. */
    if (entered && (first.mask == 0 || !unknown))
        scan_enter(watch, node, name, fd, entry->d_name, news);
}

int scan_open(struct file_watch *watch, const struct file_node *node, int flags)
{
    bool cut;
    struct stat stat;
    file_tree_path(node, SPAN_NONE, watch->path, &cut);
    flags |= O_DIRECTORY | O_CLOEXEC | (node->parent == NULL ? 0 : O_NOFOLLOW);
    int fd = cut ? -1 : open(watch->path, flags);
    if (fd < 0 ||
        (fstat(fd, &stat) == 0 && node->device == stat.st_dev && node->inode == stat.st_ino))
        return fd;
    close(fd);
    return -1;
}

static DIR *open_directory(struct file_watch *watch, const struct file_node *node)
{
    char path[32];
    const int flags = O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", node->scan_fd - 1);
    int fd = node->scan_fd > 0 ? open(path, flags) : scan_open(watch, node, flags);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

/* Begins a look, if there is to be one. */
static void begin_look(struct file_watch *watch, struct file_node *node)
{
    if (!watch->recursive && node->scan_news == NEWS_NONE) {
        node->scan_wanted = false;
        return;
    }
    DIR *dir = open_directory(watch, node);
    if (dir == NULL)
        return; /* wanted still: where it was moved to, it is queued again */
    watch->look = (struct look){.node = node, .dir = dir, .news = node->scan_news};
    node->scan_wanted = false;
    node->scan_news = NEWS_NONE;
}

/* Goes on with the look that is under way by one entry, or begins the next. False: all is done. */
static bool step(struct file_watch *watch)
{
    if (watch->look.node == NULL) {
        struct file_node *node = watch->scan_first;
        if (node == NULL)
            return false;
        unqueue(watch, node);
        begin_look(watch, node);
        let_go(watch, node);
        return true;
    }
    bool first = watch->look.gone_told == 0;
    const struct dirent *entry = readdir(watch->look.dir);
    if (first)
        watch->look.gone_told =
            watch->look.news == NEWS_ALL ? waiting_tell_gone(watch, watch->look.node) : 1;
    if (entry == NULL)
        end_look(watch);
    else
        look_at(watch, watch->look.node, dirfd(watch->look.dir), entry);
    return true;
}

/* What is on the move, or below it, could not be looked for. */
static bool is_stale(const struct file_watch *watch, const struct file_node *node)
{
    if (node->generation == watch->generation || node->parent == NULL)
        return false;
    while (node->parent != NULL)
        node = node->parent;
    return node->cookie == 0;
}

static void forget_stale(struct file_watch *watch)
{
    for (size_t i = 0; i < watch->tree.bucket_count; i++) {
        struct file_node *node = watch->tree.by_watch[i];
        while (node != NULL) {
            bool stale = is_stale(watch, node);
            if (stale)
                scan_forget(watch, node);
            node = stale ? watch->tree.by_watch[i] : node->watch_chain;
        }
    }
}

static void end_sweep(struct file_watch *watch)
{
    if (watch->sweep_forgets)
        forget_stale(watch);
    watch->sweeping = false;
    if (watch->state.unwatched == 0)
        watch->want_told = false;
}

bool scan_is_done(const struct file_watch *watch)
{
    return watch->look.node == NULL && watch->scan_first == NULL;
}

bool scan_run(struct file_watch *watch)
{
    for (unsigned steps = 1; step(watch); steps++)
        if (steps % STEPS_A_LOOK == 0 && clock_mono_us(watch->options.clock) >= watch->turn_end_us)
            return false;
    if (watch->sweeping)
        end_sweep(watch);
    return true;
}

void scan_sweep(struct file_watch *watch, bool loud)
{
    bool before = watch->sweeping && watch->sweep_tells; /* one that this one takes over */
    watch->sweep_tells = before || (loud && watch->state.unwatched == 0);
    /* If no event was lost, who is not where he was is on the move, and his events wait. */
    bool less = !watch->recursive || watch->tree.count > watch->watches_max;
    watch->sweep_forgets = (watch->sweeping && watch->sweep_forgets) || loud || less;
    watch->unwatched_before = watch->state.unwatched;
    watch->state.unwatched = 0;
    watch->sweeping = true;
    watch->generation++;
    watch->kept = 0;
    for (struct watch_root *root = watch->roots; root != NULL; root = root->next) {
        if (root->node == NULL)
            continue;
        scan_keep(watch, root->node);
        if (S_ISDIR(root->route.stat.st_mode))
            scan_queue(watch, root->node, NEWS_NONE);
    }
}
