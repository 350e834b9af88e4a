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

/* A queue of the kernel's usual size holds fewer events, so more cannot be told twice. */
#define FOUND_MAX 65536u
#define STEPS_A_LOOK 32u /* at the clock */
/* MASK_ADD, since the kernel otherwise takes the mask of a watch that is there away for a moment,
 * and events of that moment with it. */
#define WATCHED                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |                 \
        IN_EXCL_UNLINK | IN_MASK_ADD)

/* ---- found ---- */

static uint64_t found_hash(const struct file_node *node, struct span name)
{
    uint64_t hash = (uint64_t)(uintptr_t)node;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static struct found *find_found(
    const struct file_watch *watch, const struct file_node *node, struct span name)
{
    if (node->found == 0)
        return NULL;
    uint64_t hash = found_hash(node, name);
    struct found *found = watch->found[hash % FOUND_BUCKETS];
    while (found != NULL &&
           (found->node != node || found->hash != hash || !span_is(name, found->name)))
        found = found->chain;
    return found;
}

/* Without memory, or with too many, it is told at once: better twice than never. */
static void found_add(
    struct file_watch *watch, struct file_node *node, struct span name, bool directory)
{
    struct found *found = NULL;
    if (find_found(watch, node, name) != NULL)
        return; /* by a look before this one */
    if (watch->found_count < FOUND_MAX)
        found = mem_alloc(sizeof(*found) + name.len + 1);
    if (found == NULL) {
        file_watch_tell(watch, IN_CREATE, directory, node, name, NULL);
        return;
    }
    memcpy(found->name, name.ptr, name.len);
    found->node = node;
    found->hash = found_hash(node, name);
    found->until = UINT64_MAX;
    found->directory = directory;
    struct found **bucket = &watch->found[found->hash % FOUND_BUCKETS];
    found->chain = *bucket;
    *bucket = found;
    *(watch->found_last == NULL ? &watch->found_first : &watch->found_last->next) = found;
    watch->found_last = found;
    watch->found_count++;
    node->found++;
    if (watch->look.first == NULL)
        watch->look.first = found;
}

void found_take(struct file_watch *watch, const struct file_node *node, struct span name)
{
    struct found *found = find_found(watch, node, name);
    if (found != NULL)
        found->told = true;
}

static void found_drop_first(struct file_watch *watch)
{
    struct found *found = watch->found_first;
    struct found **at = &watch->found[found->hash % FOUND_BUCKETS];
    while (*at != found)
        at = &(*at)->chain;
    *at = found->chain;
    watch->found_first = found->next;
    if (watch->found_first == NULL)
        watch->found_last = NULL;
    watch->found_count--;
    if (found->node != NULL)
        found->node->found--;
    mem_free(found);
}

static void found_tell(struct file_watch *watch, struct found *found)
{
    if (!found->told)
        file_watch_tell(
            watch, IN_CREATE, found->directory, found->node, span_of(found->name), NULL);
    found->told = true;
}

void found_expire(struct file_watch *watch, uint64_t done)
{
    while (watch->found_first != NULL && watch->found_first->until <= done) {
        found_tell(watch, watch->found_first);
        found_drop_first(watch);
    }
}

/* The node goes: what was found in it is told now. */
static void found_leave(struct file_watch *watch, struct file_node *node)
{
    for (struct found *found = watch->found_first; node->found > 0 && found != NULL;
         found = found->next) {
        if (found->node != node)
            continue;
        found_tell(watch, found);
        found->node = NULL;
        node->found--;
    }
}

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

/* What it found is told when the events that wait now have passed, unless one of them tells it. */
static void end_look(struct file_watch *watch)
{
    uint64_t mark = queue_mark(&watch->contents);
    for (struct found *found = watch->look.first; found != NULL; found = found->next)
        found->until = mark;
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
    found_leave(watch, node);
    if (watch->look.node == node)
        end_look(watch);
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

void scan_queue(struct file_watch *watch, struct file_node *node, bool loud)
{
    node->scan_wanted = true;
    node->scan_loud = node->scan_loud || loud;
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
            scan_queue(watch, at, false);
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

/* The directory is known by another place: it was moved here and we have not heard of that yet, or
 * it is a path of the settings, or it is mounted at both. */
static void adopt(struct file_watch *watch, struct file_node *node, struct file_node *parent,
    struct span name, bool loud)
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
    if (node->quiet_until > watch->contents.done) /* and so is the event that brought it here */
        node->quiet_until = queue_mark(&watch->contents);
    scan_again_below(watch, node);
    if (watch->sweeping)
        scan_queue(watch, node, loud && !root);
}

static void add_child(struct file_watch *watch, struct file_node *parent, struct span name, int fd,
    const struct stat *stat, bool loud)
{
    int result = scan_watch_fd(watch, fd);
    if (result < 0)
        return;
    struct file_node *node = file_tree_by_watch(&watch->tree, result);
    if (node != NULL) {
        adopt(watch, node, parent, name, loud);
        return;
    }
    node = file_tree_add(&watch->tree, parent, name, result, stat);
    if (node == NULL) {
        inotify_rm_watch(watch->contents.fd, result);
        tell_want(watch, "there is no memory for more watches");
        return;
    }
    scan_keep(watch, node);
    node->quiet_until = loud ? 0 : queue_mark(&watch->contents);
    scan_queue(watch, node, loud);
}

/* An event of before, or a look that one led to, says that what was entered as no news is new. */
static bool is_news_after_all(const struct file_watch *watch, struct file_node *node, bool loud)
{
    bool deep = watch->look.node != NULL && watch->look.deep;
    if (!loud || node->quiet_until == 0 || (node->quiet_until < watch->contents.done && !deep))
        return false;
    node->quiet_until = 0;
    node->scan_deep = true;
    return true;
}

/* What is to be entered is not there: if we know it, it was moved and is looked at where it
 * arrives. */
static void miss(
    struct file_watch *watch, const struct file_node *parent, struct span name, bool loud)
{
    struct file_node *child = file_tree_child(&watch->tree, parent, name);
    if (child != NULL && is_news_after_all(watch, child, loud))
        child->scan_wanted = child->scan_loud = true;
}

/* Of what is watched already, a sweep keeps no more than the bound allows, which may be a smaller
 * one now. */
static bool has_room(const struct file_watch *watch, const struct file_node *node)
{
    return !watch->sweeping || node->generation == watch->generation ||
           watch->kept < watch->watches_max;
}

void scan_enter(struct file_watch *watch, struct file_node *parent, struct span name, int at_fd,
    const char *at_name, bool loud)
{
    struct stat stat;
    int fd = openat(at_fd, at_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            miss(watch, parent, name, loud);
        else if (errno != ENOTDIR && errno != ELOOP)
            tell_want(watch, errno == ENAMETOOLONG ? "a path is too long" : strerror(errno));
        return;
    }
    struct file_node *child = file_tree_child(&watch->tree, parent, name);
    if (fstat(fd, &stat) != 0)
        stat.st_mode = 0;
    if (child != NULL && child->device == stat.st_dev && child->inode == stat.st_ino &&
        has_room(watch, child)) {
        bool news = is_news_after_all(watch, child, loud);
        scan_keep(watch, child);
        if (watch->sweeping || news)
            scan_queue(watch, child, news);
    } else {
        if (child != NULL)
            scan_forget(watch, child);
        if (watch->tree.count >= watch->watches_max)
            tell_want(watch, "FileSystem_WatchesMax is reached");
        else if (S_ISDIR(stat.st_mode))
            add_child(watch, parent, name, fd, &stat, loud);
    }
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

static void look_at(
    struct file_watch *watch, struct file_node *node, int fd, const struct dirent *entry, bool loud)
{
    struct span name = span_of(entry->d_name);
    if (span_is(name, ".") || span_is(name, ".."))
        return;
    bool directory = is_directory(fd, entry);
    bool entered = directory && watch->recursive;
    bool news = loud;
    if (!news && entered && watch->sweeping && watch->sweep_tells)
        news = file_tree_child(&watch->tree, node, name) == NULL;
    if (news)
        found_add(watch, node, name, directory);
    if (entered)
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
    int fd = scan_open(watch, node, O_RDONLY | O_NONBLOCK);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

/* Begins a look, if there is to be one. */
static void begin_look(struct file_watch *watch, struct file_node *node)
{
    if (!watch->recursive && !node->scan_loud) {
        node->scan_wanted = false;
        return;
    }
    DIR *dir = open_directory(watch, node);
    if (dir == NULL)
        return; /* wanted still: where it was moved to, it is queued again */
    watch->look =
        (struct look){.node = node, .dir = dir, .loud = node->scan_loud, .deep = node->scan_deep};
    node->scan_wanted = node->scan_loud = node->scan_deep = false;
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
        return true;
    }
    const struct dirent *entry = readdir(watch->look.dir);
    if (entry == NULL)
        end_look(watch);
    else
        look_at(watch, watch->look.node, dirfd(watch->look.dir), entry, watch->look.loud);
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
            scan_queue(watch, root->node, false);
    }
}
